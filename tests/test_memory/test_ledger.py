"""The book of live tensors agrees with the allocator, and says what made them."""

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.profiler import record_function

from mmlocal.memory import Ledger, PeakMeter, fake_step, make_fake

KINDS = ('gradient', 'optimizer')


def convolutions():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 24, 3, padding=2, dilation=2)
    )


def train(model, images, optimizer):
    loss = model(images).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.fixture
def step():
    model = convolutions()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    images = torch.randn(8, 3, 48, 48)
    train(model, images, optimizer)
    return model, images, optimizer


def test_peak_is_the_allocators(step):
    with PeakMeter() as meter:
        train(*step)
    with Ledger(step[0], step[2]) as ledger:
        train(*step)
    assert ledger.peak_bytes == pytest.approx(meter.peak_bytes, rel=0.01)
    assert ledger.live_bytes[-1] == 0


def test_what_is_live_at_the_peak_adds_up_to_it(step):
    with Ledger(step[0], step[2]) as ledger:
        train(*step)
    assert sum(entry.nbytes for entry in ledger.at_peak()) == ledger.peak_bytes
    assert {entry.kind for entry in ledger.at_peak()} >= {'activation', 'workspace'}


def test_what_was_there_before_is_not_counted():
    before = torch.ones(1000)
    with Ledger() as ledger:
        before.mul_(2)
        view = before.view(10, 100)
    assert ledger.peak_bytes == 0
    del view


def test_gradients_and_optimizer_state_have_their_kind():
    model = nn.Linear(100, 100)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    with Ledger(model, optimizer) as ledger:
        model(torch.ones(1, 100)).sum().backward()
        optimizer.step()
    kinds = {kind: sum(e.nbytes for change, e in ledger.events if change > 0 and e.kind == kind) for kind in KINDS}
    weights = 4 * (100 * 100 + 100)
    assert kinds['gradient'] == weights
    assert kinds['optimizer'] >= weights


def test_labels_are_those_of_the_profiler():
    with Ledger() as ledger, record_function('outer'):
        with record_function('inner'):
            kept = torch.ones(10)
        other = torch.ones(10)
    labels = [entry.label for change, entry in ledger.events if change > 0]
    assert labels == [('outer', 'inner'), ('outer',)]
    assert [(name, begins) for _, name, begins in ledger.marks] == [
        ('outer', True),
        ('inner', True),
        ('inner', False),
        ('outer', False),
    ]
    del kept, other


def test_a_step_without_kernels_has_the_same_peak(step):
    with Ledger(step[0], step[2]) as real:
        train(*step)
    with fake_step() as fake:
        model = convolutions()
        make_fake(model, fake)
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
        images = torch.empty(8, 3, 48, 48)
        train(model, images, optimizer)
        with Ledger(model, optimizer) as ledger:
            train(model, images, optimizer)
    assert ledger.peak_bytes == pytest.approx(real.peak_bytes, rel=0.01)


def test_weights_that_are_shared_stay_shared():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    with fake_step() as fake:
        make_fake(nn.ModuleList([first, second]), fake)
    assert second.weight is first.weight


def test_sizes_that_depend_on_numbers_are_drawn_alike_each_time():
    def found():
        with fake_step():
            scores = torch.empty(3000, 400) * 2
            chosen = scores.sum(1) > 0.5
            return torch.nonzero(chosen).numel(), scores[chosen].shape[0]

    assert found() == found() == (1500, 1500)


def test_small_tensors_keep_their_numbers():
    with fake_step():
        labels = torch.tensor([0, 1, 1, 0])
        assert torch.nonzero(labels).flatten().tolist() == [1, 2]
        assert int(labels.sum()) == 2


def test_mmcv_operations_have_a_form():
    from mmcv.ops import nms, roi_align

    with fake_step():
        feature = torch.empty(2, 256, 400, 400).requires_grad_()
        rois = torch.tensor([[0.0, 1.0, 1.0, 9.0, 9.0]]) * feature.new_ones(3, 5)
        pooled = roi_align(feature, rois, (7, 7), 1.0, 0, 'avg', True)
        assert pooled.shape == (3, 256, 7, 7)
        pooled.sum().backward()
        assert feature.grad.shape == feature.shape
        boxes = torch.empty(200000, 4)[:100] * 2
        kept, index = nms(boxes, boxes.sum(1), 0.5)
        assert kept.shape[0] == index.shape[0] > 0
