"""The plan: what is said before training, and what is refused."""

import logging
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from mmlocal.engine import BlockwiseOptimWrapper, PlanHook
from mmlocal.engine.hooks import summary as plan_hook
from mmlocal.engine.summary import fingerprint, make_plan, plan_text
from mmlocal.errors import ConfigError

CUTS = ['layer1.1', 'layer3.0']


def runner(host, wrapper=BlockwiseOptimWrapper, **kwargs):
    optim = wrapper(optimizer=SGD(host.parameters(), lr=0.1), **kwargs)
    loader = SimpleNamespace(dataset=[], num_workers=0, persistent_workers=False)
    run = dict(hooks=[], train_loop=None, train_dataloader=loader, _resume=False)
    return SimpleNamespace(model=host, optim_wrapper=optim, logger=logging.getLogger('plan'), **run)


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
    blocks = make_plan(host.backbone.local_division)
    assert sum(block.parameters for block in blocks) == sum(
        p.numel() for name, p in host.backbone.named_parameters() if 'local_auxiliaries' not in name
    )
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
    of_a_block, of_the_end = plan_text(host.backbone.local_division, 'joint', host).split('\n')[-2:]
    assert of_a_block == "  the host's own auxiliary_head: AuxiliaryHead on layer2.1, which block2 does not hear"
    assert of_the_end.endswith('AuxiliaryHead on layer1.1, layer4.1, which block1 does not hear')


def test_measuring_changes_nothing(make_host, man_auxiliary):
    host = make_host(partition=CUTS, auxiliary=man_auxiliary)
    before = {name: value.clone() for name, value in host.state_dict().items()}
    first = plan_text(host.backbone.local_division, 'joint')
    assert plan_text(host.backbone.local_division, 'joint') == first
    assert host.training
    assert all(torch.equal(value, before[name]) for name, value in host.state_dict().items())
    assert all(p.grad is None for p in host.parameters())


def test_a_stock_wrapper_is_refused(make_host):
    with pytest.raises(ConfigError, match="'OptimWrapper' would train a LocalBackbone end to end"):
        PlanHook().before_train(runner(make_host(partition=CUTS), OptimWrapper))


class Stock(DistributedDataParallel):
    """What the hook reads of one; a real one needs processes."""

    def __init__(self, module, **settings):
        torch.nn.Module.__init__(self)
        self.module = module
        self.static_graph, self.find_unused_parameters = False, True
        vars(self).update(settings)


@pytest.mark.parametrize(
    ('wrap', 'policy', 'told'),
    [
        (partial(Stock, find_unused_parameters=False), 'joint', 'find_unused_parameters = False does not average'),
        (partial(Stock, static_graph=True), 'per_block', 'static_graph = True: from the second iteration on'),
        (torch.nn.DataParallel, 'joint', "'DataParallel' does not average the gradients of blocks: use 'mmlocal.Local"),
        (partial(Stock, find_unused_parameters=False), 'per_block', None),
        (Stock, 'joint', None),
    ],
)
def test_wrappers_that_would_leave_processes_apart_are_refused(make_host, monkeypatch, wrap, policy, told):
    monkeypatch.setattr(plan_hook, 'get_world_size', lambda: 2)
    one = runner(make_host(partition=CUTS), step_policy=policy)
    one.model = wrap(one.model)
    if told is None:
        PlanHook().before_train(one)
        return
    with pytest.raises(ConfigError, match=told):
        PlanHook().before_train(one)


def test_processes_with_different_plans_are_refused(make_host, monkeypatch):
    """Of the same config, as code may have it."""
    place = 'mmlocal.engine.distributed.differences.all_gather_object'
    monkeypatch.setattr(place, lambda mine, group: [mine, 'other' if isinstance(mine, str) else dict(plan='other')])
    with pytest.raises(ConfigError, match=r'^plan = per_block steps; stem .* layer1.*in rank 0, other in rank 1'):
        PlanHook().before_train(runner(make_host(partition=CUTS)))


def test_checkpoints_carry_the_plan(make_host, man_auxiliary):
    host = make_host(partition=CUTS, auxiliary=man_auxiliary)
    checkpoint = {}
    PlanHook().before_save_checkpoint(runner(host), checkpoint)
    assert checkpoint['local_plan'] == fingerprint(host.backbone.local_division)
    assert checkpoint['local_plan'][0] == 'stem … layer1.1: scaled momentum of layer2.0, test head'
    PlanHook().after_load_checkpoint(runner(host), checkpoint)


def test_resuming_an_end_to_end_checkpoint_is_refused(make_host):
    resumed = runner(make_host(partition=CUTS))
    resumed._resume = True
    with pytest.raises(ConfigError, match='was not trained by local learning; to start from its weights use load_from'):
        PlanHook().after_load_checkpoint(resumed, dict(state_dict={}))


def test_resuming_without_the_weights_of_the_auxiliaries_is_refused(make_host):
    """Of a published checkpoint, or where they had other names: they would go on from random weights."""
    host = make_host(partition=CUTS)
    resumed = runner(host)
    resumed._resume = True
    checkpoint = dict(state_dict=dict(host.state_dict()))
    PlanHook().before_save_checkpoint(resumed, checkpoint)
    PlanHook().after_load_checkpoint(resumed, checkpoint)
    lost = [key for key in checkpoint['state_dict'] if '.local_auxiliaries.1.' in key]
    for key in lost:
        checkpoint['state_dict'][key.replace('.local_auxiliaries.', '.auxiliaries.')] = checkpoint['state_dict'].pop(
            key
        )
    with pytest.raises(ConfigError, match=rf'lacks {len(lost)} weights of the auxiliaries, {lost[0]} among them'):
        PlanHook().after_load_checkpoint(resumed, checkpoint)


def test_weights_of_another_plan_come_without_its_auxiliaries(make_host):
    states = {'backbone.conv1.weight': 1, 'backbone.local_auxiliaries.0.x': 2}
    checkpoint = dict(local_plan=['another'], state_dict=dict(states), ema_state_dict=dict(states))
    PlanHook().after_load_checkpoint(runner(make_host(partition=CUTS)), checkpoint)
    assert list(checkpoint['state_dict']) == list(checkpoint['ema_state_dict']) == ['backbone.conv1.weight']
