"""What will be trained how: a line a block, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from mmlocal.blocks import Batch, Division, LocalBackbone, MapSize, separate, span
from mmlocal.memory import SavedBytes
from mmlocal.randomness import undisturbed

__all__ = ['BlockPlan', 'find_division', 'fingerprint', 'make_plan', 'plan_text']


_LATER = "none: later blocks' losses train it"


@dataclass(frozen=True)
class BlockPlan:
    """One block: its units, its parameters, what trains it, and what it keeps in memory.

    Args:
        name: `block1` …
        units: first and last unit.
        parameters: of the units; those that train.
        auxiliary: bridge and head in a few words, `None` for the last block.
        auxiliary_parameters: of bridge and head; those that train.
        bytes_per_pixel: kept for the backward by its units, per pixel of the input images.
        auxiliary_bytes_per_pixel: kept by the auxiliary.
    """

    name: str
    units: str
    parameters: int
    auxiliary: str | None
    auxiliary_parameters: int
    bytes_per_pixel: float
    auxiliary_bytes_per_pixel: float = 0.0


def find_division(model: nn.Module) -> Division | None:
    """How the first `LocalBackbone` inside `model` is divided, if there is one, and it has auxiliaries."""
    local = (module for module in model.modules() if isinstance(module, LocalBackbone))
    return next((module.local_division for module in local if hasattr(module, 'local_division')), None)


def fingerprint(division: Division) -> list[str]:
    """What must be the same for a checkpoint to be resumed: a line a block, without measured figures."""
    trainers = [trainer.description if trainer else _LATER for trainer in division.trainers] + ["the model's own heads"]
    return [f'{span(block)}: {trainer}' for block, trainer in zip(division.blocks, trainers, strict=True)]


@undisturbed()
def make_plan(division: Division) -> list[BlockPlan]:
    """Measure the plan of a division by one forward of an empty image; its weights stay as they are."""
    saved = _saved_bytes(division)
    auxiliaries = [*division.trainers, None]
    return [
        BlockPlan(
            name=name,
            units=span(block),
            parameters=_trainable(p for unit in block for p in unit.parameters(division.network)),
            auxiliary=None if auxiliary is None else auxiliary.description,
            auxiliary_parameters=0 if auxiliary is None else _trainable(auxiliary.parameters()),
            bytes_per_pixel=of_block / division.probe_size**2,
            auxiliary_bytes_per_pixel=of_auxiliary / division.probe_size**2,
        )
        for name, block, auxiliary, of_block, of_auxiliary in zip(
            division.block_names, division.blocks, auxiliaries, *saved, strict=True
        )
    ]


def _trainable(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters if p.requires_grad)


def _saved_bytes(division: Division) -> tuple[list[int], list[int]]:
    """Bytes kept by each block, and by its auxiliary, for one empty image, in evaluation mode."""
    ends = [(division.network.get_submodule(block[-1].end), MapSize()) for block in division.blocks[:-1]]
    features: list[tuple[Any, ...]] = []
    bank: dict[str, Any] = {}

    def note(size: MapSize) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            feature, further = size.separate(args, output)
            features.append((feature.detach(), *further))

        return hook

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _args, output: bank.update({name: separate(output)[0].detach()})

    reads = {name for auxiliary in division.auxiliaries for name in auxiliary.reads}
    read = [(unit.name, division.network.get_submodule(unit.end)) for unit in division.units if unit.name in reads]
    network = division.network
    was_training = network.training
    network.eval()
    with SavedBytes(network) as saved:
        handles = [end.register_forward_hook(hook) for end, size in ends for hook in (saved.next_part, note(size))]
        for (_, size), block in zip(ends, division.blocks, strict=False):
            handles += size.watch(network, block[-1])
        handles += [end.register_forward_hook(keep(name)) for name, end in read]
        alive = network(division.image(division.probe_size))
    for handle in handles:
        handle.remove()
    of_blocks, of_auxiliaries = saved.parts, [0] * len(division.blocks)
    for i, (auxiliary, (feature, *further)) in enumerate(zip(division.trainers, features, strict=True)):
        if auxiliary is None:
            continue
        with SavedBytes(network) as saved:
            alive = auxiliary(feature.requires_grad_(), Batch(further=tuple(further), bank=bank))
        of_auxiliaries[i] = saved.total
    del alive
    network.train(was_training)
    return of_blocks, of_auxiliaries


def plan_text(division: Division, step_policy: str, model: nn.Module | None = None) -> str:
    """The plan for a person: a line a block, then what is detached for whom.

    Args:
        division: of the model's network.
        step_policy: of the optimizer wrapper.
        model: the host, for the auxiliary heads that it has of its own.
    """
    blocks = make_plan(division)
    lines = [
        f'Local learning of {division.name} in {len(blocks)} blocks; {_flow(division)}; optimizer steps: {step_policy}'
    ]
    width = max(len(block.units) for block in blocks)
    for block in blocks:
        trainer = "the rest of the model, by its own loss (not in this line's bytes)"
        if block is not blocks[-1] and block.auxiliary is None:
            trainer = _LATER
        elif block.auxiliary is not None:
            trainer = f'auxiliary of {block.auxiliary_parameters / 1e6:.2f} M: {block.auxiliary}'
        mib = (block.bytes_per_pixel + block.auxiliary_bytes_per_pixel) * 1e6 / 2**20
        lines.append(
            f'  {block.name}  {block.units:<{width}}  {block.parameters / 1e6:6.2f} M train,'
            f' about {mib:5.0f} MiB live per megapixel of input | {trainer}'
        )
    return '\n'.join(lines + _bank(division) + _detached(division) + _own_heads(division, model))


def _flow(division: Division) -> str:
    """How far losses flow back, in words."""
    if division.isolated:
        agree = ', and its gradient is to agree with that of the block before' if division.reconcile else ''
        return f'each block learns from its own loss{agree}'
    blocks = f'{division.reach} block{"s" if division.reach > 1 else ""}'
    units = f' and {division.overlap} units of the one before' if division.overlap else ''
    return f'a loss reaches {blocks}{units}'


def _detached(division: Division) -> list[str]:
    lines = []
    frozen = division.frozen_units
    if frozen:
        lines.append(f'  frozen: {span(frozen)}')
    silent = {unit.name for unit in [*frozen, *division.blocks[-1]]}
    early = [name for name in division.probe.handed_out if name not in silent]
    if early:
        lines.append(
            f'  detached: the rest of the model learns from what it reads of {", ".join(early)}, '
            'but those blocks do not hear its loss'
        )
    return lines


def _bank(division: Division) -> list[str]:
    """What the feature bank holds, and how large that is."""
    reads = dict.fromkeys(name for auxiliary in division.auxiliaries for name in auxiliary.reads)
    if not reads:
        return []
    shapes = division.probe.shapes
    per_pixel = sum(4 * shapes[name].channels / shapes[name].stride ** 2 for name in reads)
    return [
        f'  feature bank: {", ".join(reads)}, detached; about {per_pixel * 1e6 / 2**20:.1f} MiB per megapixel of input'
    ]


def _own_heads(division: Division, model: nn.Module | None) -> list[str]:
    """The auxiliary heads that a segmentor has beside its decode head, which go on as they were."""
    heads = getattr(model, 'auxiliary_head', None)
    several = heads if isinstance(heads, nn.ModuleList) else [heads] if isinstance(heads, nn.Module) else []
    lines = []
    for head in several:
        index = getattr(head, 'in_index', -1)
        indices = index if isinstance(index, (list, tuple)) else [index]
        read = sorted({name for i in indices for name in division.probe.outputs[i]})
        deaf = [
            block_name
            for block_name, block in zip(division.block_names[:-1], division.blocks, strict=False)
            if any(unit.name in read for unit in block)
        ]
        heard = f', which {", ".join(deaf)} does not hear' if deaf else ''
        lines.append(f"  the host's own auxiliary_head: {type(head).__name__} on {', '.join(read)}{heard}")
    return lines
