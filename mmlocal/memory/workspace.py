"""What kernels allocate for themselves on the CPU, and free before they return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ['workspace_bytes']

# oneDNN lays channels out in blocks of this many (AVX-512).
_LANES = 16


def workspace_bytes(name: str, args: tuple[Any, ...], output: Any) -> int:
    """Bytes beyond inputs and outputs that an operation needs at a time; 0 if it is not known to need any.

    Read off torch 2.11's allocator events with AVX-512; other machines differ in the blocks of a convolution.

    Args:
        name: of the operation (`aten.convolution`).
        args: its positional arguments.
        output: what it put out.
    """
    rule = _RULES.get(name)
    tensors = [value for value in args if isinstance(value, Tensor)]
    if rule is None or not tensors or tensors[0].device.type != 'cpu':
        return 0
    return rule(args, output)


def _blocked(tensor: Tensor) -> int:
    """Bytes of a copy in oneDNN's layout."""
    first, second, *pixels = tensor.shape
    return int(first * _padded(second) * torch.Size(pixels).numel() * tensor.element_size())


def _blocked_input(feature: Tensor) -> int:
    """As `_blocked`; images are read as they are."""
    return 0 if feature.shape[1] < _LANES // 4 else _blocked(feature)


def _blocked_weight(weight: Tensor) -> int:
    return _blocked(weight) // weight.shape[0] * _padded(weight.shape[0])


def _padded(channels: int) -> int:
    return -(-channels // _LANES) * _LANES


def _bytes(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.numel() * tensor.element_size()


def _by_onednn(feature: Tensor, weight: Tensor, stride: list[int], dilation: list[int]) -> bool:
    """torch's own choice between oneDNN and its older kernels."""
    large = max(stride) > 1 or max(dilation) > 1 or feature.shape[0] >= 16 or weight.shape[-1] != 1
    return (large or torch.get_num_threads() > 1) and (feature.shape[0] > 1 or feature.numel() > 20480)


def _convolution(args: tuple[Any, ...], output: Tensor) -> int:
    feature, weight, _, stride, _, dilation = args[:6]
    if feature.dim() != 4 or not _by_onednn(feature, weight, stride, dilation):
        return 0
    running = _blocked_input(feature) + _blocked_weight(weight) + _blocked(output)
    return max(running, _blocked(output) + _bytes(output)) - _bytes(output)


def _convolution_backward(args: tuple[Any, ...], output: Any) -> int:
    gradient, feature, weight, _, stride, _, dilation = args[:7]
    if feature.dim() != 4 or not _by_onednn(feature, weight, stride, dilation):
        return 0
    of_feature, of_weight, of_bias = map(_bytes, output)
    blocked = _blocked_weight(weight)
    first = _blocked(gradient) + blocked + _blocked_input(feature) if of_feature else 0
    second = _blocked(gradient) + _blocked_input(feature) + blocked + of_feature + of_bias if of_weight else 0
    unpacked = of_feature + blocked + of_weight
    return max(first, second, unpacked) - of_feature - of_weight - of_bias


def _batch_norm_backward(args: tuple[Any, ...], output: Any) -> int:
    return _bytes(args[1])


_RULES: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    'aten.convolution': _convolution,
    'aten.convolution_backward': _convolution_backward,
    'aten.native_batch_norm_backward': _batch_norm_backward,
}
