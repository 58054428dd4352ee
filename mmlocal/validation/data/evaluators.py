"""What evaluators read themselves: it has to be what their data loader reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.registry import METRICS

from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import HOSTS
from mmlocal.hosts.accounts import CocoFile, Reading
from mmlocal.validation.data.building import annotation_fault
from mmlocal.validation.data.categories import categories_of, class_names, compare_categories

__all__ = ['check_evaluated', 'check_evaluators']


def check_evaluators(cfg: Mapping[str, Any], split: str) -> None:
    """Look at the annotation files that the evaluators of a split read themselves.

    Raises:
        ConfigError: if one is not JSON.
    """
    for place, one in _metrics(cfg, split):
        path = one.get('ann_file')
        fault = annotation_fault(path or '')
        if fault:
            raise ConfigError(f'{place}.ann_file = {path!r} {fault}')


def _metrics(cfg: Mapping[str, Any], split: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and config of the metrics of a split."""
    given, place = cfg.get(f'{split}_evaluator'), f'{split}_evaluator'
    if isinstance(given, Mapping):
        yield place, given
    for i, one in enumerate(given if isinstance(given, (list, tuple)) else ()):
        if isinstance(one, Mapping):
            yield f'{place}[{i}]', one


def check_evaluated(cfg: Mapping[str, Any], split: str, leaves: Sequence[tuple[Any, str]], notes: Reading) -> list[str]:
    """Hold the files of metrics that evaluate on COCO's format against what their dataset reads.

    Returns:
        What is odd and may be meant, a sentence a metric.

    Raises:
        ConfigError: with each file that is of another set, or that the evaluation stumbles over.
    """
    faults, odd = Faults(), []
    for place, one in _metrics(cfg, split):
        path = str(one.get('ann_file') or '')
        if not path or len(leaves) != 1 or not _is_coco(one) or one.get('format_only'):
            continue
        with faults.under(place):
            file = notes.coco_file(path, one.get('backend_args'))
            same = path == getattr(leaves[0][0], 'ann_file', '')  # the dataset tells then
            if file.faults:
                raise ConfigError(*(f'ann_file = {fault}' for fault in file.faults if not same))
            _check_fields(file, one)
            if not same:
                compare_categories(file, class_names(leaves[0][0]), f'ann_file ({leaves[0][1]}.metainfo.classes)')
            odd += _compare_images(file, *leaves[0], place, notes)
    faults.report()
    return odd


def _is_coco(metric: Mapping[str, Any]) -> bool:
    with METRICS.switch_scope_and_registry(None) as registry:
        kind = registry.get(metric['type']) if isinstance(metric.get('type'), str) else metric.get('type')
    evaluates = getattr(getattr(kind, 'compute_metrics', None), '__qualname__', '')
    return any(evaluates in host.coco_metrics for host in HOSTS.values())


def _check_fields(file: CocoFile, metric: Mapping[str, Any]) -> None:
    """What the evaluation reads beyond what a dataset does."""
    needed = [('iscrowd', 'not 0 or 1', file.without_crowd, 'write iscrowd = 0 into them, or 1 for groups of objects')]
    if 'segm' in str(metric.get('metric')):
        needed.append(
            ('segmentation', 'missing or empty', file.without_outline, "evaluate metric = 'bbox', or add them")
        )
    faults = [
        f'ann_file = {file.path!r}: {name} is {what} in {len(places)} of {len(file.ids)} annotations, first '
        f'{file.record(places[0])}: the evaluation needs it. In the file, {remedy}'
        for name, what, places, remedy in needed
        if places
    ]
    if faults:
        raise ConfigError(*faults)


def _compare_images(file: CocoFile, dataset: Any, where: str, place: str, notes: Reading) -> list[str]:
    own, kept = categories_of(dataset, notes), notes.kept(dataset)
    known = dict(zip(file.image_ids, file.names, strict=True))
    names = dict(zip(own.image_ids, own.names, strict=True)) if own is not None and not own.faults else {}
    missing = [key for key in kept.keys if key not in known]
    other = [key for key in kept.keys if key in known and names.get(key, known[key]) != known[key]]
    if missing or other:
        key = (missing or other)[0]
        read = f'{where} reads {getattr(dataset, "ann_file", "")!r}'
        told = (
            f'has no image {key!r}'
            if missing
            else f'has {known[key]!r} as image {key!r}, which is {names[key]!r} there'
        )
        raise ConfigError(
            f'ann_file = {file.path!r} {told}: {read}, and {len(missing or other)} of its {kept.images} images are not '
            'those of the evaluator. Give both the same file'
        )
    more = len(file.image_ids) - kept.images
    if more > 0:
        return [
            f'{place}.ann_file = {file.path!r} has {more} images that {where} does not read: their objects count as '
            'missed'
        ]
    return []
