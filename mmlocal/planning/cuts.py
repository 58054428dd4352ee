"""Dynamic programming over units: the cuts whose largest block is smallest."""

from __future__ import annotations

from functools import cache, lru_cache

from mmlocal.errors import ConfigError
from mmlocal.planning.costs import Costs

__all__ = ['balanced_cuts']

# Cuts this near to the smallest peak are as good, and are chosen by the work of their auxiliaries.
_AS_GOOD = 1.01


def balanced_cuts(costs: Costs, num_blocks: int) -> tuple[list[str], int]:
    """The names of the units that end a block, the last block's left out, and the predicted peak in bytes.

    Of the cuts whose largest block is smallest, within 1 %, those with the smallest auxiliaries.

    Raises:
        ConfigError: if there are fewer units than blocks.

    Example:
        >>> even = [1] * 4
        >>> costs = Costs(list('abcd'), [0] * 4, even, even, even, [0] * 4, [0] * 4, [0] * 4, tail=1)
        >>> balanced_cuts(costs, 2)
        (['b'], 3)
    """
    count = len(costs.names)
    if not 1 <= num_blocks <= count:
        raise ConfigError(f'num_blocks = {num_blocks} is not within 1 and {count}, the units that can be cut')
    block = lru_cache(maxsize=None)(costs.of_block)

    @cache
    def smallest(first: int, blocks: int) -> int:
        """Peak of the best division of the units from `first` on."""
        if blocks == 1:
            return block(first, count - 1)
        return min(max(block(first, last), smallest(last + 1, blocks - 1)) for last in range(first, count - blocks + 1))

    allowed = smallest(0, num_blocks) * _AS_GOOD

    @cache
    def cheapest(first: int, blocks: int) -> tuple[float, tuple[int, ...]]:
        """Bytes of the auxiliaries and last units of the cheapest division under the allowed peak."""
        if blocks == 1:
            return (0 if block(first, count - 1) <= allowed else float('inf')), ()
        found = [(float('inf'), (count,) * (blocks - 1))]
        for last in range(first, count - blocks + 1):
            if block(first, last) <= allowed:
                behind, ends = cheapest(last + 1, blocks - 1)
                found.append((costs.auxiliary[last] + behind, (last, *ends)))
        return min(found)

    ends = cheapest(0, num_blocks)[1]
    first = [0, *(end + 1 for end in ends)]
    peak = max(block(a, b) for a, b in zip(first, [*ends, count - 1], strict=True))
    return [costs.names[end] for end in ends], peak
