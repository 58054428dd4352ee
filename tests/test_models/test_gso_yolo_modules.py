"""GSO-YOLO's two modules: their equations, what they keep, what they refuse."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmlocal.auxiliaries import MomentumCopy
from mmlocal.blocks.recompute import recompute_forward
from mmlocal.engine import MomentumHook
from mmlocal.errors import ConfigError
from mmlocal.models.gso_yolo import GlobalOptimizationModule, SteadyCaptureModule


@pytest.fixture
def feature():
    torch.manual_seed(0)
    return torch.randn(3, 8, 5, 6, dtype=torch.float64)


def normed(x, norm):
    """Batch norm in training, written out."""
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    shape = (1, -1, 1, 1)
    scaled = (x - mean.view(shape)) / (variance + norm.eps).sqrt().view(shape)
    return scaled * norm.weight.view(shape) + norm.bias.view(shape)


@pytest.mark.parametrize('sigmoid', [True, False])
def test_global_optimization_is_gam(feature, sigmoid):
    torch.manual_seed(1)
    module = GlobalOptimizationModule(8, reduction=2, channel_sigmoid=sigmoid).double()
    first, second = (m for m in module.channel if isinstance(m, nn.Linear))
    down, _, _, up, *_ = module.spatial
    rows = feature.flatten(2).transpose(1, 2)  # (N, HW, C)
    rows = torch.relu(rows @ first.weight.T + first.bias) @ second.weight.T + second.bias
    weight = rows.transpose(1, 2).reshape(feature.shape)
    attended = feature * (weight.sigmoid() if sigmoid else weight)
    inner = normed(F.conv2d(attended, down.weight, padding=3), module.spatial[1]).relu()
    expected = attended * normed(F.conv2d(inner, up.weight, padding=3), module.spatial[4]).sigmoid()
    torch.testing.assert_close(module(feature), expected, atol=1e-12, rtol=0)
    assert down.weight.shape == (4, 8, 7, 7)
    assert up.weight.shape == (8, 4, 7, 7)


def test_statistics_average_over_training_and_gate_the_channels(feature):
    torch.manual_seed(1)
    module = SteadyCaptureModule(8, momentum=0.9).double()
    first, _, second, _ = module.capture.gate
    average = torch.zeros(8).double()
    for step in range(3):
        x = feature + step
        average = 0.9 * average + 0.1 * x.mean((0, 2, 3))
        known = torch.cat([x.mean((2, 3)), average.expand(3, -1)], 1)
        gate = (torch.relu(known @ first.weight.T + first.bias) @ second.weight.T + second.bias).sigmoid()
        torch.testing.assert_close(module(x), x * gate[:, :, None, None], atol=1e-12, rtol=0)
        torch.testing.assert_close(module.capture.mean, average, atol=1e-12, rtol=0)


def test_the_average_is_in_the_checkpoint_and_stands_still_in_evaluation(feature):
    module = SteadyCaptureModule(8).double()
    module(feature)
    average = module.capture.mean.clone()
    assert average.any()
    with torch.no_grad():
        module.eval()(feature + 5)
    assert torch.equal(module.capture.mean, average)
    other = SteadyCaptureModule(8).double()
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other.eval()(feature), module(feature))
    assert not module.capture.mean.requires_grad


def test_the_average_takes_no_gradient(feature):
    feature.requires_grad_()
    module = SteadyCaptureModule(8, momentum=0.0).double()
    module(feature).sum().backward()
    with_average = feature.grad.clone()
    # In evaluation the average is the same number, and a constant in any case.
    feature.grad = None
    module.eval()(feature).sum().backward()
    torch.testing.assert_close(feature.grad, with_average)


def test_a_recomputed_module_averages_once(feature):
    torch.manual_seed(1)
    kept = SteadyCaptureModule(8, momentum=0.5).double()
    again = copy.deepcopy(kept)
    recompute_forward(again)
    for module in (kept, again):
        module(feature).square().sum().backward()
    assert torch.equal(kept.capture.mean, again.capture.mean)
    for one, other in zip(kept.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


class Small(nn.Module):
    """A module with a twin, in a model."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.scm = SteadyCaptureModule(8, mode='weights', momentum=0.75)

    def train_step(self, data, optim_wrapper):
        loss = self.scm(self.stem(data['inputs'])).square().mean()
        optim_wrapper.update_params(loss)
        return dict(loss=loss.detach())


def test_weights_have_a_twin_that_moves_once_an_optimizer_step(make_loop):
    torch.manual_seed(0)
    model = Small().double()
    conv, twin = model.scm.capture.conv, model.scm.capture.copy
    with torch.no_grad():
        conv.conv.weight += 1  # as if weights had been loaded
    loop = make_loop(model, accumulative_counts=2)
    assert twin.steps == 1
    assert torch.equal(twin.module.conv.weight, conv.conv.weight)
    image = torch.randn(2, 3, 4, 4).double()
    expected = conv.conv.weight.detach().clone()
    for step in range(6):
        before = conv.conv.weight.detach().clone()
        loop.step(image)
        if step % 2:  # two iterations are accumulated
            expected = 0.75 * expected + 0.25 * before
            assert not torch.equal(conv.conv.weight, before)
        torch.testing.assert_close(twin.module.conv.weight, expected)
        assert twin.steps == 1 + (step + 1) // 2
    assert not any(p.requires_grad for p in twin.parameters())
    model.eval()
    with torch.no_grad():
        x = model.stem(image)
        torch.testing.assert_close(model.scm(x), x + conv(x) + twin.module(x))


def test_a_twin_within_a_copy_follows_with_it_and_does_not_move_by_itself(make_loop):
    torch.manual_seed(0)
    model = Small().double()
    model.outer = MomentumCopy(model.scm, 0.5)
    loop = make_loop(model)
    followed = [p.detach().clone() for p in model.outer.parameters()]
    before = [p.detach().clone() for p in model.scm.parameters()]
    loop.step(torch.randn(2, 3, 4, 4).double())
    for found, own, source in zip(model.outer.parameters(), followed, before, strict=True):
        torch.testing.assert_close(found, 0.5 * own + 0.5 * source)


def test_a_twin_that_nothing_moves_is_refused(feature):
    module = SteadyCaptureModule(8, mode='weights').double()
    with pytest.raises(ConfigError) as caught:
        module(feature)
    assert str(caught.value) == (
        "SteadyCaptureModule with mode = 'weights' has a copy that nothing moves: "
        "custom_hooks needs dict(type='mmlocal.MomentumHook')"
    )
    module.eval()(feature)


def test_the_hook_leaves_a_frozen_source_alone(make_loop):
    model = Small()
    model.scm.requires_grad_(False)
    loop = make_loop(model)
    loop.step(torch.randn(2, 3, 4, 4))
    assert model.scm.capture.copy.steps == 1
    assert isinstance(loop.hook, MomentumHook)


@pytest.mark.parametrize('module', [GlobalOptimizationModule(8), SteadyCaptureModule(8)], ids=['GOM', 'SCM'])
@pytest.mark.parametrize('shape', [(2, 4, 5, 5), (2, 8, 5), (8, 5, 5)])
def test_wrong_channels_are_told(module, shape):
    with pytest.raises(ConfigError) as caught:
        module(torch.zeros(shape))
    name = type(module).__name__
    assert str(caught.value) == f'{name} was built with in_channels = 8: it takes (N, 8, H, W), not {shape}'


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (
            lambda: GlobalOptimizationModule(12, reduction=8),
            'reduction = 8 does not divide in_channels = 12; 1, 2, 4 do',
        ),
        (
            lambda: SteadyCaptureModule(6, reduction=4),
            'reduction = 4 does not divide in_channels = 6; 1, 2 do',
        ),
        (
            lambda: GlobalOptimizationModule(8, reduction=0),
            'reduction = 0 does not divide in_channels = 8; 1, 2, 4, 8 do',
        ),
        (
            lambda: SteadyCaptureModule(8, mode='weight'),
            "mode = 'weight' is not one of statistics, weights. Did you mean 'weights'?",
        ),
        (lambda: SteadyCaptureModule(8, momentum=1.2), 'momentum = 1.2 is not within 0 and 1'),
        (
            lambda: SteadyCaptureModule(8, mode='weights', momentum=-1),
            'momentum = -1 is not within 0 and 1 (0.995 is published)',
        ),
    ],
)
def test_unsuitable_arguments_are_told(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message
