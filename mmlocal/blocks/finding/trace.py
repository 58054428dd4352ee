"""What one forward shows of any network: its calls of modules, and which tensors they make of which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._autograd import _get_sequence_nr

from mmlocal.blocks.units import tensors_in
from mmlocal.errors import ConfigError, reason
from mmlocal.randomness import undisturbed

__all__ = ['Call', 'Trace', 'graph_alone', 'images_of_sides', 'trace']

Node = Any  # of autograd's graph: the operation that made a tensor
# Sides of the empty image that are tried: networks for one size alone refuse others.
_SIDES = (64, 224, 256, 384)


@dataclass(eq=False)
class Call:
    """One call of a module.

    Args:
        name: of the module.
        parents: the calls within which it lies, the outermost first.
        began: its place among all beginnings and ends of calls.
        ended: the same of its end.
        time: how many operations there were when it ended.
        entry: the operations that made its inputs.
        made: the operations that made its outputs.
        side: of the largest map among its outputs, in pixels; 0 if there is none.
    """

    name: str
    parents: tuple[Call, ...]
    began: int
    ended: int = -1
    time: int = -1
    entry: tuple[Node, ...] = ()
    made: tuple[Node, ...] = ()
    side: int = 0


@dataclass
class Trace:
    """A forward: calls in the order in which they ended, and the graph of the operations that weights have part in.

    Args:
        image: that was taken (1, C, H, W).
        calls: of modules.
        outputs: the operations that made the network's outputs, in order.
        sources: of each operation that the outputs come from and that a weight has part in, those that it reads, and
            the weights themselves.
        readers: of each of these, who reads it.
        weights: names of the weights by the operation that stands for one in the graph.
    """

    image: Tensor
    calls: list[Call]
    outputs: list[Node]
    sources: dict[Node, list[Node]] = field(default_factory=dict)
    readers: dict[Node, list[Node]] = field(default_factory=dict)
    weights: dict[Node, list[str]] = field(default_factory=dict)

    def operations(self) -> list[Node]:
        """In the order in which they ran; no weights."""
        return sorted((node for node in self.sources if node not in self.weights), key=moment)

    def once(self) -> dict[str, Call]:
        """The calls of the modules that were called once."""
        found: dict[str, list[Call]] = {}
        for call in self.calls:
            found.setdefault(call.name, []).append(call)
        return {name: calls[0] for name, calls in found.items() if len(calls) == 1}


def moment(node: Node) -> int:
    """When an operation ran, counted in operations."""
    return int(node._sequence_nr())


def images_of_sides(network: nn.Module, side: int | None = None, channels: int | None = None) -> Iterator[Tensor]:
    """Empty images (1, C, H, W) of the network's dtype and device that it may take, the likeliest first.

    Args:
        network: that is to take one.
        side: in pixels, if it is known.
        channels: if they are known.
    """
    like = next(network.parameters())
    layers = (getattr(module, 'in_channels', None) for module in network.modules() if not list(module.children()))
    first = next((layer for layer in layers if isinstance(layer, int)), 3)
    for c in (channels,) if channels else dict.fromkeys((3, first)):
        for one in (side,) if side else _SIDES:
            yield torch.zeros(1, c, one, one).to(like)


@undisturbed()
def trace(network: nn.Module, images: Iterable[Tensor]) -> Trace:
    """Run the first image that fits through `network`, in evaluation mode, and watch its modules.

    All weights count as such that learn; nothing of the network changes.

    Raises:
        ConfigError: if the network takes none of the images.
    """
    calls: list[Call] = []
    opened: list[Call] = []
    handles = _watch(network, calls, opened)
    was_training, learning = network.training, [(p, p.requires_grad) for p in network.parameters()]
    network.eval()
    said = ''
    try:
        for parameter, _ in learning:
            parameter.requires_grad_(parameter.is_floating_point())
        for image in images:
            calls.clear()
            opened.clear()
            try:
                with torch.enable_grad(), graph_alone():
                    outputs = network(image)
            except Exception as error:  # a network may raise anything at a size that is not its own
                said = said or f'{tuple(image.shape)}: {reason(error)}'
                continue
            calls.sort(key=lambda call: call.ended)
            return _graph(network, Trace(image, calls, list(dict.fromkeys(_makers(outputs)))))
    finally:
        network.train(was_training)
        for parameter, learns in learning:
            parameter.requires_grad_(learns)
        for handle in handles:
            handle.remove()
    raise ConfigError(
        f'probe_size: {type(network).__name__} takes no empty image, so its units cannot be found: {said}. Give the '
        'side of the training images: probe_size=512'
    )


def graph_alone() -> Any:
    """A context in which forwards have a graph without the tensors that a backward would need."""
    return torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.new_empty(0), lambda tensor: tensor)


def _watch(network: nn.Module, calls: list[Call], opened: list[Call]) -> list[Any]:
    events = iter(range(1 << 62))

    def begin(name: str) -> Any:
        def hook(_module: nn.Module, args: Any, kwargs: Any) -> None:
            call = Call(name, tuple(opened), next(events), entry=_makers((args, kwargs)))
            opened.append(call)
            calls.append(call)

        return hook

    def end(name: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            # What raised in between, and was caught by the network, has not ended.
            while (call := opened.pop()).name != name:
                calls.remove(call)
            call.ended, call.time, call.made = next(events), _get_sequence_nr(), _makers(output)
            call.side = max((tensor.shape[-1] for tensor in tensors_in(output) if tensor.dim() == 4), default=0)

        return hook

    handles: list[Any] = []
    for name, module in network.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(begin(name), with_kwargs=True))
            handles.append(module.register_forward_hook(end(name)))
    return handles


def _makers(values: Any) -> tuple[Node, ...]:
    return tuple(tensor.grad_fn for tensor in tensors_in(values) if tensor.grad_fn is not None)


def _graph(network: nn.Module, found: Trace) -> Trace:
    """Fill in what is behind the outputs, without what no weight has part in: that carries no gradient."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    waiting, known = list(found.outputs), set(found.outputs)
    while waiting:
        node = waiting.pop()
        found.sources[node] = [source for source, _ in node.next_functions if source is not None]
        if hasattr(node, 'variable') and id(node.variable) in names:
            found.weights[node] = names[id(node.variable)]
        waiting += [source for source in dict.fromkeys(found.sources[node]) if source not in known]
        known.update(found.sources[node])
    learned = set(found.weights)
    for node in sorted(found.sources.keys() - learned, key=moment):
        if any(source in learned for source in found.sources[node]):
            learned.add(node)
    found.outputs = [node for node in found.outputs if node in learned]
    found.sources = {
        node: [source for source in sources if source in learned]
        for node, sources in found.sources.items()
        if node in learned
    }
    for node, sources in found.sources.items():
        for source in sources:
            found.readers.setdefault(source, []).append(node)
    return found
