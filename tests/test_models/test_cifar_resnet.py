"""The ResNets for CIFAR: sizes as published."""

import pytest
import torch

from mmlocal.blocks import find_units
from mmlocal.models.cifar_resnet import CifarResNet


@pytest.mark.parametrize(('depth', 'units', 'millions'), [(32, 15, 0.46), (110, 54, 1.73)])
def test_layers_and_parameters(depth, units, millions):
    network = CifarResNet(depth)
    assert len(find_units(network)[0]) == units + 1
    # The published sizes (arXiv 1512.03385, table 6) lack the convolutions of two shortcuts.
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)
    (output,) = network(torch.zeros(2, 3, 32, 32))
    assert output.shape == (2, 64, 8, 8)
