"""Losses that are not finite: found before the optimizer moves anything, and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import MessageHub
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from mmlocal.blocks import Division
from mmlocal.errors import NonFiniteLossError
from mmlocal.hosts.samples import _listed, _origin, _tensors
from mmlocal.losses import mean_of

__all__ = ['FiniteLosses']

_FEW = 4


class FiniteLosses:
    """The losses of one iteration, looked at before each step of the optimizer.

    Values are read once before a step, so that a GPU is waited for no more often than that.

    Args:
        model: the model (not a wrapper of it).
        division: of its network, if it has a `LocalBackbone`.

    Note:
        What one of several processes finds, all are told.
    """

    def __init__(self, model: nn.Module, division: Division | None) -> None:
        self._model, self._division = model, division
        self._seen: dict[str, Tensor] = {}
        self._batch: tuple[Any, Any] = (None, None)

    def take_batch(self, _model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Forward pre-hook of the model."""
        batch = dict(zip(('inputs', 'data_samples'), args, strict=False)) | kwargs
        self._batch = batch.get('inputs'), batch.get('data_samples')

    def take_own(self, _model: nn.Module, _args: Any, losses: Any) -> None:
        """Forward hook of the model: the terms of its own loss."""
        for name, value in losses.items() if isinstance(losses, Mapping) else ():
            if 'loss' in name and isinstance(value, (Tensor, list)):
                self.note(name, mean_of(value))

    def forget_batch(self) -> None:
        """Let go of the iteration's images."""
        self._batch = (None, None)

    def note(self, name: str, value: Any) -> None:
        """Remember a loss until the next step."""
        if isinstance(value, Tensor):
            self._seen[name] = value.detach().mean()

    def check(self) -> str:
        """What is wrong with the losses since the last check; nothing if all are finite."""
        seen, self._seen = self._seen, {}
        values = [value.float() for value in seen.values()]
        bad = torch.stack(values).isfinite().logical_not() if values else torch.zeros(1, dtype=torch.bool)
        if not self._any(bad.any()):
            return ''
        told = [f'{name} = {value.item():g}' for name, value in seen.items()]
        return self._told([text for text, wrong in zip(told, bad.tolist(), strict=False) if wrong])

    def check_weights(self, when: str = 'before the first block') -> None:
        """Look at all weights, before a policy steps the first blocks of a network whose later ones are broken.

        Args:
            when: for the message.

        Raises:
            NonFiniteLossError: if one is not finite.
        """
        if not get_total_norm(self._model.parameters()).isfinite():
            raise NonFiniteLossError(self._told([when]))

    def blocks_of_broken_gradients(self) -> list[str]:
        """The blocks that have a gradient that is not finite."""
        broken = [p for p in self._model.parameters() if _wrong(p.grad)]
        return list(dict.fromkeys(map(self._block_of, broken)))

    def _block_of(self, parameter: nn.Parameter) -> str:
        division = self._division
        if division is not None:
            for name, block in zip(division.block_names, division.blocks, strict=True):
                if any(parameter is p for unit in block for p in division.parameters_of(unit)):
                    return name
            for auxiliary in division.auxiliaries:
                if any(parameter is p for p in auxiliary.parameters()):
                    return f'the auxiliary of {auxiliary.name}'
        return "the model's own heads"

    def _any(self, bad: Tensor) -> bool:
        """Whether it is so in any of the processes."""
        if get_world_size() == 1:
            return bool(bad)
        flag = bad.float().to(next(self._model.parameters()).device)
        all_reduce(flag)
        return bool(flag)

    def _told(self, named: list[str]) -> str:
        iteration = MessageHub.get_current_instance().get_info('iter', 0) + 1
        what = ', '.join(named) if named else 'a loss of another process is not finite'
        inputs, samples = self._batch
        images = [_origin(sample, i) for i, sample in enumerate(_listed(samples))]
        lines = [
            f'iteration {iteration}: {what}',
            *_few('not finite in the images', _broken(inputs, images)),
            *_few('not finite in the annotations', _broken(list(map(_tensors, _listed(samples))), images)),
            *_few('not finite in the weights', [n for n, p in self._model.named_parameters() if _wrong(p)]),
            f'batch: {", ".join(images) or "without annotations"}',
        ]
        return '\n  '.join(lines)


def _few(title: str, found: list[str]) -> list[str]:
    more = f' and {len(found) - _FEW} more' if len(found) > _FEW else ''
    return [f'{title}: {", ".join(found[:_FEW])}{more}'] if found else []


def _wrong(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(value.isfinite().all())


def _broken(parts: Any, names: list[str]) -> list[str]:
    """The images of a batch with a value that is not finite."""
    found = []
    for i, part in enumerate(parts if isinstance(parts, (Tensor, list, tuple)) else ()):
        if any(map(_wrong, part if isinstance(part, list) else [part])):
            found.append(names[i] if i < len(names) else f'image {i}')
    return found
