"""A unit that is run by itself on what the unit before it put out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from mmlocal.blocks.sizes import map_size

__all__ = ['FORMS', 'Given']


def _as_map(feature: Tensor, further: tuple[Any, ...]) -> tuple[Any, ...]:
    size = map_size(feature, further)
    if size is None:
        raise TypeError('no tokens with the size of a map')
    return (feature.transpose(1, 2).unflatten(2, size),)


# What a unit may be given, by name: what is put out beside the feature; the feature alone; tokens laid out as a map,
# as a pyramid does between its stages; all tensors as one list (HRNet).
FORMS: Mapping[str, Callable[[Tensor, tuple[Any, ...]], tuple[Any, ...]]] = {
    'all': lambda feature, further: (feature, *further),
    'feature': lambda feature, further: (feature,),
    'map': _as_map,
    'list': lambda feature, further: ([feature, *further],),
}


class Given(nn.Module):
    """A unit that takes a feature and what goes along in another form.

    Args:
        unit: that is run.
        form: one of `FORMS`.
    """

    def __init__(self, unit: nn.Module, form: str) -> None:
        super().__init__()
        self.unit, self.form = unit, form

    def forward(self, feature: Tensor, *further: Any) -> Any:
        """What the unit puts out."""
        return self.unit(*FORMS[self.form](feature, further))
