"""The plan: what is said before training, and what is refused."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.optim import SGD

from mmlocal.engine import BlockwiseOptimWrapper, PlanHook
from mmlocal.engine.hooks import plan as plan_hook
from mmlocal.engine.plan import fingerprint, make_plan, plan_text
from mmlocal.errors import ConfigError

CUTS = ['layer1.1', 'layer3.0']


def runner(host, wrapper=BlockwiseOptimWrapper, **kwargs):
    optim = wrapper(optimizer=SGD(host.parameters(), lr=0.1), **kwargs)
    return SimpleNamespace(model=host, optim_wrapper=optim, logger=logging.getLogger('plan'), _resume=False)


def test_one_line_a_block_and_what_is_detached(make_host, man_auxiliary, caplog):
    host = make_host(partition=CUTS, auxiliary=man_auxiliary, frozen_stages=0)
    with caplog.at_level(logging.INFO, 'plan'):
        PlanHook().before_train(runner(host))
    head, *blocks, frozen, detached = caplog.messages[0].split('\n')
    assert head == (
        'Local learning of ResNet-18 in 3 blocks; each block learns from its own loss; optimizer steps: per_block'
    )
    assert [line.split()[0] for line in blocks] == ['block1', 'block2', 'block3']
    assert blocks[0].endswith('scaled momentum of layer2.0, test head')
    assert 'the rest of the model, by its own loss' in blocks[2]
    assert frozen == '  frozen: stem'
    assert 'layer1.1, layer2.1, but those blocks do not hear its loss' in detached


def test_figures_of_the_plan(make_host):
    host = make_host(partition=CUTS, dtype=torch.float32)
    blocks = make_plan(host.backbone)
    assert sum(block.parameters for block in blocks) == sum(p.numel() for p in host.backbone.network.parameters())
    assert blocks[0].auxiliary_parameters == 8 * 3 + 3
    assert blocks[-1].auxiliary is None
    # Activations shrink with the resolution of the blocks.
    assert blocks[0].bytes_per_pixel > blocks[1].bytes_per_pixel > blocks[2].bytes_per_pixel > 0


class AuxiliaryHead(nn.Module):
    def __init__(self, in_index):
        super().__init__()
        self.in_index = in_index


def test_the_hosts_own_auxiliary_heads_are_named(make_host):
    host = make_host(partition=CUTS)
    host.auxiliary_head = nn.ModuleList([AuxiliaryHead(1), AuxiliaryHead([0, 3])])
    of_a_block, of_the_end = plan_text(host.backbone, 'joint', host).split('\n')[-2:]
    assert of_a_block == "  the host's own auxiliary_head: AuxiliaryHead on layer2.1, which block2 does not hear"
    assert of_the_end.endswith('AuxiliaryHead on layer1.1, layer4.1, which block1 does not hear')


def test_measuring_changes_nothing(make_host, man_auxiliary):
    host = make_host(partition=CUTS, auxiliary=man_auxiliary)
    before = {name: value.clone() for name, value in host.state_dict().items()}
    first = plan_text(host.backbone, 'joint')
    assert plan_text(host.backbone, 'joint') == first
    assert host.training
    assert all(torch.equal(value, before[name]) for name, value in host.state_dict().items())
    assert all(p.grad is None for p in host.parameters())


def test_a_stock_wrapper_is_refused(make_host):
    with pytest.raises(ConfigError, match="'OptimWrapper' would train a LocalBackbone end to end"):
        PlanHook().before_train(runner(make_host(partition=CUTS), OptimWrapper))


@pytest.mark.parametrize(('reach', 'policy'), [(1, 'per_block'), (2, 'joint')])
def test_several_processes_are_refused_where_they_would_drift_apart(make_host, monkeypatch, reach, policy):
    monkeypatch.setattr(plan_hook, 'get_world_size', lambda: 2)
    host = make_host(partition=CUTS, reach=reach)
    with pytest.raises(ConfigError, match="Several processes need step_policy = 'joint' and reach = 1"):
        PlanHook().before_train(runner(host, step_policy=policy))


def test_checkpoints_carry_the_plan(make_host, man_auxiliary):
    host = make_host(partition=CUTS, auxiliary=man_auxiliary)
    checkpoint = {}
    PlanHook().before_save_checkpoint(runner(host), checkpoint)
    assert checkpoint['local_plan'] == fingerprint(host.backbone)
    assert checkpoint['local_plan'][0] == 'stem … layer1.1: scaled momentum of layer2.0, test head'
    PlanHook().after_load_checkpoint(runner(host), checkpoint)


def test_resuming_an_end_to_end_checkpoint_is_refused(make_host):
    resumed = runner(make_host(partition=CUTS))
    resumed._resume = True
    with pytest.raises(ConfigError, match='was not trained by local learning; to start from its weights use load_from'):
        PlanHook().after_load_checkpoint(resumed, dict(state_dict={}))


def test_weights_of_another_plan_come_without_its_auxiliaries(make_host):
    states = {'backbone.conv1.weight': 1, 'backbone.auxiliaries.0.x': 2}
    checkpoint = dict(local_plan=['another'], state_dict=dict(states), ema_state_dict=dict(states))
    PlanHook().after_load_checkpoint(runner(make_host(partition=CUTS)), checkpoint)
    assert list(checkpoint['state_dict']) == list(checkpoint['ema_state_dict']) == ['backbone.conv1.weight']
