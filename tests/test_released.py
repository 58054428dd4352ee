"""Values of the configs and small functions, beside those of the authors' released code."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from torch.nn import functional

from mmlocal.auxiliaries.bridges.choices import sampled
from mmlocal.auxiliaries.heads.contrast import supervised_contrast
from mmlocal.auxiliaries.terms import Reconstruction
from mmlocal.auxiliaries.terms.similarity import similarity_matrix
from mmlocal.blocks import Earlier, Later, Place, Shape
from mmlocal.config import localize
from mmlocal.registry import MODELS


def built(path):
    """The backbone of a config, with its auxiliaries."""
    cfg = localize(Config.fromfile(f'configs/{path}_cifar10.py'))
    import mmlocal.models.cifar_resnet  # noqa: F401

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg.model).backbone


def test_crops_of_cifar10_are_those_of_a_reflected_image():
    """81 places and a flip: an image of 32x32 padded by 4 without repeating the border."""
    import mmpretrain.datasets  # noqa: F401

    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode='reflect')
    crops = [padded[y : y + 32, x : x + 32] for y in range(9) for x in range(9)]
    expected = {crop.tobytes() for whole in crops for crop in (whole, whole[:, ::-1])}
    steps = Config.fromfile('configs/_base_/datasets/cifar10_bs1024.py').train_pipeline[:-1]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = Compose(steps)
    np.random.seed(0)
    drawn = {np.ascontiguousarray(pipeline(dict(img=image.copy()))['img']).tobytes() for _ in range(3000)}
    assert len(expected) == 162
    assert drawn == expected


def doubled(x):
    """Bilinear to twice the side, corners on corners: sample i is at i (n - 1) / (2n - 1)."""
    for dim in (2, 3):
        n = x.shape[dim]
        at = torch.arange(2 * n, dtype=x.dtype) * (n - 1) / (2 * n - 1)
        low = at.long().clamp(max=n - 2)
        share = (at - low).view([-1 if d == dim else 1 for d in range(4)])
        x = x.index_select(dim, low) * (1 - share) + x.index_select(dim, low + 1) * share
    return x


@pytest.mark.parametrize(('channels', 'stride'), [(512, 8), (1024, 16)])
def test_the_image_of_the_decoder_by_steps(channels, stride):
    torch.manual_seed(0)
    decoder = Reconstruction(channels, stride).double().train()
    feature = torch.randn(2, channels, 4, 3, dtype=torch.float64)
    x, doublings = feature, stride.bit_length() - 1
    convs = [m for m in decoder.layers if hasattr(m, 'conv')]
    for i, layer in enumerate(convs):
        if i >= len(convs) - doublings:
            x = doubled(x)
        x = functional.conv2d(x, layer.conv.weight, layer.conv.bias, padding=layer.conv.kernel_size[0] // 2)
        if i < len(convs) - 1:
            mean, spread = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
            x = ((x - mean) / (spread + 1e-5).sqrt()).relu()
    torch.testing.assert_close(decoder(feature), x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('size', [(1, 1), (1, 4), (4, 1)])
def test_similarities_without_spread_are_of_the_values(size):
    feature = torch.randn(5, 6, *size)
    alike = similarity_matrix(feature)
    rows = feature.reshape(5, -1)
    torch.testing.assert_close(alike, torch.corrcoef(rows), rtol=1e-4, atol=1e-5)


def test_contrast_is_the_mean_over_all_images():
    vectors = functional.normalize(torch.randn(4, 8, dtype=torch.float64), dim=1)
    pair = supervised_contrast(vectors, torch.tensor([0, 0, 1, 2]), 0.07)
    logits = vectors @ vectors.T / 0.07
    one, two = (-logits[a, b] + logits[a, [c for c in range(4) if c != a]].logsumexp(0) for a, b in ((0, 1), (1, 0)))
    torch.testing.assert_close(pair, (one + two) / 4)
    assert supervised_contrast(vectors, torch.arange(4), 0.07) == 0


def weights(auxiliaries):
    return [(a.loss_weight, a.term_weights['reconstruction']) for a in auxiliaries]


@pytest.mark.parametrize(
    ('path', 'count', 'whole'),
    [('hpff/resnet32_hpff-infopro_k16', 13, 14), ('hpff/resnet110_hpff-infopro_k55', 52, 53)],
)
def test_hpff(path, count, whole):
    auxiliaries = built(path).local_auxiliaries
    expected = [(0.5 * (1 - i / whole), 5 * (1 - i / whole)) for i in range(1, count + 1)]
    np.testing.assert_allclose(weights(a.cascade for a in auxiliaries), expected)
    if count == 13:
        assert sum(p.numel() for a in auxiliaries for p in a.independent.parameters()) == 738_050


@pytest.mark.parametrize(
    ('path', 'units', 'whole'), [('man/resnet32_man-infopro_k16', 5, 14), ('man/resnet110_man-infopro_k55', 18, 53)]
)
def test_man_over_infopro_weighs_by_the_stage_of_the_unit_behind(path, units, whole):
    stages = [s for s in (1, 2, 3) for _ in range(units)][1:]
    expected = [(0.5 * (1 - s / whole), 5 * (1 - s / whole)) for s in stages]
    np.testing.assert_allclose(weights(built(path).local_auxiliaries), expected)


def test_the_stem_of_man_plus_plus_over_infopro():
    stem, second, *_ = built('man/resnet32_man-plus-plus-infopro_k16').local_auxiliaries
    assert stem.head.description == '1c2f, contrast'
    np.testing.assert_allclose(weights([stem, second]), [(0.5, 5), (0.5 * 13 / 14, 5 * 13 / 14)])


def chains(path):
    found = built(path).local_auxiliaries
    return [[name.removeprefix('layer') for name in a.cascade.bridge.names] for a in found]


def test_chains_of_mlaan():
    """A run of blocks and their chain, in the order of the blocks."""
    runs32 = [(2, '2.0 3.0 3.2 3.4'), (1, '2.0 3.0 3.3 3.4'), (1, '2.0 3.0 3.2 3.4'), (1, '2.0 3.0 3.3 3.4')]
    runs32 += [(5, '3.0 3.2 3.3 3.4'), (1, '3.1 3.2 3.4'), (1, '3.2 3.3 3.4'), (1, '3.3 3.4'), (1, '3.4')]
    runs110 = [(18, '2.0 3.0 3.2 3.17'), (17, '3.0 3.2 3.3 3.17'), (1, '3.0 3.3 3.4 3.17'), (7, '3.8 3.17')]
    runs110 += [(4, '3.14 3.17'), (2, '3.15 3.17'), (3, '3.16 3.17'), (1, '3.17')]
    for path, runs in (('mlaan/resnet32_mlaan_k16', runs32), ('mlaan/resnet110_mlaan_k55', runs110)):
        expected = [chain.split() for count, chain in runs for _ in range(count)]
        # Windows of two blocks: the first block has no loss of its own.
        assert chains(path) == expected[1:]


@pytest.mark.parametrize('head', ['mmlocal.ClsHead', 'mmlocal.DGLHead'])
def test_last_layers_start_as_in_torch(head):
    import mmpretrain.models  # noqa: F401

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        built = MODELS.build(
            dict(type=head, in_channels=64, stride=1, cls_head=dict(type='LinearClsHead', num_classes=1000))
        )
    built.init_weights()
    linear = built.cls_head.fc
    bound = linear.in_features**-0.5
    assert linear.weight.abs().max() <= bound
    assert linear.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert linear.bias.abs().max() > 0


def test_the_classifier_of_predsim_starts_at_zero():
    backbone = built('predsim/resnet32_predsim_k16')
    backbone.init_weights()
    assert all(not a.head.cls_head.fc.weight.any() for a in backbone.local_auxiliaries)


def test_infopro_trains_160_epochs():
    for depth in ('resnet32_infopro_k16', 'resnet110_infopro_k55'):
        cfg = Config.fromfile(f'configs/infopro/{depth}_cifar10.py')
        assert (cfg.train_cfg.max_epochs, cfg.param_scheduler.T_max) == (160, 160)


@pytest.mark.parametrize(
    ('unit', 'expected'), [(1, [28, 54]), (2, [28, 54]), (3, [28, 54]), (5, [30, 54]), (7, [30, 54])]
)
def test_auglocal_rounds_places_in_the_whole_network(unit, expected):
    """ResNet-110 of 55 units, the stem counted; two of them: at 27.5, 28, 28.5, 29.5 and 30.5, halves to even."""
    earlier = tuple(Earlier(str(i), Shape(1, 1), i) for i in range(unit + 1))
    later = tuple(Later(str(i), torch.nn.Identity(), Shape(1, 1)) for i in range(unit + 1, 55))
    place = Place('block', str(unit), Shape(1, 1), later, earlier)
    assert [int(found.name) for found in sampled(place, depth=2, shrink=0.0)] == expected
