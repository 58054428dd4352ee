"""The memory win is one of order alone, and no test of gradients would miss it."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch.optim import SGD

from mmlocal.blocks import Batch, LocalStep
from mmlocal.config import localize
from mmlocal.engine import BlockwiseOptimWrapper
from mmlocal.memory import PeakMeter
from mmlocal.registry import MODELS, OPTIM_WRAPPERS

CUTS = ['layer1.0', 'layer1.2', 'layer2.2']


def peak_bytes(host, inputs, optim):
    """Peak of the second step; the first one allocates what stays."""
    host.train_step(inputs, optim)
    with PeakMeter() as meter:
        host.train_step(inputs, optim)
    return meter.peak_bytes


def resnet50_peak(make_host, wrapper, **backbone):
    host = make_host(depth=50, base_channels=16, dtype=torch.float32, **backbone)
    inputs = dict(inputs=torch.randn(8, 3, 128, 128), data_samples=None)
    return peak_bytes(host, inputs, wrapper(optimizer=SGD(host.parameters(), lr=0.01)))


@pytest.fixture
def end_to_end_peak(make_host):
    return resnet50_peak(make_host, OptimWrapper)


def test_interleaved_is_below_end_to_end(make_host, end_to_end_peak):
    assert resnet50_peak(make_host, BlockwiseOptimWrapper, partition=CUTS) < 0.5 * end_to_end_peak


def test_one_backward_at_the_end_is_not(make_host, end_to_end_peak, monkeypatch):
    """The same losses collected for one backward cost as much as end-to-end training."""
    collected = []

    def collect(step, outputs, auxiliary, *_):
        losses = auxiliary.loss(outputs[0], Batch(step._inputs, step._data_samples))
        collected.append(losses['loss_square'])
        return [output.detach() for output in outputs]

    def backward(optim, loss, **kwargs):
        OptimWrapper.backward(optim, loss + sum(collected), **kwargs)
        collected.clear()

    monkeypatch.setattr(LocalStep, 'train_block', collect)
    monkeypatch.setattr(BlockwiseOptimWrapper, 'backward', backward)
    assert resnet50_peak(make_host, BlockwiseOptimWrapper, partition=CUTS) > 0.95 * end_to_end_peak


def test_reach_2_holds_two_blocks(make_host, end_to_end_peak):
    peaks = [resnet50_peak(make_host, BlockwiseOptimWrapper, partition=CUTS, reach=reach) for reach in (1, 2)]
    assert peaks[0] < peaks[1] < 0.95 * end_to_end_peak


def test_per_block_steps_free_gradients(make_host):
    peaks = []
    for policy in ('joint', 'per_block'):
        host = make_host(depth=18, base_channels=64, dtype=torch.float32, partition=['layer3.1', 'layer4.0'])
        optim = BlockwiseOptimWrapper(optimizer=SGD(host.parameters(), lr=0.01), step_policy=policy)
        peaks.append(peak_bytes(host, dict(inputs=torch.randn(2, 3, 32, 32), data_samples=None), optim))
    assert peaks[1] < 0.75 * peaks[0]


@pytest.mark.integration
@pytest.mark.usefixtures('mmdet_scope')
def test_faster_rcnn_with_man_at_stage_cuts(config):
    """R50-FPN, two images of 512x512, stem and stage 1 frozen, batch-norm training, 80 classes."""
    from mmdet.testing import demo_mm_inputs

    cfg = config('man/faster_rcnn_r50_man_coco.py')
    cfg.model.backbone.update(init_cfg=None, norm_eval=False)
    cfg.model.backbone.partition = dict(type='Stage')
    cfg = localize(cfg)
    images = demo_mm_inputs(2, image_shapes=[[3, 512, 512]] * 2, num_items=[4, 4], num_classes=80)
    stock = copy.deepcopy(cfg.model)
    stock.backbone.type = stock.backbone.pop('arch')
    for key in ('partition', 'auxiliary'):
        stock.backbone.pop(key)
    peaks = {}
    for name, model, wrapper in (
        ('local', cfg.model, cfg.optim_wrapper),
        ('e2e', stock, dict(type='OptimWrapper')),
    ):
        torch.manual_seed(0)
        detector = MODELS.build(copy.deepcopy(model)).train()
        detector.init_weights()
        optimizer = SGD(detector.parameters(), lr=1e-4)
        kept = {key: value for key, value in wrapper.items() if key != 'constructor'}
        optim = OPTIM_WRAPPERS.build({**kept, 'optimizer': optimizer})
        with PeakMeter() as meter:
            detector.train_step(images, optim)
        peaks[name] = meter.peak_bytes
    assert peaks['local'] <= 0.58 * peaks['e2e']
