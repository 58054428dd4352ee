"""What mmlocal has to know of a host, which is a package with models, such as mmdet: its interface and its register."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from mmengine.config import Config, ConfigDict
from torch import Tensor

from mmlocal.errors import ConfigError
from mmlocal.hosts.accounts import DatasetRules

__all__ = [
    'HOSTS',
    'Host',
    'find_classes',
    'find_part',
    'host_named',
    'host_of',
    'is_classifier',
    'merged',
    'no_head',
    'register_host',
    'rules_of',
]

Size = tuple[int, int]
_Class = TypeVar('_Class', bound='type[Host]')


class Host:
    """What differs from host to host. A host of one's own is a subclass under `register_host`.

    Attributes:
        name: of the package, which is its configs' `default_scope` too.
        purpose: in a word, for users.
        extra: of mmlocal's package, that installs it.
        install_beside: what has to be installed as well, as pip's arguments.
        needs_operations: whether it cannot be imported without mmcv's compiled operations.
        refuses_mmcv: whether it refuses a version of mmcv on which it runs.
        task: a head's arguments in `for_<task>` are for this host's models alone.
        labels: by the slot of a head whose classes are those of the dataset, where a sample has their labels.
        reads_names: slots of models that read the names of the classes, and so take any number of them.
        own_classes: types of heads that have classes of their own.
        loss_heads: by the module that defines a model's `loss`, its heads in the order in which they run, each with
            the method that gives its losses. Only for models whose loss is the plain sum of these.
        datasets: by the qualified name of the method that reads their samples, `CocoDataset.load_data_list`, what is
            known of its datasets; so it is of those that inherit the method.
        coco_metrics: qualified names of methods by which metrics evaluate on an `ann_file` of COCO's format.
        between: the model's methods that stand between a head's losses and their sum.
        data_preprocessor: type of one whose config names none.
        light_metrics: whether its metrics load no networks, so that they can be built to see what they take.
        own_init_cfg: whether `init_cfg` is read by its models themselves, and not by mmengine.
    """

    name: ClassVar[str] = ''
    purpose: ClassVar[str] = ''
    extra: ClassVar[str] = ''
    install_beside: ClassVar[str] = ''
    needs_operations: ClassVar[bool] = False
    refuses_mmcv: ClassVar[bool] = False
    task: ClassVar[str] = ''
    labels: ClassVar[Mapping[str, str]] = {}
    reads_names: ClassVar[tuple[str, ...]] = ()
    own_classes: ClassVar[tuple[str, ...]] = ()
    loss_heads: ClassVar[Mapping[str, tuple[tuple[str, str], ...]]] = {}
    datasets: ClassVar[Mapping[str, DatasetRules]] = {}
    coco_metrics: ClassVar[tuple[str, ...]] = ()
    between: ClassVar[tuple[str, ...]] = ('forward', 'parse_losses', 'train_step')
    data_preprocessor: ClassVar[str | None] = None
    light_metrics: ClassVar[bool] = False
    own_init_cfg: ClassVar[bool] = False

    @property
    def install(self) -> str:
        """The commands that install it."""
        beside = f', then pip install {self.install_beside}' if self.install_beside else ''
        return f"pip install 'mmlocal[{self.extra}]'{beside}" if self.extra else f'pip install {self.name}'

    def has(self, cfg: Mapping[str, Any]) -> bool:
        """Whether the model of `cfg` is built as this host's models are."""
        raise NotImplementedError

    def derive_head(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """The config of a local head for the model of `cfg`.

        Raises:
            ConfigError: `no_head`, if none can be derived.
        """
        raise NotImplementedError

    def derive_merge(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """The config of what reads the feature bank for that head."""
        raise NotImplementedError

    def fits(self, model: Mapping[str, Any]) -> int | None:
        """What a generated batch has to fit: mostly the number of classes; None if the config has none."""
        raise NotImplementedError

    def generated_batch(self, size: Size, count: int, fits: int) -> dict[str, Any]:
        """`count` random images of `size` (height, width), as the host's data loader has them."""
        raise NotImplementedError

    def fit_to(self, model: Any, size: Size) -> None:
        """Let a built model take generated images of `size` as they are."""

    def fit_batch(self, batch: dict[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
        """A generated batch with those annotations alone that a model's own data would have."""
        return batch

    def infer(self, cfg: Config, checkpoint: str, images: list[str], folder: str, device: str) -> None:
        """Draw what a model sees in each image file into a folder.

        Args:
            cfg: of the model; a local network needs no local heads.
            checkpoint: of a run, or published.
            images: files.
            folder: for the pictures.
            device: `cpu` or `cuda`.
        """
        raise ConfigError(f'{self.name} has no pictures of predictions: use its own tools')


HOSTS: dict[str, Host] = {}


def register_host(cls: _Class) -> _Class:
    """Make a host known by its name; a decorator.

    Raises:
        ConfigError: if it has no name, or one that another host has.
    """
    if not cls.name or cls.name in HOSTS:
        raise ConfigError(f'{cls.__name__}: name = {cls.name!r} is none of its own; there are {", ".join(HOSTS)}')
    HOSTS[cls.name] = cls()
    return cls


def host_of(cfg: Mapping[str, Any]) -> Host | None:
    """The host whose models are built as that of `cfg` is: the one of its `default_scope`, if several are."""
    named = HOSTS.get(str(cfg.get('default_scope')))
    hosts = [*([named] if named else []), *HOSTS.values()]
    return next((host for host in hosts if host.has(cfg)), None)


def host_named(cfg: Mapping[str, Any]) -> Host:
    """The host of a config's `default_scope`; one that has nothing of its own if there is none."""
    return HOSTS.get(str(cfg.get('default_scope')), Host())


def rules_of(dataset: Any) -> DatasetRules | None:
    """What is known of a dataset, or nothing."""
    reader, parser = (_defined_by(dataset, name) for name in ('load_data_list', 'parse_data_info'))
    rules = next((host.datasets[reader] for host in HOSTS.values() if reader in host.datasets), None)
    return rules if rules is None or rules.parser in ('', parser) else None


def _defined_by(thing: Any, method: str) -> str:
    return str(getattr(getattr(type(thing), method, None), '__qualname__', ''))


def is_classifier(cfg: Mapping[str, Any]) -> bool:
    """Whether the host's annotation is one label an image."""
    head = cfg['model'].get('head')
    return isinstance(head, Mapping) and find_classes([head, cfg['model'].get('backbone')]) is not None


def no_head(why: str, example: str) -> ConfigError:
    """What is told where no local head can be derived: why, and what to give instead."""
    return ConfigError(f' is missing, and none can be derived: {why}. Give one: head={example}')


def merged(derived: Mapping[str, Any], given: Mapping[str, Any]) -> ConfigDict:
    """What is given over what is derived, dicts inside as in config inheritance."""
    both = Config(dict(derived))
    both.merge_from_dict(dict(given))
    return ConfigDict(both.to_dict())


def find_classes(places: Iterable[Any], names: Sequence[str] = ('num_classes',)) -> int | None:
    """The number of classes of the first of the places that has one.

    Args:
        places: parts of a model's config in the order of their say: a head, a list of heads, of which the last
            counts first, or nothing. What is inside of a part is looked at behind the part itself.
        names: what the number is called.

    Example:
        >>> find_classes([None, dict(heads=[dict(num_classes=3), dict(num_classes=5)])])
        5
    """
    part = find_part(places, names)
    return None if part is None else next(part[name] for name in names if _is_given(part.get(name)))


def _is_given(value: Any) -> bool:
    # What is no number is for those to tell who look at the head itself.
    return isinstance(value, (int, str))


def find_part(places: Iterable[Any], names: Sequence[str]) -> Mapping[str, Any] | None:
    """The first part of a config that has a number under one of the names; arguments as for `find_classes`."""
    for place in places:
        found: Mapping[str, Any] | None = None
        if isinstance(place, Mapping):
            own = any(_is_given(place.get(name)) for name in names)
            found = place if own else find_part(place.values(), names)
        elif isinstance(place, (list, tuple)):
            found = find_part(reversed(place), names)
        if found is not None:
            return found
    return None


def _images(size: Size, count: int) -> Tensor:
    return torch.randint(0, 255, (count, 3, *size), dtype=torch.uint8)
