"""Cuts by dynamic programming, held against trying all of them."""

import random
from itertools import combinations, pairwise

import pytest

from mmlocal.errors import ConfigError
from mmlocal.planning import Costs, balanced_cuts


def drawn(seed, count=8):
    draw = random.Random(seed)
    columns = {
        name: [draw.randint(1, 100) for _ in range(count)]
        for name in ('base', 'kept', 'forward', 'backward', 'auxiliary', 'weights', 'auxiliary_weights')
    }
    return Costs([f'unit{i}' for i in range(count)], **columns, auxiliary_static=[7] * count, static=50, tail=60)


def peak_of(costs, ends):
    bounds = [-1, *ends, len(costs.names) - 1]
    return max(costs.of_block(first + 1, last) for first, last in pairwise(bounds))


@pytest.mark.parametrize('num_blocks', [1, 2, 3, 5, 8])
@pytest.mark.parametrize('seed', range(4))
def test_no_cuts_have_a_smaller_peak(seed, num_blocks):
    costs = drawn(seed)
    cuts, peak = balanced_cuts(costs, num_blocks)
    every = combinations(range(len(costs.names) - 1), num_blocks - 1)
    smallest = min(peak_of(costs, ends) for ends in every)
    assert len(cuts) == num_blocks - 1
    assert peak == peak_of(costs, [costs.names.index(cut) for cut in cuts])
    assert peak <= 1.01 * smallest


def test_of_cuts_as_good_those_of_the_smallest_auxiliaries_are_taken():
    same = [1] * 4
    none = [0] * 4
    costs = Costs(list('abcd'), none, none, same, same, [5, 1, 3, 0], none, none, none, tail=9)
    assert balanced_cuts(costs, 2) == (['b'], 9)


def test_a_block_more_than_units_is_refused():
    with pytest.raises(ConfigError, match='num_blocks = 9 is not within 1 and 8'):
        balanced_cuts(drawn(0), 9)


def test_total_counts_the_auxiliaries_that_are_there():
    assert drawn(0).total(['unit1', 'unit3'], peak=100) == 50 + 2 * 7 + 100
