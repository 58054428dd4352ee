"""What the tools do with what users give them: run, or end with exit code 2 and a line for each fault."""

import errno
import os
import pickle
from pathlib import Path

import mmdet
import pytest
import torch

from mmlocal.engine import ProgressHook

NOWHERE = '/nowhere/epoch_1.pth'


@pytest.fixture
def work_dir(tmp_path):
    """A work directory that somebody has trained in."""
    folder = tmp_path / 'work'
    (folder / '20250101_000000').mkdir(parents=True)
    (folder / '20250101_000000' / 'log.txt').write_text('a log')
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        torch.save(dict(state_dict={'weight': torch.zeros(1000)}, meta={}), folder / name)
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_2.pth'))
    return folder


@pytest.fixture
def broken(tmp_path, work_dir):
    """What may stand in for a checkpoint, and what is said about it; the last one is cut off."""
    whole = (work_dir / 'epoch_2.pth').read_bytes()
    (work_dir / 'epoch_2.pth').write_bytes(whole[: len(whole) // 2])
    (tmp_path / 'text.pth').write_text('no checkpoint')
    (tmp_path / 'empty.pth').touch()
    torch.save([1, 2], tmp_path / 'list.pth')
    return {
        str(work_dir / 'epoch_2.pth'): f'is broken: it was cut off after {len(whole) // 2} bytes',
        str(tmp_path / 'text.pth'): 'is not a checkpoint: torch.save did not write it',
        str(tmp_path / 'empty.pth'): 'is not a checkpoint: torch.save did not write it',
        str(tmp_path / 'list.pth'): 'holds no weights (no key state_dict)',
        NOWHERE: f'does not exist (looked for {NOWHERE})',
    }


def content(folder):
    """All files but the lock, which stays where a run has held it."""
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file() and path.name != '.lock'}


@pytest.fixture
def refused(call, work_dir):
    """Call a tool that must refuse: exit code 2, a line for each fault, and nothing is touched."""

    def refused(name, *args):
        before = content(work_dir)
        result = call(name, *args, '--work-dir', work_dir)
        assert result.code == 2
        assert 'Traceback' not in result.out + result.err
        assert content(work_dir) == before
        assert all(line.startswith('error: ') for line in result.errors), result.err
        return [line.removeprefix('error: ') for line in result.errors]

    return refused


class TestConfig:
    def test_missing_file(self, refused):
        missing = Path('nowhere.py').absolute()
        assert refused('train', 'nowhere.py') == [
            f"config 'nowhere.py' does not exist (looked for {missing})",
        ]

    @pytest.mark.parametrize('tool', ['train', 'test'])
    @pytest.mark.parametrize(
        ('name', 'hint'),
        [
            ('nope.py', ''),
            (
                'retinanet/retinanet_r50_fpn_1x_coc.py',
                " Did you mean 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'?",
            ),
        ],
    )
    def test_unknown_config_of_a_host(self, refused, tool, name, hint):
        looked = Path(mmdet.__file__).parent / '.mim' / 'configs' / name
        arguments = [f'mmdet::{name}'] + [NOWHERE] * (tool == 'test')
        assert refused(tool, *arguments) == [
            f"config 'mmdet::{name}' does not exist (looked for {looked}).{hint}",
        ]

    def test_unknown_host(self, refused):
        assert refused('train', 'mmnone::a/b.py') == [
            "config 'mmnone::a/b.py': the package 'mmnone' is not installed",
        ]

    @pytest.mark.parametrize(
        ('text', 'reason'),
        [
            ('model = (', "SyntaxError: '(' was never closed"),
            ('model = nothing', "NameError: name 'nothing' is not defined"),
            ("_base_ = './none.py'", 'FileNotFoundError: [Errno 2] No such file'),
            ("_base_ = 'mmdet::models/none.py'", 'FileNotFoundError: file "'),
            ("_base_ = './base.py'\nx = {{_base_.none}}", 'KeyError: none'),
        ],
    )
    def test_file_that_cannot_be_read(self, refused, tmp_path, text, reason):
        (tmp_path / 'base.py').write_text('a = 1')
        (tmp_path / 'config.py').write_text(text)
        (error,) = refused('train', tmp_path / 'config.py')
        assert error.startswith(f"config '{tmp_path}/config.py' cannot be read: {reason}")

    def test_missing_dataset(self, refused, local_config, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        key = 'train_dataloader.dataset.data_root'
        assert refused('train', local_config, '--cfg-options', f'{key}=data/mini-coco/') == [
            f"{key} = 'data/mini-coco/' does not exist (looked for {tmp_path}/data/mini-coco). "
            'Make it in seconds: python tools/dataset_converters/make_mini_dataset.py coco --out data/mini-coco',
        ]

    def test_file_that_is_no_config(self, refused, tmp_path):
        (tmp_path / 'config.py').write_text('max_epochs = 3')
        assert refused('train', tmp_path / 'config.py') == [
            f'{key} is missing' for key in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
        ]


class TestCheckpoint:
    def test_to_resume_from(self, refused, local_config, broken):
        for path, fault in broken.items():
            assert refused('train', local_config, '--resume', path) == [f'--resume = {path!r} {fault}']

    def test_latest(self, refused, local_config, broken, work_dir):
        """The other one in the folder holds weights alone."""
        path, fault = next(iter(broken.items()))
        assert refused('train', local_config, '--resume') == [
            f'--resume = {path!r} {fault}',
            f"--resume = '{work_dir}/epoch_1.pth' holds no optimizer, message_hub to go on from; "
            'to start from its weights use load_from',
        ]

    def test_to_start_from(self, refused, local_config, broken):
        for path in (next(iter(broken)), NOWHERE):
            option, fault = f'load_from={path}', broken[path]
            assert refused('train', local_config, '--cfg-options', option) == [f'load_from = {path!r} {fault}']

    def test_to_evaluate(self, refused, local_config, broken):
        for path in (next(iter(broken)), NOWHERE):
            assert refused('test', local_config, path) == [f'checkpoint = {path!r} {broken[path]}']

    def test_weights_are_not_gone_on_from(self, refused, local_config, work_dir):
        path = f'{work_dir}/epoch_1.pth'
        (error,) = refused('train', local_config, '--resume', path)
        assert error.startswith(f'--resume = {path!r} holds no optimizer, message_hub to go on from')

    def test_files_of_others_are_read_without_their_code(self, refused, local_config, tmp_path):
        path = tmp_path / 'evil.pth'
        torch.save(dict(state_dict={}, meta=Path('a')), path)
        fault = f'{str(path)!r} holds more than weights: a pathlib.PosixPath, and reading that can run code'
        for tool, argument, name in (('train', f'load_from={path}', 'load_from'), ('test', path, 'checkpoint')):
            option = ['--cfg-options', argument] if tool == 'train' else [argument]
            (error,) = refused(tool, local_config, *option)
            assert error.startswith(f'{name} = {fault}')


class TestWorkDir:
    def test_below_a_file(self, call, local_config, tmp_path):
        (tmp_path / 'file').touch()
        result = call('train', local_config, '--work-dir', tmp_path / 'file' / 'work')
        assert result.code == 2
        assert result.errors == [f"error: work_dir = '{tmp_path}/file/work' cannot be written: Not a directory"]

    @pytest.mark.parametrize('code', [errno.EROFS, errno.EACCES, errno.ENOSPC])
    def test_that_lets_nothing_be_written(self, call, local_config, tmp_path, monkeypatch, code):
        def touch(self, *_):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(Path, 'touch', touch)
        result = call('train', local_config, '--work-dir', tmp_path / 'work')
        assert result.code == 2
        assert result.errors == [f"error: work_dir = '{tmp_path}/work' cannot be written: {os.strerror(code)}"]

    def test_that_fails_behind_that(self, call, local_config, tmp_path, monkeypatch):
        """While the runner writes its log, for one."""

        def fail(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/work/log')

        monkeypatch.setattr('mmengine.runner.Runner.from_cfg', fail)
        result = call('train', local_config, '--work-dir', tmp_path / 'work')
        assert (result.code, result.errors) == (2, ['error: /work/log: No space left on device'])


class TestArguments:
    def test_learning_rate_without_a_batch_size_to_scale_by(self, refused, local_config):
        assert refused('train', local_config, '--auto-scale-lr') == [
            '--auto-scale-lr: the config has no auto_scale_lr.base_batch_size',
        ]

    def test_output_of_another_format(self, refused, local_config, work_dir):
        arguments = [local_config, work_dir / 'epoch_1.pth', '--out', 'predictions.json']
        assert refused('test', *arguments) == ["--out 'predictions.json' must end with .pkl or .pickle"]

    def test_output_below_a_file(self, refused, local_config, work_dir):
        out = f'{work_dir}/epoch_1.pth/predictions.pkl'
        arguments = [local_config, work_dir / 'epoch_1.pth', '--out', out]
        assert refused('test', *arguments) == [f'--out {out!r} cannot be written']

    def test_pictures_without_a_hook_that_draws(self, refused, local_config, work_dir):
        options = ['--cfg-options', 'default_hooks.visualization=None']
        arguments = [local_config, work_dir / 'epoch_1.pth', '--show-dir', 'pictures', *options]
        assert refused('test', *arguments) == [
            '--show and --show-dir: the config has no default_hooks.visualization',
        ]

    def test_all_overrides_that_do_not_fit_are_told(self, refused, local_config):
        good = ['train_cfg.max_epochs=1', 'model.backbone.reach=2']
        bad = ['optim_wraper.step_policy=joint', 'model.backbone.depth.of=1', 'custom_hooks.7.type=A']
        faults = refused('train', local_config, '--cfg-options', good[0], *bad, good[1])
        start = '--cfg-options'
        assert len(faults) == len(bad)
        assert faults[0] == (
            f"{start} optim_wraper.step_policy: nothing in the config is called 'optim_wraper'. "
            "Did you mean 'optim_wrapper'?"
        )
        assert faults[1].startswith(f'{start} model.backbone.depth.of = 1 does not fit the config: ')
        assert faults[2].startswith(f"{start} custom_hooks.7.type = 'A' does not fit the config: ")

    def test_overrides_are_told_with_the_rest(self, refused, local_config):
        options = ['model.test_cfg.rcnn.score_th=0.1', 'train_cfg.max_epoch=1', 'optim_wrapper.optimizer.lr=-1']
        assert refused('train', local_config, '--cfg-options', *options) == [
            "--cfg-options model.test_cfg.rcnn.score_th: nothing in model.test_cfg.rcnn is called 'score_th'. "
            "Did you mean 'score_thr'?",
            "train_cfg.max_epoch = 1 is not an argument of EpochBasedTrainLoop. Did you mean 'max_epochs'?",
            'optim_wrapper.optimizer cannot be built: ValueError: Invalid learning rate: -1',
        ]

    def test_overrides_that_name_no_argument_are_told(self, refused, local_config):
        options = ['train_cfg.val_interval=1', 'train_cfg.max_epoch=1', 'model.backbone.reachh=2']
        assert refused('train', local_config, '--cfg-options', *options) == [
            "train_cfg.max_epoch = 1 is not an argument of EpochBasedTrainLoop. Did you mean 'max_epochs'?",
            "model.backbone.reachh = 2 is not an argument of LocalBackbone or ResNet. Did you mean 'reach'?",
        ]

    @pytest.mark.parametrize(
        ('option', 'fault'),
        [
            (
                'model.backbone.partitoin.num_blocks=3',
                "model.backbone.partitoin = {'num_blocks': 3} is not an argument of LocalBackbone or ResNet. "
                "Did you mean 'partition'?",
            ),
            (
                'optim_wraper.optimizer.lr=0.1',
                "--cfg-options optim_wraper.optimizer.lr: nothing in the config is called 'optim_wraper'. "
                "Did you mean 'optim_wrapper'?",
            ),
            (
                'train_dataloder.batch_size=4',
                "--cfg-options train_dataloder.batch_size: nothing in the config is called 'train_dataloder'. "
                "Did you mean 'train_dataloader'?",
            ),
            (
                'model.test_cfg.rcnn.score_th=0.1',
                "--cfg-options model.test_cfg.rcnn.score_th: nothing in model.test_cfg.rcnn is called 'score_th'. "
                "Did you mean 'score_thr'?",
            ),
            (
                'default_hooks.chekpoint.interval=2',
                "--cfg-options default_hooks.chekpoint.interval: nothing in default_hooks is called 'chekpoint'. "
                "Did you mean 'checkpoint'?",
            ),
            (
                'train_dataloader.dataset.pipeline.1.with_box=True',
                'train_dataloader.dataset.pipeline[1].with_box = True is not an argument of LoadAnnotations. '
                "Did you mean 'with_bbox'?",
            ),
        ],
    )
    def test_override_that_nobody_reads(self, refused, local_config, option, fault):
        assert refused('train', local_config, '--cfg-options', option) == [fault]

    @pytest.mark.parametrize(
        ('option', 'fault'),
        [
            ('train_cfg.max_epochs', "'train_cfg.max_epochs' is not key=value"),
            ('custom_hooks=[1,(2]', "'custom_hooks=[1,(2]' has unbalanced brackets"),
        ],
    )
    def test_override_that_cannot_be_read(self, call, local_config, option, fault):
        result = call('train', local_config, '--cfg-options', 'model.backbone.reach=2', option)
        assert result.code == 2
        assert result.errors[-1] == f'train.py: error: argument --cfg-options: {fault}'


class TestProgress:
    @pytest.mark.parametrize('given', [[], ['--no-progress']])
    def test_a_run_has_a_bar_unless_it_is_told_not_to(self, call, local_config, tmp_path, monkeypatch, given):
        hooks = []
        monkeypatch.setattr('mmengine.runner.Runner.train', lambda runner: hooks.extend(runner.hooks))
        monkeypatch.setattr('mmlocal.running.check_loops', lambda *_: None)
        assert call('train', local_config, '--work-dir', tmp_path, *given).code == 0
        assert [type(hook) for hook in hooks].count(ProgressHook) == (not given)


class TestProcess:
    @pytest.mark.integration
    def test_several_faults_are_told_on_stderr(self, run, local_config, work_dir):
        before = content(work_dir)
        options = ['model.backbone.partition.type=Stages', 'optim_wrapper.step_policy=per_blok']
        data = 'train_dataloader.dataset.data_root=/nowhere/'
        arguments = ['--work-dir', work_dir, '--resume', NOWHERE, '--cfg-options', *options, data]
        result = run('train', local_config, *arguments)
        assert result.returncode == 2
        assert 'Traceback' not in result.stdout + result.stderr
        faults = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
        assert [fault.split(' = ')[0] for fault in faults] == [
            'error: train_dataloader.dataset.data_root',
            'error: model.backbone.partition.type',
            'error: optim_wrapper.step_policy',
            'error: --resume',
        ]
        assert content(work_dir) == before

    @pytest.mark.integration
    @pytest.mark.xdist_group('local_run')
    def test_local_config_trains(self, local_run):
        assert 'Local learning of ResNet-18 in 4 blocks' in local_run.log
        assert local_run.checkpoint.is_file()

    @pytest.mark.integration
    @pytest.mark.xdist_group('local_run')
    def test_another_partition_is_refused_with_both_plans(self, call, local_run, local_config, tmp_path):
        options = [
            '--cfg-options',
            'model.backbone.partition=[layer1.0]',
            'model.backbone.auxiliary.type=mmlocal.Auxiliary',
        ]
        arguments = ['--work-dir', tmp_path, '--resume', local_run.checkpoint, *options]
        result = call('train', local_config, *arguments)
        assert result.code == 2
        assert 'Traceback' not in result.err
        start = next(i for i, line in enumerate(result.errors) if line.startswith('error: '))
        first, _, *lines = result.errors[start:]
        assert first == (
            'error: resume: the checkpoint was trained by another plan, so its optimizer state does not fit.'
        )
        assert lines[0].startswith('    stem … layer1.1: momentum of layer2.0, FCOSHead')
        assert '  config:' in lines
        assert any(line.startswith('    stem … layer1.0: momentum of layer1.1') for line in lines)
        assert lines[-1] == '  To start from its weights alone, use load_from'

    @pytest.mark.integration
    @pytest.mark.xdist_group('host_run')
    def test_config_of_a_host_trains_and_its_checkpoint_is_evaluated(
        self, call, host_run, host_config, mini_coco, tmp_path
    ):
        assert 'Local learning' not in host_run.log
        out, work_dir = tmp_path / 'predictions.pkl', tmp_path / 'test'
        arguments = ['--work-dir', work_dir, '--out', out, '--show-dir', 'pictures']
        assert call('test', host_config, host_run.checkpoint, *arguments).code == 0
        (log,) = work_dir.glob('*/*.log')
        assert 'coco/bbox_mAP' in log.read_text()

        predictions = pickle.loads(out.read_bytes())
        assert len(predictions) == 4
        assert {'bboxes', 'scores', 'labels'} <= set(predictions[0]['pred_instances'])
        # The annotations stay out, as in the dumps of mmdet's own tool.
        assert 'gt_instances' not in predictions[0]
        images = {path.name for path in (mini_coco / 'val2017').iterdir()}
        assert {path.name for path in work_dir.glob('*/pictures/*')} == images
