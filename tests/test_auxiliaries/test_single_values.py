"""Batch norm of auxiliaries over one value a channel."""

import pytest
import torch
from torch import nn

from mmlocal.auxiliaries.single_values import normalise_single_values


@pytest.mark.parametrize(('norm', 'shape'), [(nn.BatchNorm1d, (1, 3)), (nn.BatchNorm2d, (1, 3, 1, 1))])
def test_one_value_is_normalised_by_running_statistics(norm, shape):
    layer = norm(3).train()
    layer.running_mean.fill_(2.0)
    layer.running_var.fill_(4.0)
    with pytest.raises(ValueError, match='more than 1 value'):
        layer(torch.ones(shape))
    normalise_single_values(layer)
    torch.testing.assert_close(layer(torch.ones(shape)), torch.full(shape, -0.5))
    assert layer.training
    assert layer.running_mean.tolist() == [2.0] * 3


def test_several_values_are_normalised_as_ever():
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    normalise_single_values(layers[1])
    feature = torch.randn(2, 4)
    for layer in layers:
        layer(feature).square().sum().backward()
    assert torch.equal(layers[0][0].weight.grad, layers[1][0].weight.grad)
    assert all(torch.equal(a, b) for a, b in zip(layers[0].buffers(), layers[1].buffers(), strict=True))
