"""What a component takes, through its bases; and whether a value is of the kind that an argument asks for."""

import functools
import inspect
from collections.abc import Sequence
from typing import Literal

import pytest
from torch import nn

from mmlocal.signatures import signature_of
from mmlocal.validation.value_types import kind_fault


class Base:
    def __init__(self, width, depth=2):
        self.size = width, depth


class Hands(Base):
    def __init__(self, own, **kwargs):
        super().__init__(**kwargs)


class Gives(Base):
    def __init__(self, **kwargs):
        super().__init__(3, depth=1, **kwargs)


class Pops(Base):
    def __init__(self, **rest):
        self.taken = rest.pop('taken', None), rest.get('looked_at'), 'asked' in rest
        super().__init__(**rest)


class Keeps(Base):
    def __init__(self, **kwargs):
        self.kept = kwargs
        super().__init__(**kwargs)


class Swallows(Base):
    def __init__(self, **kwargs):
        super().__init__(1)


class Module(nn.Module):
    def __init__(self, own, **kwargs):
        super().__init__(**kwargs)


class Made:
    def __new__(cls, kind):
        return kind()


def function(first, *rest, second=1, **others): ...


@pytest.mark.parametrize(
    ('taker', 'names', 'is_open'),
    [
        (Base, {'width', 'depth'}, False),
        (Hands, {'own', 'width', 'depth'}, False),
        (type('Child', (Hands,), {}), {'own', 'width', 'depth'}, False),
        (Gives, set(), False),
        (Pops, {'taken', 'looked_at', 'asked', 'width', 'depth'}, False),
        (Keeps, {'width', 'depth'}, True),
        (Swallows, {'width', 'depth'}, True),
        (Module, {'own'}, False),
        (Made, set(), True),
        (function, {'first', 'second'}, True),
        (functools.partial(function, second=2), {'first', 'second'}, True),
    ],
)
def test_names_of_a_component(taker, names, is_open):
    signature = signature_of(taker)
    assert set(signature.parameters) == names
    assert signature.is_open is is_open


def fault(annotation, value, default=inspect.Parameter.empty, strict=False):
    kind = inspect.Parameter.KEYWORD_ONLY
    return kind_fault('x', value, inspect.Parameter('x', kind, annotation=annotation, default=default), strict)


@pytest.mark.parametrize(
    ('annotation', 'value', 'said'),
    [
        (int, 'three', "x = 'three' is not a whole number"),
        (float | None, 'much', "x = 'much' is not a number"),
        (bool, 'yes', "x = 'yes' is not True or False"),
        (int | str, {}, 'x = {} is not a whole number or a text'),
        ('int | None', 'three', "x = 'three' is not a whole number"),
        (Literal['mean', 'sum'], 'mena', "x = 'mena' is not one of mean, sum. Did you mean 'mean'?"),
    ],
)
def test_value_of_another_kind(annotation, value, said):
    assert fault(annotation, value) == said


def test_kind_of_a_default():
    empty = inspect.Parameter.empty
    assert fault(empty, 'three', default=0.5) == "x = 'three' is not a number"
    assert fault(empty, 'yes', default=True) == "x = 'yes' is not True or False"
    assert fault(empty, 'anything', default=None) is None


@pytest.mark.parametrize(
    ('annotation', 'value'),
    [
        (int, None),
        (int, 2.0),
        (str, 512.0),
        (float, 1),
        (Sequence[int], 3),
        (dict, 'a'),
        (int | nn.Module, 'a'),
        ('int | Place', 'a'),
        (Literal['mean', None], None),
    ],
)
def test_annotations_of_hosts_are_taken_loosely(annotation, value):
    assert fault(annotation, value) is None


def test_own_annotations_are_taken_at_their_word():
    assert fault('int', 0.5, strict=True) == 'x = 0.5 is not a whole number'
    assert fault('int', None, strict=True) == 'x = None is not a whole number'
    assert fault('int | None', None, strict=True) is None
