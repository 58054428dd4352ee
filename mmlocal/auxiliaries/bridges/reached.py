"""Weights of copies that nothing reaches: some networks' units have weights that their forward never uses."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mmlocal.blocks import Output, separate
from mmlocal.randomness import undisturbed

__all__ = ['leave_out_unreached']


@undisturbed()
def leave_out_unreached(steps: Iterable[nn.Module], output: Output) -> None:
    """Let no optimizer have the parameters of modules, one behind the other, that no gradient reaches.

    Nothing is computed: the modules run on tensors without numbers. Where a module cannot, all stays as it is.

    Args:
        steps: in the order they run.
        output: what the first one is given.
    """
    feature, further = torch.empty_like(output.feature, device='meta'), output.further
    for step in steps:
        try:
            feature, further, unreached = _run(step, feature, further)
        except (RuntimeError, NotImplementedError, TypeError, ValueError):  # an operation without a form for this
            return
        for name in unreached:
            step.get_parameter(name).requires_grad_(False)


def _run(step: nn.Module, feature: Tensor, further: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...], list[str]]:
    tried: Any = copy.deepcopy(step).to('meta')
    leaf = feature.detach().requires_grad_()
    given = () if isinstance(step, nn.Identity) else further
    made, behind = separate(tried(leaf, *given), further)
    # By a backward, which sees through activation checkpointing, too.
    torch.autograd.backward(made, torch.empty_like(made))
    return made.detach(), behind, [name for name, one in tried.named_parameters() if _is_unreached(one)]


def _is_unreached(parameter: nn.Parameter) -> bool:
    return parameter.requires_grad and parameter.grad is None
