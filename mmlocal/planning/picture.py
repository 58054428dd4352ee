"""Live bytes over a training step, coloured by what was going on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmlocal.memory import Ledger

__all__ = ['draw_live_bytes', 'phases']

_PHASES = ('auxiliary', 'backward')


def phases(ledger: Ledger) -> list[tuple[int, int, str]]:
    """First and last event of what went on in turn: `block1`, `block1.auxiliary`, `block1.backward`, … `the end`."""
    found, start, block = [], 0, 1
    for i, name, begins in ledger.marks:
        where, _, phase = name.rpartition('.')
        if phase == 'boundary' and begins:
            found.append((start, i, f'block{block}'))
            block += 1
        elif phase in _PHASES and not begins:
            found.append((start, i, name))
        elif phase == 'boundary':
            # The block's own optimizer step.
            found.append((start, i, f'{where}.backward'))
        start = i if where.startswith('block') else start
    return [*found, (start, len(ledger.events), f'block{block} and the end')]


def draw_live_bytes(ledgers: Mapping[str, Ledger], path: str | Path) -> None:
    """Write a picture (.png, .pdf, .svg) with a panel a ledger, on one scale.

    Args:
        ledgers: by title.
        path: of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3 * len(ledgers)), layout='constrained')
    panels: Any = figure.subplots(len(ledgers), 1, sharey=True, squeeze=False)[:, 0]
    for panel, (title, ledger) in zip(panels, ledgers.items(), strict=True):
        _draw(panel, ledger)
        panel.set_title(f'{title}: {ledger.peak_bytes / 2**20:.0f} MiB', loc='left', fontsize='medium')
    figure.supxlabel('allocations and frees over one training step')
    figure.supylabel('live MiB above the weights')
    figure.savefig(path, dpi=150)


def _draw(panel: Any, ledger: Ledger) -> None:
    live = [nbytes / 2**20 for nbytes in ledger.live_bytes]
    blocks = list(dict.fromkeys(name.split('.')[0] for _, _, name in phases(ledger)))
    for first, last, name in phases(ledger):
        block, _, phase = name.partition('.')
        colour = f'C{blocks.index(block) % 10}'
        alpha = {'': 0.45, 'auxiliary': 0.75, 'backward': 1.0}[phase]
        panel.fill_between(range(first, last + 1), live[first : last + 1], color=colour, alpha=alpha, lw=0)
    for i, block in enumerate(blocks):
        panel.fill_between([], [], color=f'C{i % 10}', label=block)
    peak = live.index(max(live))
    top = '\n'.join(f'{entry.made_by} {entry.nbytes / 2**20:.0f} MiB' for entry in ledger.at_peak()[:3])
    at = dict(textcoords='offset points', va='top', fontsize='x-small', annotation_clip=False)
    panel.annotate(top, (peak, live[peak]), (8, -4), **at)
    panel.plot(peak, live[peak], 'kv', ms=5)
    title = 'light: forward, middle: auxiliary, full: backward'
    panel.legend(fontsize='x-small', ncols=2, title=title, title_fontsize='x-small')
    panel.margins(x=0.01)
