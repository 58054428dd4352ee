"""Mixed precision: one scaler, unscaled once, an overflow told by its block."""

import copy
import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn
from torch.amp import GradScaler
from torch.optim import SGD

from mmlocal.engine import BlockwiseAmpOptimWrapper, BlockwiseOptimWrapper
from mmlocal.errors import ConfigError

CUTS = ['layer1.1', 'layer3.0']


def amp(host, scaler=None, **kwargs):
    """Autocast leaves double precision alone, so that only the scaling is left of mixed precision."""
    scaler = scaler or GradScaler('cpu', init_scale=1024.0, growth_interval=2)
    return BlockwiseAmpOptimWrapper(optimizer=SGD(host.parameters(), lr=0.05), loss_scaler=scaler, **kwargs)


def train(host, optim, batches):
    for batch in batches:
        host.train_step(dict(inputs=batch, data_samples=None), optim)
    return host.state_dict()


@pytest.mark.parametrize(
    ('reach', 'kwargs'),
    [
        (1, dict(step_policy='joint')),
        (1, dict(step_policy='per_block')),
        (1, dict(accumulative_counts=2)),
        (2, dict(clip_grad=dict(max_norm=0.1))),
        (2, dict(accumulative_counts=2)),
    ],
    ids=str,
)
def test_scaled_training_is_the_same(make_host, image, reach, kwargs):
    hosts = [make_host(partition=CUTS, reach=reach) for _ in range(2)]
    plain = BlockwiseOptimWrapper(optimizer=SGD(hosts[0].parameters(), lr=0.05), **kwargs)
    batches = [image, -image, 2 * image, image]
    expected = train(hosts[0], plain, batches)
    found = train(hosts[1], amp(hosts[1], **kwargs), batches)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-11, atol=1e-13, msg=name)


@pytest.mark.parametrize('policy', ['joint', 'per_block'])
def test_the_scale_grows_once_an_iteration(make_host, image, policy):
    host = make_host(partition=CUTS)
    optim = amp(host, step_policy=policy)
    scales = []
    for _ in range(4):
        train(host, optim, [image])
        scales.append(optim.loss_scaler.get_scale())
    assert scales == [1024.0, 2048.0, 2048.0, 4096.0]


def overflow(host, block):
    """Let the gradients of one block become infinite, its loss stay finite."""
    unit = host.backbone.get_submodule(dict(block1='layer1.0', block2='layer2.1')[block])
    unit.conv1.weight.register_hook(lambda gradient: gradient * float('inf'))


@pytest.mark.parametrize(('policy', 'stays'), [('joint', ['block1', 'block2', 'rest']), ('per_block', ['block2'])])
def test_an_overflow_in_one_block(make_host, image, policy, stays, caplog):
    host = make_host(partition=CUTS)
    optim = amp(host, step_policy=policy)
    overflow(host, 'block2')
    seen = dict(
        block1='backbone.layer1.0.conv2.weight',
        block2='backbone.layer2.0.conv1.weight',
        rest='linear.weight',
    )
    weights = dict(host.named_parameters())
    before = {part: weights[name].detach().clone() for part, name in seen.items()}
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    try:
        train(host, optim, [image])
    finally:
        logger.removeHandler(caplog.handler)
    assert [part for part, name in seen.items() if torch.equal(weights[name], before[part])] == stays
    assert optim.loss_scaler.get_scale() == 512.0
    assert 'block2: gradients are not finite at loss scale 1024: not stepped' in caplog.text


def test_copies_do_not_move_with_a_skipped_step(make_host, make_loop, man_auxiliary, image):
    host = make_host(partition=CUTS, auxiliary=man_auxiliary)
    loop = make_loop(host, amp(host, step_policy='joint'))
    moved = [a.bridge.ema.steps.item() for a in host.backbone.local_division.auxiliaries]
    overflow(host, 'block2')
    loop.step(image)
    assert [a.bridge.ema.steps.item() for a in host.backbone.local_division.auxiliaries] == moved


def test_state_goes_on(make_host, image):
    host = make_host(partition=CUTS)
    optim = amp(host)
    train(host, optim, [image, image])
    other = amp(host)
    other.load_state_dict(optim.state_dict())
    assert other.loss_scaler.get_scale() == optim.loss_scaler.get_scale() == 2048.0
    plain = BlockwiseOptimWrapper(optimizer=SGD(host.parameters(), lr=0.05))
    other.load_state_dict(plain.state_dict())  # of a run without mixed precision


def test_bfloat16_on_the_cpu(make_host):
    host = make_host(partition=CUTS, dtype=torch.float32)
    optim = BlockwiseAmpOptimWrapper(optimizer=SGD(host.parameters(), lr=0.01))
    seen = []
    host.backbone.layer2[0].conv1.register_forward_hook(lambda _m, _a, output: seen.append(output.dtype))
    before = host.linear.weight.clone()
    train(host, optim, [torch.randn(2, 3, 64, 64)])
    assert set(seen) == {torch.bfloat16}
    assert not optim.loss_scaler.is_enabled()
    assert optim.step_policy(isolated=True) == 'per_block'
    assert not torch.equal(before, host.linear.weight)


@pytest.mark.parametrize(
    ('kwargs', 'told'),
    [
        (dict(dtype='float8'), "dtype = 'float8' is not one of float16, bfloat16"),
        (dict(loss_scale='static'), "loss_scale = 'static' is neither 'dynamic' nor a number above 0 nor a dict"),
    ],
)
def test_wrong_settings(make_host, kwargs, told):
    with pytest.raises(ConfigError, match=told):
        BlockwiseAmpOptimWrapper(optimizer=SGD(make_host().parameters(), lr=0.01), **kwargs)


CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.integration
@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*/*mini-*.py')), ids=lambda path: path.stem)
def test_every_mini_config_in_bfloat16(path, build_lively, make_loop):
    """Three steps: convolutions run in bfloat16, losses fall, weights stay in float32."""
    cfg = Config.fromfile(path)
    cfg.optim_wrapper.type = 'mmlocal.BlockwiseAmpOptimWrapper'
    cfg, model, optim, make_batch = build_lively(cfg)
    for group in optim.optimizer.param_groups:
        group['lr'] = 1e-3
    seen = set()
    convolution = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    convolution.register_forward_hook(lambda _module, _args, output: seen.add(output.dtype))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        batch = make_batch(32 if 'digits' in path.stem or 'div2k' in path.stem else 128)
        loop, losses = make_loop(model, optim), []
        for _ in range(3):
            torch.manual_seed(0)  # the same boxes are sampled, the same pixels dropped
            losses.append(loop.step(**copy.deepcopy(batch))['loss'].item())
    assert seen == {torch.bfloat16}
    assert losses[2] < losses[0]
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())
