"""Random mutations of a config: what each kind does to it."""

import copy
import math
import random

import pytest

from mmlocal.benchmarks.mutations import KINDS, draw, places

CONFIG = dict(model=dict(type='Net', width=4, depths=[1, 2, 3], drop=0.1), train_cfg=dict(by_epoch=True, max_epochs=2))


def mutations_of(kind):
    drawn = (draw(random.Random(seed), CONFIG) for seed in range(400))
    return [one for one in drawn if one.kind == kind]


@pytest.mark.parametrize('kind', KINDS)
def test_each_kind_is_drawn_and_changes_one_place(kind):
    found = mutations_of(kind)
    assert len({one.path for one in found}) > 1
    before = copy.deepcopy(CONFIG)
    for one in found:
        changed = one.apply(CONFIG)
        assert before == CONFIG
        assert repr(changed) != repr(CONFIG)
        top = one.path[0]
        others = {name for name in CONFIG if name != top}
        moved = len(one.path) == 1 and one.kind in ('swapped', 'misspell')
        assert moved or all(changed[name] == CONFIG[name] for name in others)


def value_of(kind):
    one = mutations_of(kind)[0]
    holder = one.apply(CONFIG)
    for name in one.path:
        holder = holder[name]
    return one.before, holder


def test_kinds_of_numbers():
    assert value_of('zero')[1] == 0
    assert value_of('negative')[1] < 0
    assert not math.isfinite(value_of('NaN')[1])
    before, huge = value_of('huge')
    assert huge >= 1000 * before
    before, other = value_of('float for int')
    assert isinstance(other, float)
    assert other - before in (0.0, 0.5)


def test_places_are_those_of_all_dicts_and_lists():
    found = list(places(CONFIG))
    assert ('model', 'depths', 2) in found
    assert ('train_cfg', 'max_epochs') in found
    assert len(found) == 11


def test_a_mutation_is_for_a_config_with_the_same_value():
    one = mutations_of('zero')[0]
    with pytest.raises(LookupError, match='not'):
        one.apply(dict(model=dict(width=5, depths=[9, 9, 9], drop=9), train_cfg=dict(max_epochs=9)))
    with pytest.raises(LookupError, match='not'):
        one.apply(dict(model='a text', train_cfg='another'))
