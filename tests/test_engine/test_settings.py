"""What is compared between processes, and how a difference is told."""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from torch.distributed import HashStore
from torch.distributed.distributed_c10d import PrefixStore

from mmlocal.engine.distributed import compare_data, compare_settings, ranks, settings
from mmlocal.engine.distributed.differences import differences_of, digest_of, with_ranks
from mmlocal.engine.distributed.settings import _of_config, _of_loader, _without_roots
from mmlocal.errors import ConfigError

CONFIG = dict(
    lr=0.1,  # a variable, which nobody reads
    work_dir='runs/a',
    load_from='runs/a/epoch_1.pth',
    default_hooks=dict(checkpoint=dict(type='CheckpointHook', out_dir='/a')),
    train_dataloader=dict(
        batch_size=2,
        num_workers=2,
        dataset=dict(
            type='X', data_root='/disk1/set/', indices=list(range(30)), pipeline=[dict(type='A', scale=(2, 3))]
        ),
    ),
    val_dataloader=dict(dataset=dict(type='X', data_root='/disk1/other')),
    val_evaluator=dict(type='M', ann_file='/disk1/set/annotations/val.json'),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
    custom_hooks=[dict(type=print, function=lambda: None)],
)


def changed(**options):
    cfg = Config(copy.deepcopy(CONFIG))
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    return cfg.to_dict()


def told(*configs):
    texts = [_of_config(config, ['train', 'val']) for config in configs]
    return differences_of([_without_roots(one) for one in texts], texts)


@pytest.mark.parametrize(
    'options',
    [
        dict(lr=0.2),
        dict(test_dataloader=dict(batch_size=7)),
        dict(work_dir='/scratch/b', load_from='/scratch/b/epoch_1.pth'),
        dict(default_hooks__checkpoint__out_dir='/b'),
        dict(train_dataloader__num_workers=8),
        dict(
            train_dataloader__dataset__data_root='/disk2/set',
            val_dataloader__dataset__data_root='/disk2/other',
            val_evaluator__ann_file='/disk2/set/annotations/val.json',
        ),
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_may_differ(options):
    assert told(changed(), changed(**options)) == []


SAME = 'it has to be the same in all processes'


@pytest.mark.parametrize(
    ('options', 'name', 'values'),
    [
        (dict(optim_wrapper__optimizer__lr=0.2), 'optim_wrapper.optimizer.lr', ('0.1', '0.2')),
        (dict(optim_wrapper__optimizer__eps=1), 'optim_wrapper.optimizer.eps', ('not set', '1')),
        (dict(train_dataloader__dataset__pipeline=[dict(type='A', scale=(2, 4))]), None, ('[2, 3]', '[2, 4]')),
        (dict(load_from='runs/a/epoch_2.pth'), 'load_from', ("'runs/a/epoch_1.pth'", "'runs/a/epoch_2.pth'")),
        (
            dict(val_evaluator__ann_file='/disk1/set/annotations/train.json'),
            'val_evaluator.ann_file',
            ("'/disk1/set/annotations/val.json'", "'/disk1/set/annotations/train.json'"),
        ),
        # Not the same folder for training and for validation.
        (
            dict(val_dataloader__dataset__data_root='/disk1/set'),
            'val_dataloader.dataset.data_root',
            ("'/disk1/other'", "'/disk1/set'"),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_what_has_to_be_the_same(options, name, values):
    name = name or 'train_dataloader.dataset.pipeline[0].scale'
    assert told(changed(), changed(**options)) == [f'{name} = {values[0]} in rank 0, {values[1]} in rank 1: {SAME}']


def test_long_values_are_told_by_their_lengths_and_where_they_differ():
    (fault,) = told(changed(), changed(train_dataloader__dataset__indices=list(range(20))))
    assert fault.startswith('train_dataloader.dataset.indices = 30 values: [0, 1, 2, ')
    assert ' in rank 0, 20 values: [0, 1, 2, ' in fault
    assert len(fault) < 300
    texts = ['a' * 500 + end for end in ('bc', 'cc')]
    (fault,) = differences_of([dict(x=text) for text in texts])
    assert fault == f'x = …{"a" * 40}bc in rank 0, …{"a" * 40}cc in rank 1: {SAME}'


def test_many_differences_and_many_ranks():
    faults = differences_of([{str(i): str(rank // 2) for i in range(20)} for rank in range(3)])
    assert faults[0] == f'0 = 0 in ranks 0, 1, 1 in rank 2: {SAME}'
    assert len(faults) == 9
    assert faults[-1] == 'and 12 more settings differ between processes'
    assert with_ranks({0: ['a'], 1: ['a', 'b']}) == ['ranks 0, 1: a', 'rank 1: b']


def test_no_addresses():
    """They are others in another process."""
    entries = _of_config(changed(), ['train'])
    assert entries['custom_hooks[0].type'] == 'builtins.print'
    assert entries['custom_hooks[0].function'].endswith('.<lambda>')


class Records(BaseDataset):
    METAINFO = dict(classes=('a', 'b'))

    def __init__(self, labels, root):
        self._labels = labels
        super().__init__(data_root=root, data_prefix=dict(img='images'))

    def load_data_list(self):
        folder = self.data_prefix['img']
        return [
            dict(img_path=f'{folder}/{i}.png', label=label, box=np.full(4, label))
            for i, label in enumerate(self._labels)
        ]


def entries_of(labels, root):
    dataset = Records(labels, root)
    return _of_loader('train_dataloader', SimpleNamespace(dataset=dataset))


def test_records():
    """Of another root the same, with another label not."""
    labels = [0] * 150
    one, other = entries_of(labels, '/disk1/set'), entries_of(labels, '/disk2/set/')
    assert one == other
    assert one['len(train_dataloader.dataset)'] == '150'
    labels[50] = 1
    assert [name for name, value in entries_of(labels, '/disk1/set').items() if value != one[name]] == [
        'train_dataloader.dataset (digest of up to 100 records: files, annotations)'
    ]


@pytest.fixture
def make_ranks(monkeypatch):
    """This process among others, of which there is only what is in the store."""

    def make(store):
        made = ranks.Ranks(store, 0, 3)
        monkeypatch.setattr(ranks, '_current', made)
        return made

    return make


def test_one_that_does_not_come(make_ranks):
    make_ranks(HashStore())
    cfg = Config(changed(env_cfg=dict(dist_cfg=dict(timeout=0.1))))
    with pytest.raises(ConfigError, match=r'^config: ranks 1, 2 did not come within 0.1 seconds: .*dist_cfg.timeout'):
        compare_settings(cfg, ['train'])


def test_differences_are_read_of_one_process_of_each_kind(make_ranks):
    mine, store = dict(a='1', b='<root 0>'), HashStore()
    of_others = PrefixStore('mmlocal', store)
    for rank, entries in ((1, mine), (2, dict(a='2', b='<root 1>'))):
        of_others.set(f'config/digest/{rank}', digest_of(entries))
    of_others.set('config/entries/2', json.dumps([dict(a='2', b='<root 1>'), dict(b='/there')]))
    with pytest.raises(ConfigError) as refused:
        make_ranks(store).compare('config', mine, dict(b='/here'))
    assert refused.value.faults == (
        f'a = 1 in ranks 0, 1, 2 in rank 2: {SAME}',
        f'b = /here in ranks 0, 1, /there in rank 2: {SAME}',
    )


def test_one_process_pays_nothing(monkeypatch):
    monkeypatch.setattr(settings, '_of_code', None)
    compare_settings(Config(changed()), ['train'])
    compare_data(None, None)
