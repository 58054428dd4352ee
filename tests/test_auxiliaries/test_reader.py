"""Tokens as maps, and what may read them."""

import pytest
import torch
from mmengine.registry import DefaultScope

from mmlocal.auxiliaries.reader import Reader, grid
from mmlocal.blocks import Place, Shape
from mmlocal.errors import ConfigError
from mmlocal.registry import MODELS


def test_a_map_is_read_as_it_is():
    feature = torch.randn(2, 3, 4, 5)
    assert Reader(Shape(3, 8.0))(feature) is feature


def test_sized_tokens_are_laid_out_row_by_row():
    expected = torch.randn(2, 3, 4, 5)
    tokens = expected.flatten(2).transpose(1, 2)
    assert torch.equal(Reader(Shape(3, 8.0, 'sized tokens'))(tokens, ((4, 5),)), expected)


@pytest.mark.parametrize(
    ('layout', 'read'),
    [('class token first', lambda t: t[:, 0]), ('tokens', lambda t: t.mean(1))],
    ids=['class token first', 'tokens'],
)
def test_other_tokens_are_one_normed_pixel(layout, read):
    tokens = torch.randn(2, 7, 3)
    pixel = Reader(Shape(3, 1.0, layout))(tokens)
    torch.testing.assert_close(pixel, torch.nn.functional.layer_norm(read(tokens), (3,), eps=1e-6)[:, :, None, None])


def auxiliary(head, layout):
    return MODELS.build(dict(type='mmlocal.Auxiliary', head=head), default_args=dict(place=place(layout)))


def place(layout):
    return Place('block1', 'layers.2', Shape(8, 1.0, layout), ())


CLS = dict(type='mmlocal.ClsHead', cls_head=dict(type='mmpretrain.LinearClsHead', num_classes=5))
SEG = dict(type='mmlocal.SegHead', decode_head=dict(type='mmseg.FCNHead', num_classes=5, channels=4, num_convs=1))


def test_a_classifier_reads_any_tokens():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        assert auxiliary(CLS, 'class token first')(torch.randn(2, 7, 8))[0].shape == (2, 5)


def test_a_head_for_pixels_refuses_tokens_without_a_map():
    loss = dict(type='mmlocal.SquareHead', in_channels=3, stride=1)
    with pytest.raises(
        ConfigError, match=r"'mmlocal\.RestorationHead' needs a map, and block1 \(behind 'layers\.2'\) puts out tokens"
    ):
        auxiliary(dict(type='mmlocal.RestorationHead', scale=1, pixel_loss=loss), 'tokens')


def test_a_segmentor_reads_tokens_as_patches_of_the_image():
    """The tokens in front of the patches are left out; every other has its place."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        built = auxiliary(SEG, 'class token first')
    tokens = torch.randn(2, 1 + 3 * 2, 8)
    read = built.reader(tokens, (), torch.zeros(2, 3, 48, 32))
    expected = torch.nn.functional.layer_norm(tokens, (8,), eps=1e-6)[:, 1:].unflatten(1, (3, 2)).permute(0, 3, 1, 2)
    torch.testing.assert_close(read, expected)
    assert built.head.description == 'FCNHead'


@pytest.mark.parametrize(
    ('tokens', 'before', 'image', 'expected'),
    [
        (1 + 14 * 14, 1, (224, 224), (196, (14, 14))),
        (2 + 14 * 14, 1, (224, 224), (196, (14, 14))),
        (4 * 7, 0, (64, 112), (28, (4, 7))),
        (1 + 4 * 3, 1, (60, 40), (12, (4, 3))),  # patches of 16, padded at the borders
        (1 + 14 * 14, 1, None, (196, (14, 14))),
    ],
)
def test_the_grid_of_the_patches(tokens, before, image, expected):
    assert grid(tokens, image, before) == expected


def test_tokens_that_are_no_grid_are_refused():
    with pytest.raises(ConfigError, match='1000 tokens are no square patches of an image of 32x32'):
        grid(1000, (32, 32))
