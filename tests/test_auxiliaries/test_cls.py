"""The layers of the local classification head, as InfoPro's and MAN's code have them."""

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmlocal.auxiliaries.heads.cls import LAYERS
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS


def head(in_channels, **arguments):
    config = dict(type='mmlocal.ClsHead', cls_head=dict(type='LinearClsHead', num_classes=10), **arguments)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(dict(config, in_channels=in_channels, stride=1))


def shape_of(built):
    """Convolutions as (in, out, stride), linear layers as (in, out)."""
    found = []
    for module in built.modules():
        if isinstance(module, nn.Conv2d):
            found.append((module.in_channels, module.out_channels, module.stride[0]))
        elif isinstance(module, nn.Linear):
            found.append((module.in_features, module.out_features))
    return found


# As released: 16 -> 32 s2, 32 -> 64 s2, 64 -> 64 s1; a second one keeps both; hidden layers of 128.
EXPECTED = {
    ('0c1f', 16): [(16, 10)],
    ('0c2f', 16): [(16, 128), (128, 10)],
    ('1c1f', 16): [(16, 32, 2), (32, 10)],
    ('1c2f', 32): [(32, 64, 2), (64, 128), (128, 10)],
    ('1c3f', 64): [(64, 64, 1), (64, 128), (128, 128), (128, 10)],
    ('2c2f', 16): [(16, 32, 2), (32, 32, 1), (32, 128), (128, 10)],
}


@pytest.mark.parametrize(('layers', 'channels'), EXPECTED)
def test_layers(layers, channels):
    built = head(channels, layers=layers)
    assert shape_of(built) == EXPECTED[layers, channels]
    assert built(torch.randn(2, channels, 8, 8)).shape == (2, 10)


def test_every_form_is_tested():
    assert {layers for layers, _ in EXPECTED} == set(LAYERS)


def test_wider():
    assert shape_of(head(16, layers='1c2f', widen=2)) == [(16, 64, 2), (64, 256), (256, 10)]


def test_an_unknown_form():
    with pytest.raises(ConfigError, match=r"layers = '2c1f' is not one of 0c1f, 0c2f, .*Did you mean"):
        head(16, layers='2c1f')
