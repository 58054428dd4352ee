"""Auxiliaries in chunks, and bridges that run again: the same losses and gradients, one graph of a chunk at a time."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmlocal.blocks import Batch, Place, Shape
from mmlocal.blocks.boundary_context import Later
from mmlocal.errors import ConfigError
from mmlocal.hosts import import_hosts
from mmlocal.hosts.generated_batches import generated_batch
from mmlocal.memory import PeakMeter
from mmlocal.registry import MODELS

FCOS = dict(type='mmdet.FCOSHead', num_classes=3, in_channels=8, feat_channels=8, stacked_convs=1, norm_cfg=None)
HEADS = {
    'cls': dict(type='mmlocal.ClsHead', layers='1c2f', cls_head=dict(type='mmpretrain.LinearClsHead', num_classes=3)),
    'dgl': dict(type='mmlocal.DGLHead', cls_head=dict(type='mmpretrain.LinearClsHead', num_classes=3)),
    'seg': dict(
        type='mmlocal.SegHead',
        decode_head=dict(type='mmseg.FCNHead', channels=8, num_convs=1, num_classes=3, dropout_ratio=0),
    ),
    'sr': dict(type='mmlocal.RestorationHead', scale=2, mid_channels=8, pixel_loss=dict(type='mmagic.L1Loss')),
    'det': dict(
        type='mmlocal.DenseDetHead',
        dense_head=dict(
            type='mmdet.FCOSHead', num_classes=3, in_channels=8, feat_channels=8, stacked_convs=1, norm_cfg=None
        ),
    ),
}
SCOPES = dict(cls='mmpretrain', dgl='mmpretrain', seg='mmseg', sr='mmagic', det='mmdet')
RECONSTRUCTION = dict(reconstruction=dict(type='mmlocal.Reconstruction', mean=[0.0] * 3, std=[1.0] * 3))


def build(task, coupled=False, **arguments):
    """An auxiliary behind a map of 8 channels at half the images' side, with a copy of a unit as bridge."""
    torch.manual_seed(0)
    unit = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU())
    # Copies normalise as their unit does: as at prediction, as what couples the images is not the chunks' doing.
    unit.train(coupled)
    shape = Shape(8, 1.0 if task == 'sr' else 2.0)
    place = Place('block1', 'a', shape, (Later('b', unit, shape),))
    bridge = dict(type='mmlocal.MomentumBridge', scaling=True)
    config = dict(type='mmlocal.Auxiliary', head=HEADS[task], bridge=bridge, **arguments)
    import_hosts(Config(dict(default_scope=SCOPES[task])))
    with DefaultScope.overwrite_default_scope(SCOPES[task]):
        auxiliary = MODELS.build(config, default_args=dict(place=place))
    auxiliary.bridge.start()
    return auxiliary.double().eval()


def batch_of(task):
    torch.manual_seed(1)
    import_hosts(Config(dict(default_scope=SCOPES[task])))
    generated = generated_batch(SCOPES[task], (32, 32), 5, 2 if task == 'sr' else 3)
    samples = generated['data_samples']
    if task == 'sr':
        samples = type('Stacked', (), dict(gt_img=torch.stack([s.gt_img for s in samples]).double() / 255))()
    if task == 'seg':
        for sample in samples:
            sample.gt_sem_seg.data[sample.gt_sem_seg.data == 255] = 0
    side = 32 if task == 'sr' else 16
    return torch.randn(5, 8, side, side, dtype=torch.float64), Batch(torch.rand(5, 3, 32, 32).double(), samples)


def trained(auxiliary, feature, batch):
    """What is logged, the gradients of all weights, and that of the feature."""
    leaf, logs = feature.clone().requires_grad_(), {}
    for part in auxiliary.parts(leaf, batch):
        part.forward()
        for losses in part.losses():
            total = sum(value for name, value in losses.items() if 'loss' in name)
            total.backward()
            for name, value in losses.items():
                logs[name] = logs.get(name, 0) + value.detach()
        part.backward()
    return logs, [p.grad for p in auxiliary.parameters()], leaf.grad


WAYS = {'chunks': dict(chunks=2), 'recompute': dict(recompute=True), 'both': dict(chunks=3, recompute=True)}


# Detection in chunks alone is refused: below.
CASES = [(task, way) for task in HEADS for way in WAYS if (task, way) != ('det', 'chunks')]


@pytest.mark.parametrize(('task', 'way'), CASES)
def test_losses_and_gradients_are_the_same(task, way):
    feature, batch = batch_of(task)
    terms = RECONSTRUCTION if task == 'cls' else {}
    whole = trained(build(task, terms=terms), feature, batch)
    parts = trained(build(task, terms=terms, **WAYS[way]), feature, batch)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12)


def test_detection_in_chunks_needs_its_bridge_to_run_again():
    with pytest.raises(ConfigError) as caught:
        build('det', chunks=2)
    assert caught.value.faults == (
        'chunks = 2: the losses of block1 couple the images of a batch: recompute=True as well',
    )


def test_a_head_that_chooses_hard_pixels_couples_the_images(monkeypatch):
    monkeypatch.setitem(HEADS['seg']['decode_head'], 'sampler', dict(type='mmseg.OHEMPixelSampler', thresh=0.7))
    with pytest.raises(ConfigError, match='couple the images of a batch'):
        build('seg', chunks=2)


def test_fewer_than_one_chunk_is_refused():
    with pytest.raises(ConfigError, match='chunks = 0 is below 1'):
        build('cls', chunks=0)


def test_more_chunks_than_images_are_as_many_as_images():
    feature, batch = batch_of('cls')
    found = trained(build('cls', chunks=9), feature, batch)
    torch.testing.assert_close(found, trained(build('cls'), feature, batch), rtol=1e-9, atol=1e-12)


def test_batch_norm_counts_a_recomputed_bridge_once():
    feature, batch = batch_of('cls')
    auxiliary = build('cls', coupled=True, recompute=True)
    norm = auxiliary.bridge.learnable[1]
    trained(auxiliary, feature, batch)
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize('way', ['chunks', 'both'])
def test_it_needs_less_memory(way):
    def peak(**arguments):
        auxiliary = build('cls', **arguments)
        feature, batch = torch.randn(4, 8, 64, 64, dtype=torch.float64), batch_of('cls')[1]
        batch = Batch(batch.inputs[:4], batch.data_samples[:4])
        with PeakMeter() as meter:
            trained(auxiliary, feature, batch)
        return meter.peak_bytes

    assert peak(**WAYS[way]) < 0.9 * peak()


def test_only_without_chunks_and_reruns_all_losses_come_at_once():
    assert build('cls').whole
    assert not any(build('cls', **arguments).whole for arguments in WAYS.values())
