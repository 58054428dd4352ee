"""A bridge of a user's own, which says no more than what it puts out."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmlocal.auxiliaries import Bridge
from mmlocal.blocks import Shape
from mmlocal.registry import MODELS


@MODELS.register_module()
class OwnBridge(Bridge):
    def __init__(self, place, channels=5):
        super().__init__()
        self.conv = nn.Conv2d(place.shape.channels, channels, 3, padding=1)
        self.shape = Shape(channels, place.shape.stride)
        self.description = f'convolution to {channels}'

    def forward(self, feature, *further):
        return self.conv(feature)


BRIDGE = dict(type='mmlocal.OwnBridge')
NETWORK = dict(type='mmlocal.LocalBackbone', arch='mmdet.ResNet', depth=18, base_channels=8, partition=['layer1.1'])


@pytest.mark.parametrize('merge', [None, dict(type='mmlocal.PooledBank')])
def test_goes_with_and_without_a_bank(merge):
    head = dict(type='mmlocal.SquareHead')
    backbone = MODELS.build(
        dict(NETWORK, auxiliary=dict(type='mmlocal.Auxiliary', bridge=BRIDGE, merge=merge, head=head))
    )
    assert backbone(torch.zeros(2, 3, 32, 32))[-1].shape == (2, 64, 1, 1)


def test_one_without_a_forward_says_so():
    with pytest.raises(NotImplementedError, match='Bridge has no forward'):
        Bridge()(torch.zeros(1))


def test_units_named_without_dots_are_copied_by_their_own_name():
    """Each is a stage of its own: none stands for another that happens to fit, as 'b' would."""
    network = nn.Sequential()
    for name, (before, behind) in dict(a=(3, 3), b=(3, 3), c=(3, 5), d=(5, 5)).items():
        network.add_module(name, nn.Sequential(nn.Conv2d(before, behind, 1), nn.ReLU()))
    MODELS.register_module(name='FourUnits', module=lambda: network, force=True)
    copied = dict(type='mmlocal.Auxiliary', bridge=dict(type='mmlocal.CopyBridge', units=['d']))
    backbone = MODELS.build(
        dict(
            type='mmlocal.LocalBackbone',
            arch='mmlocal.FourUnits',
            units=list('abcd'),
            partition=['a'],
            auxiliary=dict(copied, head=dict(type='mmlocal.SquareHead')),
        )
    )
    text = next(m.description for m in backbone.modules() if isinstance(m, Bridge))
    assert text == 'copy of d'


class WithSpare(nn.Module):
    """A unit that has a layer and never uses it; its forward may run again in the backward."""

    def __init__(self, channels, again):
        super().__init__()
        self.conv, self.spare, self.again = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1), again

    def forward(self, feature):
        return checkpoint(self.conv, feature, use_reentrant=True) if self.again else self.conv(feature)


@pytest.mark.parametrize('again', [False, True], ids=['kept', 'run again'])
@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_weights_that_a_unit_never_uses_do_not_train_in_its_copy(again, device):
    MODELS.register_module(
        name='Spares', module=lambda: nn.Sequential(*(WithSpare(3, again) for _ in range(3))), force=True
    )
    config = dict(
        type='mmlocal.LocalBackbone',
        arch='mmlocal.Spares',
        units=['0', '1', '2'],
        partition=['0'],
        auxiliary=dict(
            type='mmlocal.Auxiliary', bridge=dict(type='mmlocal.CopyBridge'), head=dict(type='mmlocal.SquareHead')
        ),
    )
    with torch.device(device):
        network = MODELS.build(config)
    copied = network.local_division.auxiliaries[0].bridge.copies[0]
    trains = {name: one.requires_grad for name, one in copied.named_parameters()}
    assert trains['conv.weight']
    assert trains['conv.bias']
    assert not trains['spare.weight']
    assert not trains['spare.bias']
    assert all(p.requires_grad for p in network[1].parameters())
