"""What one forward shows of a network: its units' shapes, and who reads what of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmlocal.blocks.finding.trace import graph_alone
from mmlocal.blocks.given import FORMS, Given
from mmlocal.blocks.sizes import MapSize, map_size
from mmlocal.blocks.units import Unit, separate, tensors_in, with_tensors
from mmlocal.errors import ConfigError, reason
from mmlocal.randomness import undisturbed

__all__ = ['OUTPUTS', 'Layout', 'Output', 'Probe', 'Shape', 'probe']

OUTPUTS = 'outputs'
Layout = Literal['map', 'map of vectors', 'sized tokens', 'tokens', 'class token first']


@dataclass(frozen=True)
class Shape:
    """A unit's output: its channels, and by what factor it is smaller than the input image.

    Args:
        channels: of a map (N, C, H, W) or of tokens (N, L, C).
        stride: input pixels per pixel; 1 where tokens have no map size.
        layout: `map`; `map of vectors` (N, H, W, C); `sized tokens`, with the map's height and width beside them
            (Swin); `tokens` alone; `class token first` (ViT).
    """

    channels: int
    stride: float
    layout: Layout = 'map'

    @property
    def is_map(self) -> bool:
        """Whether there are pixels: a map, or tokens that can be laid out as one."""
        return self.layout in ('map', 'map of vectors', 'sized tokens')


@dataclass(frozen=True)
class Output:
    """What a unit puts out: shapes without numbers.

    Args:
        feature: on the device `meta`.
        further: what goes along with it.
    """

    feature: Tensor
    further: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Probe:
    """The units of a network as one forward met them.

    Args:
        shapes: of each unit's output.
        reads: the units whose outputs a unit reads directly; those of the network's outputs under `OUTPUTS`.
        insides: pairs (unit, reader), the reader a unit or `OUTPUTS`: something inside of the unit, not
            its output, is read.
        outputs: for each of the network's outputs, the units whose outputs it reads.
        alone: units that give the same when they run by themselves on the output of the unit before, so
            that a copy of one can stand behind that output; for each, in what form it is given that (`FORMS`).
        features: what each unit puts out.
    """

    shapes: Mapping[str, Shape]
    reads: Mapping[str, frozenset[str]]
    insides: frozenset[tuple[str, str]]
    outputs: tuple[frozenset[str], ...]
    alone: Mapping[str, str]
    features: Mapping[str, Output]

    @property
    def handed_out(self) -> tuple[str, ...]:
        """The units whose outputs are in the network's outputs, as they are or behind a norm; in order."""
        return tuple(name for name in self.shapes if name in self.reads[OUTPUTS])

    def readers(self, name: str) -> list[str]:
        """Who reads a unit's output: units, and `OUTPUTS`."""
        return [reader for reader, read in self.reads.items() if name in read]


@dataclass
class _Seen:
    """One unit during the forward: its feature each time, all tensors it put out, and what stood in for these."""

    outputs: list[Any] = field(default_factory=list)
    further: tuple[Any, ...] = ()
    bundle: list[Tensor] = field(default_factory=list)
    leaves: list[Tensor] = field(default_factory=list)
    size: MapSize = field(default_factory=MapSize)


@undisturbed()
def probe(network: nn.Module, units: Sequence[Unit], image: Tensor) -> Probe:
    """Run `image` (1, C, H, W) through `network` once and watch its units.

    In evaluation mode, so nothing of the network changes. Each unit's output is replaced by a leaf: who
    reads a unit then shows in the graph, of which only the structure is kept.

    Raises:
        ConfigError: if a unit is not run exactly once, not in the given order, or does not put out one
            feature: the network cannot be cut there; or if it cannot run the image.
    """
    seen = {unit.name: _Seen() for unit in units}
    order: list[str] = []
    handles = [network.get_submodule(u.end).register_forward_hook(_watch(u.name, seen[u.name], order)) for u in units]
    handles += [handle for unit in units for handle in seen[unit.name].size.watch(network, unit)]
    was_training = network.training
    network.eval()
    try:
        with torch.enable_grad(), graph_alone():
            outputs = _run(network, image)
        for handle in handles:
            handle.remove()
        _refuse_uncuttable(seen, order)
        alone = _alone(network, units, seen)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    class_token = getattr(network, 'cls_token', None) is not None
    shapes = {name: _shape(one.outputs[0], one.further, image, class_token) for name, one in seen.items()}
    features = {name: Output(one.outputs[0].detach().to('meta'), one.further) for name, one in seen.items()}
    return Probe(shapes, *_reads(network, units, seen, list(tensors_in(outputs))), alone, features)


def _run(network: nn.Module, image: Tensor) -> Any:
    try:
        return network(image)
    except Exception as error:  # a network may raise anything
        if image.is_meta:  # perhaps for that: whoever builds it so tries again
            raise
        height, width = image.shape[-2:]
        raise ConfigError(
            f'probe_size = {height} does not suit the network, which cannot run an image of {height}x{width}: '
            f'{reason(error)}. Give the size of the training images'
        ) from error


def _watch(name: str, seen: _Seen, order: list[str]) -> Callable[..., Any]:
    def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        order.append(name)
        feature, seen.further = seen.size.separate(args, output)
        seen.outputs.append(feature)
        seen.bundle = [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]
        seen.leaves = [tensor.detach().requires_grad_() for tensor in seen.bundle]
        # What follows may work in place, which a leaf forbids.
        stand_ins = {id(tensor): leaf.clone() for tensor, leaf in zip(seen.bundle, seen.leaves, strict=True)}
        return with_tensors(output, stand_ins)

    return hook


def _refuse_uncuttable(seen: Mapping[str, _Seen], order: Sequence[str]) -> None:
    faults = []
    for name, one in seen.items():
        if len(one.outputs) != 1:
            faults.append(f'unit {name!r} runs {len(one.outputs)} times in a forward; it must run exactly once')
        elif not isinstance(one.outputs[0], Tensor):
            faults.append(f'unit {name!r} puts out a {type(one.outputs[0]).__name__}; it must be a tensor, or several')
    if not faults and list(seen) != list(order):
        faults.append(f'units are not in the order they run: that is {", ".join(order)}')
    if faults:
        raise ConfigError(*faults)


def _alone(network: nn.Module, units: Sequence[Unit], seen: Mapping[str, _Seen]) -> dict[str, str]:
    forms = {}
    for before, unit in pairwise(units):
        for form in FORMS:
            if _same(Given(unit.module(network), form), seen[before.name], seen[unit.name].outputs[0]):
                forms[unit.name] = form
                break
    return forms


def _same(unit: nn.Module, given: _Seen, there: Tensor) -> bool:
    """Whether a unit puts out the same by itself."""
    try:
        with torch.no_grad():
            feature, _ = separate(unit(given.outputs[0], *given.further))
    except Exception:  # it needs more than that, or something else, and may say so by any exception
        return False
    if not isinstance(feature, Tensor) or feature.shape != there.shape:
        return False
    return feature.is_meta or torch.allclose(feature, there, atol=1e-4)


def _shape(output: Tensor, further: tuple[Any, ...], image: Tensor, class_token: bool) -> Shape:
    if output.dim() == 4:
        # The image is square.
        if output.shape[1] == output.shape[2] != output.shape[3]:
            return Shape(output.shape[3], image.shape[-1] / output.shape[2], 'map of vectors')
        return Shape(output.shape[1], image.shape[-1] / output.shape[-1])
    size = map_size(output, further)
    if size is not None:
        return Shape(output.shape[-1], image.shape[-1] / size[1], 'sized tokens')
    return Shape(output.shape[-1], 1.0, 'class token first' if class_token else 'tokens')


def _reads(
    network: nn.Module, units: Sequence[Unit], seen: Mapping[str, _Seen], outputs: Sequence[Tensor]
) -> tuple[dict[str, frozenset[str]], frozenset[tuple[str, str]], tuple[frozenset[str], ...]]:
    leaves = {id(leaf): name for name, one in seen.items() for leaf in one.leaves}
    owners: dict[int, set[str]] = {}
    for unit in units:
        for parameter in unit.parameters(network):
            owners.setdefault(id(parameter), set()).add(unit.name)
    ends: dict[str, Sequence[Tensor]] = {name: one.bundle for name, one in seen.items()}
    ends[OUTPUTS] = outputs
    reads, insides = {}, set()
    # Operations on weights of no unit, and who reads what they put out: their graph is freed with the first one's.
    shared: dict[Any, list[str]] = {}
    last = units[-1].name
    for reader, tensors in ends.items():
        variables, used_by = _variables(tensors)
        reads[reader] = frozenset(leaves[v] for v in variables if v in leaves)
        owned = [owners[v] for v in variables if v in owners]
        # What follows the last unit is in its block; two units may share a module.
        insides |= {(name, reader) for names in owned if reader not in names for name in names if name != last}
        for node in (node for v, nodes in used_by.items() if v not in owners and v not in leaves for node in nodes):
            shared.setdefault(node, []).append(reader)
    insides |= {(first, reader) for first, *others in shared.values() for reader in others if first != last}
    singly = tuple(frozenset(leaves[v] for v in _variables([output])[0] if v in leaves) for output in outputs)
    return reads, frozenset(insides), singly


def _variables(tensors: Sequence[Tensor]) -> tuple[set[int], dict[int, list[Any]]]:
    """Ids of the leaves and parameters that `tensors` were computed from, and of each the operations that read it."""
    found = {id(tensor) for tensor in tensors if tensor.grad_fn is None}
    nodes = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    known = set(nodes)
    used_by: dict[int, list[Any]] = {}
    while nodes:
        node: Any = nodes.pop()
        for following, _ in node.next_functions:
            if following is None:
                continue
            if hasattr(following, 'variable'):
                found.add(id(following.variable))
                used_by.setdefault(id(following.variable), []).append(node)
            elif following not in known:
                known.add(following)
                nodes.append(following)
    return found, used_by
