"""The local restoration head: scales, padding, loss."""

from types import SimpleNamespace

import pytest
import torch

from mmlocal.errors import ConfigError
from mmlocal.hosts import import_host
from mmlocal.registry import MODELS


@pytest.fixture(autouse=True)
def mmagic():
    import_host('mmagic')


def head(in_channels=6, stride=1, scale=2, **arguments):
    loss = dict(type='mmagic.L1Loss')
    config = dict(type='mmlocal.RestorationHead', pixel_loss=loss, mid_channels=4, scale=scale, **arguments)
    return MODELS.build(dict(config, in_channels=in_channels, stride=stride))


@pytest.mark.parametrize(
    ('stride', 'scale', 'total'), [(1, 1, 1), (1, 2, 2), (1, 3, 3), (1, 4, 4), (2, 2, 4), (4, 1, 4)]
)
def test_the_image_is_larger_by_scale_and_stride(stride, scale, total):
    assert head(stride=stride, scale=scale)(torch.randn(2, 6, 5, 7)).shape == (2, 3, 5 * total, 7 * total)


def test_a_scale_that_pixel_shuffle_has_not_is_refused():
    with pytest.raises(ConfigError, match='upsampled by 6, which is neither 3 nor a power of 2'):
        head(scale=6)


def test_the_loss_is_the_hosts_on_what_was_not_padded():
    local = head()
    feature, target = torch.randn(2, 6, 4, 4), torch.rand(2, 3, 6, 8)
    loss = local.loss(feature, None, SimpleNamespace(gt_img=target))['loss_pixel']
    torch.testing.assert_close(loss, (local(feature)[:, :, :6] - target).abs().mean())


def test_it_starts_around_the_mean_of_the_images():
    local = head(mean=(0.1, 0.5, 0.9))
    with torch.no_grad():
        for p in local.parameters():
            p.zero_()
    assert local(torch.randn(1, 6, 2, 2)).mean((0, 2, 3)).tolist() == pytest.approx([0.1, 0.5, 0.9])
