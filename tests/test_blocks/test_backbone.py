"""State dicts, hand-outs and what cannot be cut."""

import copy
import pickle

import pytest
import torch
from mmdet.models import ResNet
from mmengine.registry import DefaultScope
from torch import nn

from mmlocal.blocks import LocalBackbone, find_units
from mmlocal.errors import ConfigError
from mmlocal.hosts import import_host
from mmlocal.registry import MODELS

CUTS = ['layer1.1', 'layer3.0']


def local_keys(state):
    return {key for key in state if '.local_auxiliaries.' in key}


def test_state_dict_has_the_stock_keys(make_host, man_auxiliary):
    host, stock = make_host(partition=CUTS, auxiliary=man_auxiliary), make_host()
    state = host.state_dict()
    assert set(state) - local_keys(state) == set(stock.state_dict())
    assert local_keys(state)


def test_stock_weights_load_without_a_missing_key(make_host, man_auxiliary):
    host, stock = make_host(partition=CUTS, auxiliary=man_auxiliary), make_host(seed=5)
    missing, unexpected = host.load_state_dict(stock.state_dict(), strict=False)
    assert not unexpected
    assert missing
    assert all('.local_auxiliaries.' in key for key in missing)
    for key, value in stock.state_dict().items():
        assert torch.equal(host.state_dict()[key], value), key


def test_stock_backbone_weights_load_by_mmengine(make_host, tmp_path):
    """As `init_cfg=dict(type='Pretrained')` and `load_from` do."""
    from mmengine.runner import load_checkpoint

    host, stock = make_host(partition=CUTS), make_host(seed=5)
    torch.save(stock.backbone.state_dict(), tmp_path / 'resnet.pth')
    load_checkpoint(host.backbone, str(tmp_path / 'resnet.pth'))
    assert torch.equal(host.backbone.layer3[1].conv2.weight, stock.backbone.layer3[1].conv2.weight)
    assert torch.equal(host.backbone.bn1.running_var, stock.backbone.bn1.running_var)


def test_pretrained_init_reaches_the_network(make_host, tmp_path):
    stock = make_host(seed=5)
    torch.save(stock.backbone.state_dict(), tmp_path / 'resnet.pth')
    host = make_host(partition=CUTS, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth')))
    host.init_weights()
    assert torch.equal(host.backbone.conv1.weight, stock.backbone.conv1.weight)


def test_without_the_auxiliaries_a_checkpoint_is_stock(make_host, man_auxiliary, image):
    host, stock = make_host(partition=CUTS, auxiliary=man_auxiliary), make_host(seed=5)
    state = {key: value for key, value in host.state_dict().items() if '.local_auxiliaries.' not in key}
    missing, unexpected = stock.load_state_dict(state)
    assert not missing
    assert not unexpected
    assert torch.equal(stock.eval()(image), host.eval()(image))


def test_save_and_load_round_trip(make_host, man_auxiliary, image):
    first = make_host(partition=CUTS, auxiliary=man_auxiliary)
    second = make_host(partition=CUTS, auxiliary=man_auxiliary, seed=5)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(image), second(image))


@pytest.mark.parametrize('clone', [copy.deepcopy, lambda host: pickle.loads(pickle.dumps(host))])
def test_a_copy_trains_its_own_weights(make_host, man_auxiliary, image, clone):
    """`EMAHook` copies the model; a boundary of the copy must not train the original."""
    from torch.optim import SGD

    from mmlocal.engine import BlockwiseOptimWrapper

    host = make_host(partition=CUTS, auxiliary=man_auxiliary)
    before = copy.deepcopy(host.state_dict())
    other = clone(host)
    optim = BlockwiseOptimWrapper(optimizer=SGD(other.parameters(), lr=0.1))
    other.train_step(dict(inputs=image, data_samples=None), optim)
    assert all(torch.equal(value, before[key]) for key, value in host.state_dict().items())
    assert not torch.equal(other.backbone.conv1.weight, host.backbone.conv1.weight)


def test_a_host_may_ask_for_anything_the_network_has(make_host):
    backbone = make_host(partition=CUTS).backbone
    assert backbone.feat_dim == 64
    assert isinstance(backbone, ResNet)
    with pytest.raises(AttributeError, match='no_such_thing'):
        _ = backbone.no_such_thing


def test_frozen_units_belong_to_the_first_block(make_host):
    backbone = make_host(partition=dict(type='Even', num_blocks=3), frozen_stages=2).backbone
    assert [unit.name for unit in backbone.local_division.frozen_units][-1] == 'layer2.1'
    assert [block[-1].name for block in backbone.local_division.blocks] == ['layer3.1', 'layer4.0', 'layer4.1']
    assert backbone.local_division.blocks[0][0].name == 'stem'


@pytest.mark.parametrize(('kind', 'host'), [('CSPDarknet', 'mmdet'), ('YOLOv8CSPDarknet', 'mmyolo')])
def test_units_count_as_frozen_where_a_network_freezes_them_in_train_alone(kind, host):
    import_host(host)
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    network = dict(partition=dict(type='Even', num_blocks=2), auxiliary=auxiliary, widen_factor=0.125)

    def build(frozen_stages):
        return LocalBackbone(f'{host}.{kind}', **network, frozen_stages=frozen_stages)

    with DefaultScope.overwrite_default_scope(host):
        division = build(3).local_division
        assert division.frozen_units
        assert not set(division.frozen_units) & {block[-1] for block in division.blocks}
        with pytest.raises(ConfigError, match='all of its 10 units are frozen'):
            build(4)


@MODELS.register_module()
class Chain(nn.Module):
    """A network whose `b` runs twice, and whose `c` puts out no tensor."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.d = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.c = Word()

    def forward(self, x):
        x = self.b(self.b(self.a(x)))
        return (self.d(x) if self.c(x) else x,)


class Word(nn.Module):
    def forward(self, x):
        return 'a word'


def chain(units, cuts):
    head = dict(type='mmlocal.SquareHead')
    auxiliary = dict(type='mmlocal.Auxiliary', head=head)
    return LocalBackbone('mmlocal.Chain', partition=cuts, auxiliary=auxiliary, units=units)


def test_any_network_is_cut_by_module_names():
    assert [len(block) for block in chain(['a', 'd'], ['a']).local_division.blocks] == [1, 1]


@MODELS.register_module()
class Namesake(nn.Module):
    """Its children are called as parts of this library are, or might be."""

    NAMES = ('network', 'auxiliaries', 'blocks', 'units', 'probe', 'segments')

    def __init__(self):
        super().__init__()
        for name in self.NAMES:
            self.add_module(name, nn.Conv2d(3, 3, 1))
        self.weight = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x):
        for name in self.NAMES:
            x = self.get_submodule(name)(x)
        return (x * self.weight,)


def test_names_of_a_network_do_not_collide():
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    local = LocalBackbone(
        'mmlocal.Namesake', partition=['network', 'units'], auxiliary=auxiliary, units=list(Namesake.NAMES)
    )
    stock = Namesake()
    own = [name for name, _ in local.named_parameters() if not name.startswith('local_auxiliaries.')]
    assert own == [name for name, _ in stock.named_parameters()]
    keys = local.load_state_dict(stock.state_dict(), strict=False)
    assert not keys.unexpected_keys
    assert all(key.startswith('local_auxiliaries.') for key in keys.missing_keys)
    assert all(torch.equal(value, local.state_dict()[key]) for key, value in stock.state_dict().items())
    again = pickle.loads(pickle.dumps(local))
    again.load_state_dict(local.state_dict())
    assert again.local_division.network is again


def test_a_pool_former_which_has_a_network_of_its_own():
    """mmpretrain's has a child called `network`: its weights load, all of them, and go back."""
    stage = [f'network.{i}.{j}' for i in (0, 2, 4, 6) for j in range(6 if i == 4 else 2)]
    arch = dict(type='mmpretrain.PoolFormer', arch='s12')
    units = ['patch_embed', *sorted([*stage, 'network.1', 'network.3', 'network.5'])]
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    local = LocalBackbone(arch, partition=['network.2.1'], auxiliary=auxiliary, units=units)
    stock = MODELS.build(dict(arch))
    with torch.no_grad():
        for p in stock.parameters():
            p.normal_()
    keys = local.load_state_dict(stock.state_dict(), strict=False)
    assert not keys.unexpected_keys
    assert all(key.startswith('local_auxiliaries.') for key in keys.missing_keys)
    own = {key: value for key, value in local.state_dict().items() if not key.startswith('local_auxiliaries.')}
    assert all(torch.equal(own[key], value) for key, value in stock.state_dict().items())
    MODELS.build(dict(arch)).load_state_dict(own, strict=True)


@pytest.mark.parametrize('name', ['local_auxiliaries', 'local_division'])
def test_a_network_with_a_name_of_ours_is_refused(name):
    class Taken(Chain):
        pass

    setattr(Taken, name, 1)
    MODELS.register_module(name='Taken', module=Taken, force=True)
    with pytest.raises(ConfigError, match=f'arch: Taken has {name} of its own'):
        LocalBackbone('mmlocal.Taken', partition=['a'], auxiliary={}, units=['a', 'd'])


def test_stock_code_does_not_meet_the_auxiliaries():
    """A network that runs over its own children, and one that freezes all of its modules."""

    class Walker(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            for module in self.modules():
                module.training = False
            return self

    MODELS.register_module(name='Walker', module=lambda: Walker(*(nn.Conv2d(3, 3, 1) for _ in range(3))), force=True)
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    local = LocalBackbone('mmlocal.Walker', partition=['0'], auxiliary=auxiliary, units=list('012')).train()
    assert local(torch.zeros(1, 3, 4, 4)).shape == (1, 3, 4, 4)
    assert not local[1].training
    assert local.local_auxiliaries[0].head.training


def test_names_of_units_are_those_of_modules():
    with pytest.raises(ConfigError, match=r"units\[1\] = 'e' is not a module of Chain"):
        find_units(Chain(), ['a', 'e'])


def test_what_cannot_be_cut_is_refused_by_name():
    with pytest.raises(ConfigError) as caught:
        chain(['a', 'b', 'c', 'd'], ['a'])
    assert caught.value.faults == (
        "unit 'b' runs 2 times in a forward; it must run exactly once",
        "unit 'c' puts out a str; it must be a tensor, or several",
    )


@MODELS.register_module()
class Crossing(nn.Module):
    """`c` reads the inside of `a`, and `b` what is left of it: `d` reads neither `b` nor `c` alone."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
        self.b, self.c, self.d = (nn.Conv2d(3, 3, 1) for _ in range(3))

    def forward(self, x):
        inside = self.a[0](x)
        self.a(x)
        return self.d(self.b(x) + self.c(inside))


def crossing(units, cuts):
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    return LocalBackbone('mmlocal.Crossing', partition=cuts, auxiliary=auxiliary, units=units)


def test_a_cut_that_the_connections_do_not_allow_is_refused_by_name():
    with pytest.raises(ConfigError) as caught:
        crossing(['a', 'b', 'c', 'd'], ['a', 'b'])
    assert caught.value.faults == (
        "partition[0]: 'b' does not read the output of 'a': no cut there; the nearest is behind 'c'",
        "partition[1]: 'c' does not read the output of 'b': no cut there; the nearest is behind 'c'",
        "unit 'a' is in another block than 'c', which reads something inside of it, not its output: its block would "
        'be finished by then. Cut elsewhere, or give the units: units=[...]',
    )


@MODELS.register_module()
class Shared(nn.Module):
    """What one operation makes of a weight is read by `b` and by `d`."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.d = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.weight = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x):
        weight = self.weight.exp()
        return self.d(self.b(self.a(x) * weight) * weight)


def test_no_graph_that_is_freed_is_entered_through_a_weight_of_no_unit():
    auxiliary = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    with pytest.raises(ConfigError) as caught:
        LocalBackbone('mmlocal.Shared', partition=['b'], auxiliary=auxiliary, units=['a', 'b', 'd'])
    (fault,) = caught.value.faults
    assert fault.startswith("unit 'b' is in another block than 'd', which reads something inside of it")
    # So no cut is found there either.
    assert [unit.name for unit in find_units(MODELS.build(dict(type='mmlocal.Shared')))[0]] == ['d']


def test_units_are_given_in_the_order_they_run():
    with pytest.raises(ConfigError, match='units are not in the order they run: that is a, b, c, d'):
        crossing(['b', 'a', 'c', 'd'], ['c'])


def test_what_a_hook_unfreezes_trains(make_host, make_loop, image, mmdet_scope):
    host = make_host(partition=dict(type='Even', num_blocks=3), frozen_stages=1)
    loop = make_loop(host)
    stem = host.backbone.conv1.weight
    assert not stem.requires_grad
    before = stem.detach().clone()
    loop.step(image)
    assert torch.equal(stem, before)
    host.backbone.frozen_stages = -1
    for p in host.parameters():
        p.requires_grad_(True)
    host.train()
    loop.step(image)
    assert not torch.equal(stem, before)
