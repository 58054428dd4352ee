"""What looks at a run changes nothing of what is drawn in it."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from mmlocal.blocks.finding import find_units
from mmlocal.blocks.probe import probe
from mmlocal.config import localize
from mmlocal.engine.summary import find_division, make_plan
from mmlocal.planning import TrainingStep, estimate, plan
from mmlocal.randomness import seed_by_place, undisturbed
from mmlocal.validation import validate


def draws():
    """Further than one number, as generators keep some."""
    return [(random.random(), np.random.randn(), torch.randn(()).item()) for _ in range(3)]


@pytest.fixture
def undrawn():
    """Fail a test that leaves the generators otherwise than it found them."""
    seed_by_place(0)
    np.random.randn()
    expected = draws()
    seed_by_place(0)
    np.random.randn()
    yield
    assert draws() == expected


def disturb():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    np.random.randn()


def test_whatever_is_done_inside(undrawn):
    with undisturbed():
        disturb()


def test_an_error_inside(undrawn):
    @undisturbed()
    def fails():
        disturb()
        raise ValueError('inside')

    with pytest.raises(ValueError, match='inside'):
        fails()


def test_places_draw_apart_and_each_the_same():
    def at(*place):
        seed_by_place(*place)
        return draws()

    assert at(0, 1) == at(0, 1)
    assert len({str(at(*place)) for place in [(0, 1), (1, 0), (0, 1, 0), ('0', 1), ((0, 1),)]}) == 5


class Restless(nn.Module):
    """Draws in every forward."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, image):
        disturb()
        return self.two(self.one(image))


def test_a_probe(undrawn):
    with undisturbed():
        network = Restless()
    probe(network, find_units(network, ['one', 'two'])[0], torch.zeros(1, 3, 8, 8))


@pytest.fixture
def planned(config):
    cfg = config('man/resnet32_man_mini-digits.py')
    cfg.model.backbone.partition = dict(type='Balanced', num_blocks=2, shape=(3, 32, 32), batch=2)
    return cfg


@pytest.mark.integration
def test_a_plan(undrawn, planned):
    plan(localize(planned))


@pytest.mark.integration
@pytest.mark.parametrize('look', [validate, estimate, TrainingStep, make_plan], ids=lambda f: f.__name__)
def test_a_check_a_step_and_an_estimate(undrawn, config, look):
    cfg = localize(config('man/resnet32_man_mini-digits.py'))
    if look is validate:
        validate(cfg, splits=())
    elif look is make_plan:
        with undisturbed():
            division = find_division(TrainingStep(cfg, (3, 32, 32), 2).model)
        make_plan(division)
    else:
        look(cfg, (3, 32, 32), 2)
