"""What hooks and modules know of earlier iterations, and gradients being accumulated, are there in a resumed run."""

import random
from collections import Counter, OrderedDict, defaultdict, deque

import numpy as np
import pytest
import torch
from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.runner import Runner
from torch import nn

from mmlocal.engine.resume.kept import inexact
from mmlocal.engine.resume.kept.memory import remembering
from mmlocal.engine.resume.kept.owners import put
from mmlocal.engine.resume.kept.plain import NotPlainError, pack, same, unpack
from tests.test_engine.toy import SCORES, Points, toy_runner

VALUES = {
    'a number that is none': float('nan'),
    'text': 'a',
    'nested': {'a': [1, (2.5, None)], 3: {True}},
    'frozenset': frozenset('ab'),
    'ordered': OrderedDict(b=1, a=2),
    'counter': Counter('aab'),
    'with a default': defaultdict(list, a=[1]),
    'queue': deque([1, 2], maxlen=2),
    'tensor': torch.arange(3.0),
    'size': torch.Size([1, 2]),
    'array': np.arange(4, dtype=np.uint8).reshape(2, 2),
    'scalar': np.float32(0.1),
}
GENERATORS = {
    'random': (lambda: random.Random(3), lambda made: made.random()),
    'RandomState': (lambda: np.random.RandomState(3), lambda made: made.rand()),
    'Generator': (lambda: np.random.default_rng(3), lambda made: made.random()),
    'torch': (lambda: torch.Generator().manual_seed(3), lambda made: torch.rand((), generator=made).item()),
}


def through_a_file(value, path):
    torch.save(pack(value), path)
    return torch.load(path, weights_only=True)


class TestPlain:
    @pytest.mark.parametrize('name', VALUES)
    def test_comes_back_as_it_was_from_a_file_that_runs_no_code(self, name, tmp_path):
        value = VALUES[name]
        read = through_a_file(value, tmp_path / 'file')
        back = unpack(read)
        assert type(back) is type(value)
        assert same(read, pack(value))
        assert same(pack(back), pack(value))
        assert getattr(back, 'dtype', None) == getattr(value, 'dtype', None)
        assert getattr(back, 'maxlen', None) == getattr(value, 'maxlen', None)

    @pytest.mark.parametrize('name', GENERATORS)
    def test_generators_go_on(self, name, tmp_path):
        make, draw = GENERATORS[name]
        generator, resumed = make(), make()
        draw(generator)
        owner = nn.Module()
        owner.generator = resumed
        put(owner, 'generator', unpack(through_a_file(generator, tmp_path / 'file')))
        assert owner.generator is resumed
        assert [draw(resumed) for _ in range(3)] == [draw(generator) for _ in range(3)]

    @pytest.mark.parametrize('value', [object(), len, [nn.Identity()], np.array(['a']), np.random.mtrand._rand])
    def test_other_things_and_generators_of_the_process_are_not(self, value):
        with pytest.raises(NotPlainError):
            pack(value)

    def test_one_bit_is_seen(self):
        assert not same(pack({'a': (1, 2.0)}), pack({'a': (1, 2.0000000000000004)}))
        assert not same(pack(torch.zeros(2)), pack(torch.tensor([0.0, 1e-45])))


class Noting(Hook):
    """Counts, collects and draws; acts on the model by what it has collected."""

    def __init__(self):
        self.count, self.seen, self.generator = 0, deque(maxlen=3), np.random.default_rng(0)
        self.helper = Helper()
        self.epochs = []

    def before_train(self, runner):
        self.begun = runner.iter

    def before_train_epoch(self, runner):
        self.epochs.append((runner.epoch, self.count))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.count += 1
        self.seen.append(self.generator.random())
        self.helper.total += self.seen[-1]
        runner.model.linear.weight.data += 0.01 * self.helper.total * self.count


class Helper:
    def __init__(self):
        self.total = 0.0


class SwitchOnce(Hook):
    """Makes another loader at one epoch, and another factor of its data at the next, compared by `==`."""

    def __init__(self):
        self.known = 0

    def before_train_epoch(self, runner):
        if runner.epoch == 1 and self.known == 3:
            loader = dict(batch_size=2, collate_fn=dict(type='default_collate'), dataset=Factor())
            # Without a seed, as mmyolo does.
            sampler = dict(type='DefaultSampler', shuffle=True)
            runner.train_loop.dataloader = Runner.build_dataloader(dict(loader, sampler=sampler))
        if runner.epoch == 2:
            runner.train_dataloader.dataset.factor = 3.0 + random.random()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.known += 1


class Factor(Points):
    factor = 2.0

    def __getitem__(self, index):
        return dict(inputs=super().__getitem__(index)['inputs'] * self.factor)


class Drawn(nn.Module):
    """A module with a number that is drawn at times, and kept between."""

    def __init__(self):
        super().__init__()
        self.factor, self.calls = 1.0, 0
        self.register_buffer('last', torch.zeros(()), persistent=False)

    def forward(self, x):
        self.calls += 1
        if self.calls % 4 == 3:
            self.factor = 0.5 + random.random()
        self.last = self.last * 0.5 + self.factor
        return x * self.last


def run(folder, hooks=(), count=1, resume=None, checkpoint=None, drawn=False, **kwargs):
    """Train three epochs of three iterations, saving each; resumed from the checkpoint of an iteration or not."""
    given = dict(by_epoch=False, max_keep_ckpts=-1, save_best=None) | (checkpoint or {})
    if resume:
        kwargs |= dict(resume=True, load_from=str(resume))
    runner = toy_runner(folder, checkpoint=given, **kwargs)
    runner.optim_wrapper['accumulative_counts'] = count
    if drawn:
        runner.model.linear = nn.Sequential(Drawn(), runner.model.linear)
    for hook in hooks:
        runner.register_hook(hook())
    runner.train()
    return runner


def ends_alike(folder, stops=(2, 3, 4, 7), **kwargs):
    """Resume at each of `stops`, and compare all of the last checkpoint's values that are no clocks and paths."""
    run(folder / 'whole', **kwargs)
    expected = values(folder / 'whole' / 'iter_9.pth')
    for stop in stops:
        run(folder / f'from_{stop}', resume=folder / 'whole' / f'iter_{stop}.pth', **kwargs)
        found = values(folder / f'from_{stop}' / 'iter_9.pth')
        assert found.keys() == expected.keys()
        assert [name for name in found if not same(found[name], expected[name])] == [], stop
    return expected


def values(path):
    checkpoint = torch.load(path, weights_only=False)
    state = checkpoint['run_state']
    scalars = checkpoint['message_hub']['log_scalars']
    logged = {name: list(buffer.data[0]) for name, buffer in scalars.items() if 'time' not in name}
    optimizer = {f'{i} {key}': v for i, one in checkpoint['optimizer']['state'].items() for key, v in one.items()}
    return checkpoint['state_dict'] | logged | optimizer | {name: state[name] for name in ('kept', 'gradients')}


class TestResumed:
    def test_hooks_go_on_with_what_they_know(self, tmp_path):
        expected = ends_alike(tmp_path, hooks=[Noting])
        (kept,) = expected['kept']
        assert kept['now']['Noting']['count'] == 9
        assert unpack(kept['now']['Noting']['epochs']) == [(0, 0), (1, 3), (2, 6)]
        # What `before_train` sets is set again.
        assert 'begun' not in kept['now']['Noting']

    def test_what_a_hook_did_once_is_done_again(self, tmp_path):
        ends_alike(tmp_path, hooks=[SwitchOnce])
        factors = [
            run(
                tmp_path / f'again_{stop}', [SwitchOnce], resume=tmp_path / 'whole' / f'iter_{stop}.pth'
            ).train_dataloader.dataset.factor
            for stop in (4, 7, 8)
        ]
        assert len(set(factors)) == 1
        assert 3.0 < factors[0] < 4.0

    def test_modules_go_on_with_what_they_keep_outside_their_state_dict(self, tmp_path):
        expected = ends_alike(tmp_path, drawn=True)
        assert expected['kept'][0]['now']['model.linear.0'].keys() == {'factor', 'calls', 'last'}

    @pytest.mark.parametrize('count', [2, 4])
    def test_gradients_that_are_being_accumulated(self, tmp_path, count):
        ends_alike(tmp_path, count=count, stops=(1, 2, 3, 5))
        within = values(tmp_path / 'whole' / 'iter_1.pth')['gradients'][0]
        assert {name: grad.shape for name, grad in within.items()} == {'linear.weight': (1, 4), 'linear.bias': (1,)}
        assert values(tmp_path / 'whole' / f'iter_{count}.pth')['gradients'] == [{}]

    def test_early_stopping_counts_on(self, tmp_path):
        """Scores are 1, 3, 2, …: the third is no better, which with a patience of 1 is the end."""
        given = dict(hooks=[lambda: EarlyStoppingHook('score', 'greater', patience=1)], epochs=5)
        assert SCORES[:3] == (1.0, 3.0, 2.0)
        assert run(tmp_path / 'whole', **given).iter == 9
        for stop in (6, 8, 9):
            assert run(tmp_path / f'from_{stop}', resume=tmp_path / 'whole' / f'iter_{stop}.pth', **given).iter == 9

    def test_skipped_iterations_are_counted_on(self, tmp_path):
        from mmlocal.engine import BlockwiseOptimWrapper

        runner = toy_runner(tmp_path)
        for expected in (1, 2):  # of one process, and of the next
            optimizer = torch.optim.SGD(runner.model.parameters(), 0.1)
            BlockwiseOptimWrapper(optimizer)._count_skipped()
            assert runner.message_hub.get_scalar('train/skipped').current() == expected


class Foreign(Hook):
    """Keeps an optimizer, and a function that it exchanges."""

    def __init__(self):
        self.optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], 0.1)
        self.rule, self.known = max, 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.rule = min
        self.known += 1


class Late(Hook):
    priority = 'LOWEST'

    def __init__(self):
        self.count = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.count += 1


class Dull(Hook):
    priority = 'LOWEST'

    def __init__(self):
        self.function, self.module = max, nn.Identity()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.logger.debug('nothing')


class TestNamed:
    def test_hooks_whose_state_no_checkpoint_can_hold(self, tmp_path):
        runner = toy_runner(tmp_path)
        for hook in (Foreign(), Late(), Dull(), Noting(), SwitchOnce()):
            runner.register_hook(hook)
        runner.build_train_loop(runner._train_loop)
        before = '  not to the bit when resumed: '
        assert inexact(runner) == [
            f'{before}Foreign.optimizer, a SGD, as it is no plain data',
            f'{before}Foreign.rule, a builtin_function_or_method, as it is no plain data',
            f'{before}Late, as its priority lets it run when the checkpoint has been written',
        ]

    def test_a_hook_that_is_half_plain_is_left_out_whole(self, tmp_path):
        run(tmp_path / 'whole', [Foreign, Noting])
        (kept,) = values(tmp_path / 'whole' / 'iter_9.pth')['kept']
        assert kept['now'].keys() == {'Noting', 'Noting.helper'}


class Pipeline:
    def __init__(self, *transforms):
        self.transforms = list(transforms)

    def __call__(self, results):
        for transform in self.transforms:
            results = transform(results)
        return results


class Piped(Points):
    def __init__(self, *transforms):
        super().__init__(8)
        self.pipeline = Pipeline(*transforms)

    def __getitem__(self, index):
        return self.pipeline(super().__getitem__(index))


class Mixing:
    """Adds an image that it saw before."""

    def __init__(self):
        self.seen = []

    def __call__(self, results):
        self.seen.append(results['inputs'])
        return dict(inputs=results['inputs'] + random.choice(self.seen))


class Reading:
    """Remembers what it has read; the samples are the same."""

    def __init__(self):
        self.read = {}

    def __call__(self, results):
        key = int(results['inputs'].sum())
        return dict(inputs=self.read.setdefault(key, results['inputs']))


class Jitter:
    def __call__(self, results):
        return dict(inputs=results['inputs'] * random.random())


class TestRemembering:
    @pytest.mark.parametrize(
        ('transforms', 'names'),
        [((Reading, Jitter), []), ((Reading, Mixing, Jitter), ['Reading', 'Mixing']), ((Jitter,), [])],
    )
    def test_is_told_by_the_samples(self, transforms, names):
        dataset = Piped(*(one() for one in transforms))
        pipeline, state = dataset.pipeline, random.getstate()
        assert remembering(dataset) == names
        assert dataset.pipeline is pipeline
        assert all(not getattr(one, 'seen', None) for one in pipeline.transforms)
        assert random.getstate() == state
