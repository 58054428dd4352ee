"""Whether the splits go together: their classes are the same, and their images are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmlocal.errors import ConfigError, Faults
from mmlocal.hosts import base_datasets_of
from mmlocal.hosts.accounts import Reading
from mmlocal.validation.data.categories import class_names
from mmlocal.validation.data.contents import shown
from mmlocal.validation.data.targets import Targets

__all__ = ['Splits']

Leaves = Sequence[tuple[Any, str]]


class Splits:
    """The splits of a config, held against the one that is trained on.

    Attributes:
        targets: what the model is made for.
        odd: what may be meant, a sentence each.
    """

    def __init__(self, targets: Targets, notes: Reading) -> None:
        self.targets, self.odd = targets, list[str]()
        self._notes, self._trained = notes, list[tuple[Any, str]]()

    def add(self, split: str, dataset: Any, place: str, faults: Faults) -> Targets:
        """Hold a dataset against what is trained on.

        Args:
            split: `train`, `val` or `test`.
            dataset: of the split.
            place: where it is in the config.
            faults: collects what cannot be meant.

        Returns:
            What else it has to fit: nothing that is said already.
        """
        leaves = list(base_datasets_of(dataset, place))
        first = (self._trained or leaves)[:1]
        differing = _differing_classes(first, leaves, self.targets)
        faults.add('', differing)
        if split == 'train':
            self._trained += leaves
        elif self.targets.num_classes or self.targets.scale:  # others may evaluate on what they are trained on
            with faults.under():
                self.odd += _common_images(self._trained, leaves, self._notes)
        return replace(self.targets, num_classes={}, labels='') if differing else self.targets


def _differing_classes(first: Leaves, others: Leaves, targets: Targets) -> list[str]:
    """What is said of datasets with other classes, or with the same in another order: a label stands for one class."""
    if not targets.num_classes or not first:
        return []
    return [fault for leaf, where in others if (fault := _differing(*first[0], leaf, where))]


def _differing(model: Any, place: str, leaf: Any, where: str) -> str:
    folders = all(getattr(one, 'folder_to_idx', None) for one in (model, leaf))
    known, given = ([*one.folder_to_idx] if folders else class_names(one) for one in (model, leaf))
    if not known or not given or known == given:
        return ''
    what = 'folders' if folders else 'classes'
    source = f' ({_source(leaf)})' if _source(leaf) else ''
    lacks, more = ([n for n in a if n not in b] for a, b in ((known, given), (given, known)))
    if not lacks and not more:
        return (
            f'{where}{source} has the {what} of {place} in another order, {shown(given)} for {shown(known)}, and '
            'labels are numbered by it. Give both the same order'
        )
    told = [f'{word} {shown(names)}' for word, names in (('lacks', lacks), ('has', more)) if names]
    remedy = f'Each class needs its folder in both, if only an empty one: {what} are numbered by their names'
    return (
        f'{where}{source} {" and ".join(told)}, unlike {place} ({_source(model)}): a label would stand for another '
        f'class. {remedy if folders else "Give both the same metainfo.classes"}'
    )


def _source(dataset: Any) -> str:
    prefixes = getattr(dataset, 'data_prefix', None) or {}
    folders = [*prefixes.values()] if isinstance(prefixes, dict) else [prefixes]
    path = getattr(dataset, 'ann_file', '') or next(filter(None, folders), '')
    return repr(path) if path else ''


def _common_images(trained: Leaves, others: Leaves, notes: Reading) -> list[str]:
    """Images that are trained on, in a split that is to tell how well they are learned.

    Returns:
        What is odd and may be meant, a sentence a dataset.

    Raises:
        ConfigError: if a dataset has all of the training images and no other.
    """
    seen = {one for leaf, _ in trained for one in notes.kept(leaf).images_seen}
    faults, odd = [], []
    for leaf, where in others:
        kept = notes.kept(leaf)
        both = len(kept.images_seen & seen)
        if both and kept.images_seen == seen:
            faults.append(
                f'{where} has the {kept.images} training images and no others '
                f'({_source(leaf) or type(leaf).__name__}), '
                f'so it would tell how well they are remembered. {_remedy(leaf)}'
            )
        elif both:
            odd.append(f'{where}: {both} of {kept.images} images are trained on, too')
    if faults:
        raise ConfigError(*faults)
    return odd


def _remedy(dataset: Any) -> str:
    if getattr(dataset, 'split', None) and not getattr(dataset, 'test_mode', True):
        return (
            f'{type(dataset).__name__} takes its files by test_mode, whatever split says (it is {dataset.split!r}): '
            'set test_mode = True in it'
        )
    return 'Give it other images; to watch some of the training images, indices = N takes the first N of them'
