"""A file that a config names and that is not there is told with its key."""

from pathlib import Path

import pytest

from mmlocal.validation import validate

ROOT = Path(__file__).parents[2]


class TestDatasets:
    HOW = (
        'docs/datasets.md says where to get it and how to lay it out; '
        'configs/man/faster_rcnn_r18_man_mini-coco.py runs without it'
    )

    def test_missing_root_is_one_fault(self, cfg, faults_of):
        for split in ('train', 'val'):
            cfg[f'{split}_dataloader'].dataset.data_root = '/nowhere/coco/'
        cfg.val_evaluator.ann_file = '/nowhere/coco/annotations/instances_val2017.json'
        sentence = "train_dataloader.dataset.data_root = '/nowhere/coco/' does not exist"
        assert faults_of(cfg) == [f'{sentence} (looked for /nowhere/coco). {self.HOW}']

    def test_relative_path_is_told_in_full(self, cfg, tmp_path, monkeypatch, faults_of):
        monkeypatch.chdir(tmp_path)
        cfg.train_dataloader.dataset.data_root = 'data/coco/'
        sentence = f"data_root = 'data/coco/' does not exist (looked for {tmp_path}/data/coco). {self.HOW}"
        assert faults_of(cfg) == [f'train_dataloader.dataset.{sentence}']

    def test_mini_set_is_made_by_a_command(self, cfg, tmp_path, monkeypatch, faults_of, assert_faults):
        monkeypatch.chdir(tmp_path)
        cfg.val_dataloader.dataset.data_root = 'data/mini-coco/'
        command = 'python tools/dataset_converters/make_mini_dataset.py coco --out data/mini-coco'
        start = "val_dataloader.dataset.data_root = 'data/mini-coco/' does not exist"
        assert_faults(faults_of(cfg), [f'{start} (...). Make it in seconds: {command}'])
        assert (ROOT / command.split()[1]).is_file()

    def test_annotation_file_and_image_folder(self, cfg, dataset, faults_of, assert_faults):
        cfg.train_dataloader.dataset.update(ann_file='annotations/none.json', data_prefix=dict(img='none/'))
        place, looked = 'train_dataloader.dataset', 'does not exist (looked for'
        file, folder = f'{dataset}/annotations/none.json', f'{dataset}/none/'
        expected = [
            f'{place}.ann_file = {file!r} {looked} {file}). Make it in seconds: ...',
            f'{place}.data_prefix.img = {folder!r} {looked} {dataset}/none). Make it in seconds: ...',
        ]
        assert_faults(faults_of(cfg), expected)

    def test_file_of_an_evaluator(self, cfg, faults_of, assert_faults):
        cfg.val_evaluator = [cfg.val_evaluator, dict(cfg.val_evaluator, ann_file='/nowhere/a.json')]
        assert_faults(faults_of(cfg), ["val_evaluator[1].ann_file = '/nowhere/a.json' does not exist ..."])

    @pytest.mark.parametrize(
        ('wrap', 'place'),
        [
            (lambda d: dict(type='RepeatDataset', times=2, dataset=d), 'dataset.dataset'),
            (lambda d: dict(type='ConcatDataset', datasets=[dict(type='CocoDataset'), d]), 'dataset.datasets[1]'),
        ],
    )
    def test_inside_a_wrapper(self, cfg, wrap, place, faults_of, assert_faults):
        inner = dict(cfg.train_dataloader.dataset, data_root='/nowhere/coco/')
        cfg.train_dataloader.dataset = wrap(inner)
        assert_faults(faults_of(cfg), [f"train_dataloader.{place}.data_root = '/nowhere/coco/' does not exist ..."])

    def test_one_of_several_loaders_of_a_split(self, cfg, faults_of, assert_faults):
        loader = cfg.test_dataloader.to_dict()
        cfg.test_dataloader = [loader, dict(loader, dataset=dict(loader['dataset'], data_root='/nowhere/'))]
        expected = ["test_dataloader[1].dataset.data_root = '/nowhere/' does not exist ..."]
        assert_faults(faults_of(cfg, splits=['test']), expected)

    def test_only_splits_that_are_used_count(self, cfg, faults_of, assert_faults):
        cfg.test_dataloader.dataset.data_root = '/nowhere/coco/'
        validate(cfg)
        assert_faults(faults_of(cfg, splits=['test']), ["test_dataloader.dataset.data_root = '/nowhere/coco/' ..."])

    def test_other_storage_is_not_looked_at(self, cfg):
        cfg.train_dataloader.dataset.data_root = 's3://bucket/coco/'
        validate(cfg)


def test_missing_checkpoint(cfg, faults_of):
    cfg.load_from = '/nowhere/a.pth'
    assert faults_of(cfg) == ["load_from = '/nowhere/a.pth' does not exist (looked for /nowhere/a.pth)"]


def test_checkpoint_has_the_name_that_the_user_gave_it(cfg, faults_of):
    cfg.load_from = '/nowhere/a.pth'
    found = faults_of(cfg, checkpoint=('--resume', '/nowhere/b.pth'))
    assert found == ["--resume = '/nowhere/b.pth' does not exist (looked for /nowhere/b.pth)"]
