"""Tokens as maps, and what may read them."""

import pytest
import torch
from mmengine.registry import DefaultScope

from mmlocal.auxiliaries.reader import Reader
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
    with (
        DefaultScope.overwrite_default_scope('mmseg'),
        pytest.raises(
            ConfigError, match=r"'mmlocal\.SegHead' needs a map, and block1 \(behind 'layers\.2'\) puts out tokens"
        ),
    ):
        auxiliary(SEG, 'class token first')
