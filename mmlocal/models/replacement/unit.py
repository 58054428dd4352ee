"""A unit without weights of its own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mmlocal.errors import ConfigError

__all__ = ['ReplacedUnit', 'replaced_units']

_UNIT, _SYNTHESIS = 'unit.', 'replacement.'


class ReplacedUnit(nn.Module):
    """A unit of a network that runs with weights synthesised from the units before and behind it.

    The stock unit stays as it was built, less its parameters: structure, stride and buffers are its own, and so are
    its batch norm statistics. Those are taken in training even under `norm_eval`: nobody has pretrained them for these
    weights.

    The state dict has the unit's stock keys, with the synthesised weights under them, and what is learned
    under `replacement.`; so a checkpoint loads into the stock network, which then gives the same outputs. On loading,
    weights under the stock keys are passed over.

    Args:
        name: of the unit.
        unit: the stock unit; its parameters are taken away.
        neighbours: names and modules of the units before and behind; read, never registered.
        synthesis: makes the unit's tensors of theirs.
        share_grad: whether gradients reach the neighbours' weights through the synthesised ones.
        turns: the synthesis learns in one of so many training steps. In the others the weights are
            constants: no gradient of a weight is computed, and no input kept for one.
        turn: in which of them.
    """

    def __init__(
        self,
        name: str,
        unit: nn.Module,
        neighbours: dict[str, nn.Module],
        synthesis: nn.Module,
        share_grad: bool = False,
        turns: int = 1,
        turn: int = 0,
    ) -> None:
        super().__init__()
        self.name = name
        self.reads_weights_of = tuple(neighbours)
        self.names = [tensor for tensor, _ in unit.named_parameters()]
        for module in unit.modules():
            for tensor in list(module._parameters):
                module.register_parameter(tensor, None)
        self.unit = unit
        self.replacement = _Counted(synthesis)
        # In a tuple, so that they are not registered a second time.
        self._sources = tuple(neighbours.values())
        self.share_grad = share_grad
        self.turns, self.turn = turns, turn
        self.register_forward_pre_hook(_count)
        self.register_state_dict_post_hook(_fold)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_unfold)  # type: ignore[no-untyped-call]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the stock unit computes, with the synthesised weights."""
        self.unit.train(self.training)
        return functional_call(self.unit, self.weights(), args, kwargs)

    def weights(self) -> dict[str, Tensor]:
        """The unit's weights, by the names that they have in the stock unit."""
        learns = (self.replacement.steps + self.turn) % self.turns == 0
        with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
            found: dict[str, Tensor] = self.replacement(*map(self._given, self._sources))
        return found

    def _given(self, source: nn.Module) -> dict[str, Tensor]:
        tensors = ((name, source.get_parameter(name)) for name in self.names)
        return {name: tensor if self.share_grad else tensor.detach() for name, tensor in tensors}

    @property
    def description(self) -> str:
        """Of what it is made, and how, in a line."""
        form = type(self.replacement.by).__name__.lower()
        return f'{self.name}: {form} of {" and ".join(self.reads_weights_of)}'

    def init_weights(self) -> None:
        """Nothing: there are no weights here. The host's initialisation ends here instead of looking for them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> ReplacedUnit:
        """A copy that reads the neighbours' copies.

        Raises:
            ConfigError: if the unit is copied without the network around it.
        """
        if id(self._sources[0]) not in memo:
            raise ConfigError(
                f'units: {self.name!r} is synthesised from its neighbours and cannot be copied alone: '
                'choose another one'
            )
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied


class _Counted(nn.Module):
    """A synthesis that knows how many training steps it has seen; a number and no buffer, as it decides on the CPU."""

    def __init__(self, synthesis: nn.Module) -> None:
        super().__init__()
        self.by = synthesis
        self.steps = 0

    def forward(self, *tensors: Any) -> Any:
        return self.by(*tensors)

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.steps)

    def set_extra_state(self, state: Any) -> None:
        self.steps = int(state)


def replaced_units(network: nn.Module) -> list[ReplacedUnit]:
    """The replaced units inside a module, in order."""
    return [module for module in network.modules() if isinstance(module, ReplacedUnit)]


def _count(unit: ReplacedUnit, _args: Any) -> None:
    """A hook and no part of the forward, which runs twice where it is recomputed."""
    if unit.training and torch.is_grad_enabled():
        unit.replacement.steps += 1


@torch.no_grad()
def _fold(unit: ReplacedUnit, state_dict: dict[str, Any], prefix: str, _metadata: Any) -> None:
    for key in [key for key in state_dict if key.startswith(prefix + _UNIT)]:
        state_dict[prefix + key[len(prefix + _UNIT) :]] = state_dict.pop(key)
    for name, tensor in unit.weights().items():
        state_dict[prefix + name] = tensor.detach()


def _unfold(unit: ReplacedUnit, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = key[len(prefix) :]
        if name in unit.names:
            del state_dict[key]
        elif not name.startswith((_UNIT, _SYNTHESIS)):
            state_dict[prefix + _UNIT + name] = state_dict.pop(key)
