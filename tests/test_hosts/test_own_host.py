"""A host of one's own, as docs/adding_a_host.md has it."""

import pytest
import torch

from mmlocal.errors import ConfigError
from mmlocal.hosts import HOSTS, Host, host_of, register_host
from mmlocal.hosts.derive import derive_head, derive_merge, for_task
from mmlocal.hosts.generated_batches import generated_batch, what_fits
from mmlocal.validation.data.targets import targets_of

CFG = dict(default_scope='tags', model=dict(type='Tagger', tag_head=dict(type='TagHead', num_classes=7)))


class Tags(Host):
    name = 'tags'
    task = 'tag'
    labels = {'tag_head': 'gt_tags'}

    def has(self, cfg):
        return 'tag_head' in cfg['model']

    def derive_head(self, cfg):
        return dict(type='tags.LocalTagHead', num_classes=cfg['model']['tag_head']['num_classes'])

    def derive_merge(self, cfg):
        return dict(type='mmlocal.PooledBank')

    def fits(self, model):
        return model['tag_head']['num_classes']

    def generated_batch(self, size, count, fits):
        return dict(inputs=torch.zeros(count, 3, *size), data_samples=[i % fits for i in range(count)])


@pytest.fixture
def tags():
    register_host(Tags)
    yield HOSTS['tags']
    del HOSTS['tags']


def test_unknown_host_has_no_local_head():
    assert host_of(CFG) is None
    with pytest.raises(ConfigError, match='none can be derived'):
        derive_head(CFG)


def test_registered_host_is_asked_for_all_that_depends_on_it(tags):
    assert host_of(CFG) is tags
    assert derive_head(CFG) == dict(type='tags.LocalTagHead', num_classes=7)
    assert derive_merge(CFG) == dict(type='mmlocal.PooledBank')
    assert for_task(dict(width=1, for_tag=dict(width=2), for_det=dict(width=3)), CFG) == dict(width=2)
    targets = targets_of(CFG)
    assert (targets.num_classes, targets.labels) == ({'model.tag_head.num_classes': 7}, 'gt_tags')
    batch = generated_batch('tags', (4, 6), count=9, fits=what_fits(CFG['model']))
    assert batch['inputs'].shape == (9, 3, 4, 6)
    assert batch['data_samples'][-2:] == [0, 1]


@pytest.mark.parametrize('name', ['', 'mmdet'])
def test_name_of_a_host_is_its_own(name):
    with pytest.raises(ConfigError, match='is none of its own; there are mmdet'):
        register_host(type('Other', (Tags,), dict(name=name)))
