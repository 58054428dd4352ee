"""What is drawn for samples: by their places in the run, whoever fetches them, and whenever the run was stopped."""

import logging
import pickle
import sys
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, DefaultSampler, InfiniteSampler, RepeatDataset
from mmengine.logging import MessageHub
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Subset

from mmlocal.engine import CountedSampler, ExactResumeHook, ResumableEpochLoop, ResumableIterLoop
from mmlocal.engine.seeded_batches import seed_batches
from mmlocal.randomness import SeededBatch, random_state

# By this name workers of any start method can import it.
sys.path.append(str(Path(__file__).parent))
drawing = import_module('drawing')
Drawn, Pipelined = drawing.Drawn, drawing.Pipelined


def passes(dataset, count=3, run=(0, 0), epochs=1, sampler=DefaultSampler, batch_size=2, **kwargs):
    """Batches of some passes in each of some epochs."""
    loader = DataLoader(dataset, batch_size, sampler=sampler(dataset, seed=3), **kwargs)
    batches = seed_batches(loader, *run)
    seen = []
    for epoch in range(epochs):
        batches.begin(epoch)
        for _ in range(count):
            seen += [batch['inputs'] for batch in islice(loader, 2)]
    return torch.cat(seen)


def assert_all_differ(drawn):
    """No number was drawn twice, of any generator."""
    for column in drawn[:, 1:].T:
        assert len(set(column.tolist())) == len(drawn)


WAYS = {
    'one worker': dict(num_workers=1),
    'several workers': dict(num_workers=3),
    'that persist': dict(num_workers=2, persistent_workers=True),
    'spawned': dict(num_workers=1, multiprocessing_context='spawn'),
    'spawned, that persist': dict(num_workers=2, multiprocessing_context='spawn', persistent_workers=True),
    'of a server': dict(num_workers=1, multiprocessing_context='forkserver'),
}


class TestWhereSamplesAreFetched:
    @pytest.fixture(scope='class')
    def expected(self):
        return passes(Drawn(), 2, epochs=2)

    def test_every_pass_and_epoch_draws_anew(self, expected):
        assert sorted(expected[:, 0].tolist()) == sorted(4 * [0, 1, 2, 3])
        assert_all_differ(expected)

    @pytest.mark.parametrize('way', WAYS)
    def test_by_whom_is_all_the_same(self, expected, way):
        assert torch.equal(passes(Drawn(), 2, epochs=2, **WAYS[way]), expected)

    @pytest.mark.parametrize('run', [(1, 0), (0, 1)], ids=['seed', 'process'])
    def test_another_run_draws_otherwise(self, expected, run):
        assert not set(passes(Drawn(), 2, run, epochs=2)[:, 1].tolist()) & set(expected[:, 1].tolist())

    def test_in_batches_of_which_size_is_all_the_same(self, expected):
        assert torch.equal(passes(Drawn(), 2, epochs=2, batch_size=4), expected)

    def test_what_was_drawn_before_is_all_the_same(self, expected):
        drawing.draw()
        assert torch.equal(passes(Drawn(), 2, epochs=2), expected)

    def test_a_batch_at_once(self):
        drawn = passes(drawing.DrawnTogether())
        assert_all_differ(drawn)
        drawing.draw()
        assert torch.equal(passes(drawing.DrawnTogether(), num_workers=1), drawn)

    def test_a_part_of_a_dataset(self):
        drawn = passes(Subset(Drawn(8), [4, 5, 6, 7]), num_workers=1)
        assert torch.equal(drawn[:, 1:], passes(Drawn())[:, 1:])

    def test_a_sample_that_is_asked_for_again_in_a_pass(self):
        def thrice(dataset, seed):
            return [0, 1, 0, 0]

        assert_all_differ(passes(Drawn(2), sampler=thrice))


class TestSeededBatch:
    def test_to_send_it_seeds_nothing(self):
        batch = SeededBatch([3, 4], [(0,), (1,)])
        before = random_state()
        sent = pickle.loads(pickle.dumps(batch))
        assert str(random_state()) == str(before)
        assert (sent[:], sent.places) == ([3, 4], [(0,), (1,)])

    def test_indices_of_any_kind(self):
        """Of videos, for instance: pairs."""
        assert list(SeededBatch([(0, 1), 'name'], [(0, (0, 1)), (0, 'name')])) == [(0, 1), 'name']

    def test_all_else_is_the_batch_samplers(self):
        sampler = DefaultSampler(Drawn())
        loader = DataLoader(Drawn(), batch_sampler=BatchSampler(sampler, 3, drop_last=False))
        seeded = seed_batches(loader, 0, 0)
        assert loader.batch_sampler is seeded
        assert (seeded.sampler, seeded.batch_size, len(loader)) == (sampler, 3, 2)

    def test_a_loader_that_trains_again_has_it_once(self):
        loader = DataLoader(Drawn(), 2)
        first = seed_batches(loader, 0, 0)
        assert seed_batches(loader, 1, 0) is first
        assert (type(first.batches), first.run) == (BatchSampler, (1, 0))


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


def mixed():
    from mmdet.datasets import MultiImageMixDataset

    return MultiImageMixDataset(Pipelined(), [dict(type=drawing.Mix)])


DATASETS = {
    'plain': Drawn,
    'joined': lambda: ConcatDataset([Pipelined(2), Pipelined(3, offset=2)]),
    'balanced': lambda: ClassBalancedDataset(Pipelined(4), oversample_thr=0.7),
    'repeated': lambda: RepeatDataset(Pipelined(), 2),
    'mixed': mixed,
    'with gaps': lambda: Pipelined(5, gap=0.3),
}
LOOPS = {
    'epochs': (partial(ResumableEpochLoop, max_epochs=3), DefaultSampler),
    'iterations': (partial(ResumableIterLoop, max_iters=7), DefaultSampler),
    'iterations of a stream': (partial(ResumableIterLoop, max_iters=7), CountedSampler),
    'rows': (partial(ResumableIterLoop, max_iters=3), lambda dataset, seed: None),
}


class Stand:
    """What a loop needs of a runner; it trains nothing, and keeps the batches."""

    seed, val_loop, optim_wrapper = 0, None, None
    logger = logging.getLogger()

    def __init__(self, stop=0):
        self._resume = stop > 0
        self.message_hub = MessageHub('of no other run')
        self.visualizer = SimpleNamespace()
        self.model = nn.Module()
        self.model.train_step = lambda data, optim_wrapper: {}
        self.hook, self.seen = ExactResumeHook(), []
        self.hooks = [self.hook]

    @property
    def epoch(self):
        return self.train_loop.epoch

    @property
    def iter(self):
        return self.train_loop.iter

    @property
    def train_dataloader(self):
        return self.train_loop.dataloader

    def call_hook(self, name, **kwargs):
        getattr(self.hook, name)(self, **kwargs)
        if name == 'before_train_iter':
            self.seen.append(kwargs['data_batch']['inputs'])


@pytest.fixture
def train(monkeypatch):
    """Batches of a run, or of what is left of it where it was stopped."""
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda _: None)

    def train(dataset, kind, stop=0, **options):
        runner, (loop, sampler) = Stand(stop), LOOPS[kind]
        loader = DataLoader(dataset, 2, sampler=sampler(dataset, seed=0), **options)
        runner.train_loop = loop(runner, loader)
        runner.train_loop._iter = stop
        runner.train_loop._epoch = stop // len(loader) if kind == 'epochs' else 0
        runner.train_loop.run()
        vars(runner.train_loop).clear()  # workers end here, not when the cycle of loop and runner is found
        return runner.seen

    return train


@pytest.mark.parametrize('loop', list(LOOPS)[:3])
class TestAResumedRun:
    """Draws what the first one would have."""

    @pytest.mark.parametrize('kind', DATASETS)
    def test_of_any_dataset(self, train, kind, loop):
        whole = train(DATASETS[kind](), loop)
        assert_all_differ(torch.cat(whole))
        for stop in range(1, len(whole)):
            assert torch.equal(torch.cat(train(DATASETS[kind](), loop, stop)), torch.cat(whole[stop:])), stop

    @pytest.mark.parametrize('persist', [False, True])
    def test_with_any_workers(self, train, persist, loop):
        whole = train(Drawn(), loop)
        rest = train(Drawn(), loop, 3, num_workers=2, persistent_workers=persist)
        assert torch.equal(torch.cat(rest), torch.cat(whole[3:]))


@pytest.mark.parametrize('workers', [0, 2])
def test_a_dataset_without_indices_is_read_as_in_mmengine_and_named(train, caplog, workers):
    with caplog.at_level(logging.WARNING):
        seen = train(drawing.DrawnInRow(), 'rows', num_workers=workers)
    first = [[0, 1], [2, 3], [4, 5]] if workers == 0 else [[0, 1], [0, 1], [2, 3]]
    assert [batch[:, 0].tolist() for batch in seen] == first
    assert caplog.messages == [
        'train_dataloader: DrawnInRow has no indices: what its samples draw depends on its workers, as in mmengine; a '
        'run that is resumed does not draw what the first one would have'
    ]
