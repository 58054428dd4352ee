"""Randomness by place: what a sample's transforms draw."""

import pickle
import random
from itertools import islice

import pytest
from mmengine.dataset import InfiniteSampler

from mmlocal.engine import CountedSampler, SeedSample, exact_resume


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


def test_joined_datasets_draw_each_its_own(run):
    assert draws(SeedSample(), 3) == draws(SeedSample(stream=0), 3) != draws(SeedSample(stream=1), 3)


class TestCountedSampler:
    def test_the_same_indices_as_the_stock_one_with_their_pass(self):
        stock = list(islice(InfiniteSampler(range(4), seed=3), 10))
        counted = list(islice(CountedSampler(range(4), seed=3), 10))
        assert counted == stock
        assert [index.visit for index in counted] == [0] * 4 + [1] * 4 + [2] * 2

    def test_skipped_indices_are_counted(self):
        whole, resumed = CountedSampler(range(4), seed=3), CountedSampler(range(4), seed=3)
        resumed.skip(5)
        pairs = zip(islice(whole, 5, 9), islice(resumed, 4), strict=True)
        assert all((a, a.visit) == (b, b.visit) for a, b in pairs)

    def test_visits_survive_the_way_to_a_worker(self):
        index = next(islice(CountedSampler(range(4), seed=3), 6, None))
        sent = pickle.loads(pickle.dumps(index))
        assert (sent, sent.visit) == (index, 1)

    def test_draws_do_not_depend_on_what_a_worker_has_seen(self, run):
        indices = list(islice(CountedSampler(range(2), seed=3), 6))
        whole = draws(SeedSample(), *indices)
        assert len(set(whole)) == 6
        assert draws(SeedSample(), *indices[3:]) == whole[3:]
