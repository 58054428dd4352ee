"""What every method must do on every task that it has a form for; one table."""

import copy
import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from mmlocal.auxiliaries import CopyBridge, MomentumCopy
from mmlocal.blocks import LocalStep
from mmlocal.config import localize, make_local, method_names
from mmlocal.engine import MomentumHook
from mmlocal.memory import PeakMeter
from mmlocal.registry import MODELS

# Host config, side of the images.
TASKS = {
    'cls': ('e2e/resnet32_mini-digits.py', 32),
    'det': ('e2e/retinanet_r18_mini-coco.py', 128),
    'seg': ('e2e/deeplabv3_r18_mini-cityscapes.py', 64),
    'sr': ('e2e/edsr_x2_mini-div2k.py', 24),
}
EVERY = tuple(TASKS)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Entry:
    """What is particular to a method.

    `reach` and `overlap`: how far its losses flow. `copies`: whether it has momentum copies. `costs_more`: tasks
    where, on a network this small, its auxiliaries cost more memory than the blocks save.
    """

    tasks: tuple[str, ...] = EVERY
    reach: int = 1
    overlap: int = 0
    blocks: int = 4
    copies: bool = False
    costs_more: tuple[str, ...] = field(default=())


TABLE = {
    'greedy': Entry(),
    'dgl': Entry(),
    'predsim': Entry(tasks=('cls',)),
    'infopro': Entry(),
    'auglocal': Entry(),
    'man': Entry(copies=True),
    'man_plus_plus': Entry(copies=True),
    'fba': Entry(),
    'hilo': Entry(reach=2, costs_more=('seg',)),
    'hpff': Entry(tasks=('cls', 'seg', 'sr'), reach=2, costs_more=('seg',)),
    'mlaan': Entry(reach=3, copies=True, blocks=7, costs_more=('det', 'seg', 'sr')),
    'backlink': Entry(overlap=1, costs_more=('seg',)),
    'sgr': Entry(tasks=('cls',)),
}
missing = set(method_names()) ^ set(TABLE)
if missing:
    raise RuntimeError(f'methods and entries differ: {", ".join(sorted(missing))}')
CASES = [(method, task) for method, entry in TABLE.items() for task in entry.tasks]


class Trained:
    """A method on a task's host, ready to train on one batch."""

    def __init__(self, method, task, generated_batch):
        path, size = TASKS[task]
        cfg = host(path)
        self.cfg = localize(make_local(cfg, method, TABLE[method].blocks) if method else cfg)
        self.scope = cfg.default_scope
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(self.scope):
            self.model = MODELS.build(copy.deepcopy(self.cfg.model)).train()
            self.model.init_weights()
        torch.manual_seed(1)
        batch = generated_batch(self.scope, size, 2 if task == 'sr' else 10)
        if task == 'cls':
            batch = {key: torch.cat([v] * 4) if key == 'inputs' else v * 4 for key, v in batch.items()}
        if task == 'seg':
            self.model.data_preprocessor.size = (size, size)
        self.batch = batch
        self.size = size
        wrapper = dict(type='mmlocal.BlockwiseOptimWrapper', constructor='mmlocal.LocalOptimWrapperConstructor')
        self.optim = build_optim_wrapper(self.model, dict(wrapper, optimizer=dict(type='SGD', lr=1e-3, momentum=0.9)))
        self.hook = MomentumHook()
        self.optim_wrapper = self.optim
        self.hook.before_train(self)

    @property
    def network(self):
        return getattr(self.model, 'backbone', None) or self.model.generator

    def step(self):
        torch.manual_seed(2)
        with DefaultScope.overwrite_default_scope(self.scope):
            return self.model.train_step(copy.deepcopy(self.batch), self.optim)


def host(path):
    return Config.fromfile(f'configs/{path}')


@pytest.fixture
def make(generated_batch, monkeypatch):
    import mmlocal.models.cifar_resnet  # noqa: F401
    from mmlocal.hosts import import_hosts, name_installed_distributions

    monkeypatch.chdir(ROOT)
    name_installed_distributions()
    import_hosts(host(TASKS['sr'][0]))
    return lambda method, task: Trained(method, task, generated_batch)


@pytest.mark.integration
@pytest.mark.parametrize(('method', 'task'), CASES, ids=lambda v: v)
def test_method_on_task(make, method, task):
    entry, run = TABLE[method], make(method, task)
    copies = [m for m in run.model.modules() if isinstance(m, MomentumCopy)]
    assert bool(copies) == entry.copies
    held = {id(p) for group in run.optim.optimizer.param_groups for p in group['params']}
    named = dict(run.model.named_parameters())
    assert held == {id(p) for name, p in named.items() if p.requires_grad or 'local_auxiliaries' not in name}
    before = [copy.deepcopy(m.module.state_dict()) for m in copies]
    first = run.step()['loss'].item()
    for _ in range(3):
        last = run.step()['loss'].item()
    assert last < first
    for moved, old in zip(copies, before, strict=True):
        assert moved.steps == 5
        assert any(not torch.equal(v, old[k]) for k, v in moved.module.state_dict().items())
    resumes(make, run, method, task)
    publishes(make, run, task)


def resumes(make, run, method, task):
    """Model and optimizer written and read give the next step to the bit."""
    file = io.BytesIO()
    torch.save(dict(model=run.model.state_dict(), optim=run.optim.state_dict()), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    run.step()
    other = make(method, task)
    other.model.load_state_dict(state['model'])
    other.optim.load_state_dict(state['optim'])
    other.step()
    for (name, mine), theirs in zip(run.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name


def publishes(make, run, task):
    """Without what belongs to the auxiliaries, the state is the stock model's, and so are the outputs."""
    stock = make(None, task)
    state = {k: v for k, v in run.model.state_dict().items() if '.local_auxiliaries.' not in k}
    stock.model.load_state_dict(state)
    image = torch.randn(1, 3, run.size, run.size)
    outputs = []
    for one in (run, stock):
        one.network.eval()
        with torch.no_grad():
            outputs.append(list_of(one.network(image)))
    assert all(torch.equal(a, b) for a, b in zip(*outputs, strict=True))


def list_of(output):
    return list(output) if isinstance(output, (tuple, list)) else [output]


@pytest.mark.integration
@pytest.mark.parametrize(('method', 'task'), CASES, ids=lambda v: v)
def test_a_loss_reaches_its_blocks_and_no_other(make, monkeypatch, method, task):
    """For each loss, local ones and the model's own: with the others silent, which blocks get a gradient."""
    entry = TABLE[method]
    run = make(method, task)
    run.optim.zero_grad = run.optim.step = lambda **_: None
    # Copies that start equal, and losses of which a weight is zero, would hide a path.
    with torch.no_grad():
        for module in run.model.modules():
            if isinstance(module, CopyBridge):
                for p in module.copies.parameters():
                    p.add_(0.01 * torch.randn_like(p))
    blocks = run.network.local_division.blocks
    first = run.network.local_division.untrained
    for heard in range(first, len(blocks)):
        run.model.zero_grad()
        silence(run, heard, monkeypatch)
        run.step()
        reached = [i for i, block in enumerate(blocks) if any(_has_gradient(u, run.network) for u in block)]
        begin = max(0, heard - entry.reach + 1 - (entry.overlap > 0))
        assert reached == list(range(begin, heard + 1)), f'loss of block {heard + 1}'
        if entry.overlap and begin < heard:
            deaf = blocks[begin][: -entry.overlap]
            assert not any(_has_gradient(unit, run.network) for unit in deaf)


def _has_gradient(unit, network):
    return any(p.grad is not None and p.grad.any() for p in unit.parameters(network))


def silence(run, heard, monkeypatch):
    """Let only the loss at the end of block `heard` be propagated; the last block's is the model's own."""
    own = heard == len(run.network.local_division.blocks) - 1
    if not own:  # the penalty on the last block's gradient
        monkeypatch.setattr(LocalStep, 'own_loss', lambda _, loss, scale: loss)
    else:
        monkeypatch.undo()
        monkeypatch.chdir(ROOT)
    counter = iter(parts_of(run))
    run.optim._split_end = False  # the model's own heads in one
    run.optim._backward_local = lambda loss: (loss * (next(counter) == heard)).backward()
    run.optim.scale_loss = lambda loss: loss * own


def parts_of(run):
    """For each propagation of a local loss in a step, the index of its block."""
    for i, trainer in enumerate(run.network.local_division.trainers):
        streams = [trainer.independent, trainer.cascade] if hasattr(trainer, 'cascade') else [trainer]
        for auxiliary in streams if trainer else []:
            # Patches one by one; head and terms one by one, unless there is a bank, or one loss for all.
            whole = auxiliary.merge or run.network.local_division.reconcile
            parts = 1 if whole else 1 + len(auxiliary.terms)
            yield from [i] * (auxiliary.patches**2 if hasattr(auxiliary, 'patches') else parts)


@pytest.mark.integration
@pytest.mark.parametrize(('method', 'task'), CASES, ids=lambda v: v)
def test_memory_is_below_end_to_end(make, method, task):
    peaks = []
    for name in (method, None):
        run = make(name, task)
        run.step()
        with PeakMeter() as meter:
            run.step()
        peaks.append(meter.peak_bytes)
    assert (peaks[0] < peaks[1]) == (task not in TABLE[method].costs_more), peaks


@pytest.mark.integration
@pytest.mark.parametrize(('method', 'task'), CASES, ids=lambda v: v)
def test_a_batch_of_one_trains(make, method, task):
    """As an epoch's last one may be: every method trains wherever its host does."""
    run = make(method, task)
    run.batch = {key: value[:1] for key, value in run.batch.items()}
    if task == 'seg':  # whose own head pools to one pixel under batch norm: the host's matter
        run.model.decode_head.eval()
    moved = {name: p.detach().clone() for name, p in run.model.named_parameters() if 'local_auxiliaries' in name}
    assert all(torch.as_tensor(value).isfinite().all() for value in run.step().values())
    assert any(not torch.equal(p, moved[name]) for name, p in run.model.named_parameters() if name in moved)
