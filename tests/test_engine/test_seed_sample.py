"""Randomness by place: what a sample's transforms draw."""

import random

import pytest

from mmlocal.engine import SeedSample, exact_resume


@pytest.fixture
def run(monkeypatch):
    """Seed and epoch as the workers see them; both may be set."""
    shared = exact_resume._RUN.clone()
    monkeypatch.setattr(exact_resume, '_RUN', shared)
    return shared


def draws(transform, *samples):
    found = []
    for sample in samples:
        transform(dict(sample_idx=sample))
        found.append(random.random())
    return found


def test_every_visit_of_a_sample_draws_anew(run):
    """As a repeated dataset has it, or a loop by iterations, whose training is one epoch."""
    assert len(set(draws(SeedSample(), 3, 3, 3, 5, 5))) == 5


def test_a_run_that_passes_over_the_first_visits_draws_the_same(run):
    whole = draws(SeedSample(), 3, 5, 3, 3)
    random.random()
    assert draws(SeedSample(), 3, 5, 3, 3) == whole


def test_another_sample_between_changes_nothing(run):
    assert draws(SeedSample(), 3, 5, 3)[::2] == draws(SeedSample(), 3, 3)


@pytest.mark.parametrize('place', [0, 1], ids=['seed', 'epoch'])
def test_seed_and_epoch_change_the_draws_and_an_epoch_counts_from_its_start(run, place):
    transform = SeedSample()
    first = draws(transform, 3, 3)
    run[place] += 1
    second = draws(transform, 3, 3)
    assert not set(first) & set(second)
    assert draws(SeedSample(), 3, 3) == second
