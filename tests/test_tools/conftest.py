"""The command line tools: called inside the test where they end early, as processes where they run."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.visualization import Visualizer

ROOT = Path(__file__).parents[2]
QUICK = ['train_cfg.max_epochs=1', 'train_dataloader.dataset.indices=4', 'default_hooks.logger.interval=1']


def import_tool(name):
    path = ROOT / 'tools' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    tool = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)  # as of a script that is started
        spec.loader.exec_module(tool)
    return tool


def forget_visualizers(kind=Visualizer):
    """As in a new process: hooks take the visualizer that was made last, which here may be another test's."""
    kind._instance_dict.clear()
    for child in kind.__subclasses__():
        forget_visualizers(child)


@pytest.fixture
def call(monkeypatch, capsys):
    """Call a tool in this process: `call('train', config, '--resume')` gives its exit code and output."""

    def call(name, *args):
        forget_visualizers()
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, args)])
        monkeypatch.setenv('LOCAL_RANK', '0')
        capsys.readouterr()
        try:
            import_tool(name).main()
            code = 0
        except SystemExit as error:
            code = error.code
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, errors=err.splitlines())

    return call


@pytest.fixture(scope='session')
def tool():
    """A tool as a module: `tool('benchmarks/demo').main()`."""
    return import_tool


@pytest.fixture(scope='session')
def run():
    """Run a tool as a process of its own."""
    return run_tool


def run_tool(name, *args):
    command = [sys.executable, str(ROOT / 'tools' / f'{name}.py'), *map(str, args)]
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, timeout=300, check=False)


@pytest.fixture(scope='session')
def make_mini(tmp_path_factory):
    """Make a mini set of few images of 64x64, once a layout: `make_mini('voc', 8)` gives its folder."""
    folder = tmp_path_factory.mktemp('data')

    def make(layout, images=8):
        root = folder / str(images) / f'mini-{layout}'
        count = ['--train', str(images), '--val', '4', '--size', '64'] if images else []
        if not root.exists():
            import_tool('dataset_converters/make_mini_dataset').main([layout, '--out', str(root), *count])
        return root

    return make


@pytest.fixture(scope='session')
def mini_coco(make_mini):
    """The mini set of COCO's layout, very small."""
    return make_mini('coco')


@pytest.fixture(scope='session')
def write_config(mini_coco, tmp_path_factory):
    """Write a config that inherits one of this project's, on the very small set."""
    folder = tmp_path_factory.mktemp('configs')

    def write(base, text=''):
        annotations = f'{mini_coco}/annotations/instances_val2017.json'
        path = folder / f'{Path(base).stem}_{len(list(folder.iterdir()))}.py'
        path.write_text(
            f'_base_ = {str(ROOT / "configs" / base)!r}\n'
            f'loader = dict(batch_size=2, num_workers=0, persistent_workers=False)\n'
            f'dataset = dict(data_root="{mini_coco}/")\n'
            f'train_dataloader = val_dataloader = test_dataloader = dict(loader, dataset=dataset)\n'
            f'val_evaluator = test_evaluator = dict(ann_file={annotations!r})\n{text}'
        )
        return path

    return write


@pytest.fixture(scope='session')
def host_config(write_config):
    return write_config('e2e/faster_rcnn_r18_mini-coco.py')


@pytest.fixture(scope='session')
def local_config(write_config):
    return write_config('man/faster_rcnn_r18_man_mini-coco.py')


def finished(work_dir):
    (log,) = work_dir.glob('*/*.log')
    return SimpleNamespace(log=log.read_text(), checkpoint=work_dir / 'epoch_1.pth')


@pytest.fixture(scope='session')
def host_run(host_config, tmp_path_factory):
    """An epoch of two iterations of a host's config, end-to-end, trained by a process of its own."""
    work_dir = tmp_path_factory.mktemp('host')
    result = run_tool('train', host_config, '--work-dir', work_dir, '--cfg-options', *QUICK)
    assert result.returncode == 0, result.stderr[-3000:]
    return finished(work_dir)


@pytest.fixture(scope='session')
def local_run(local_config, tmp_path_factory):
    """An epoch of two iterations of a local config."""
    work_dir = tmp_path_factory.mktemp('local')
    forget_visualizers()
    with pytest.MonkeyPatch.context() as patch:
        arguments = ['train.py', local_config, '--work-dir', work_dir, '--cfg-options', *QUICK]
        patch.setattr(sys, 'argv', [str(argument) for argument in arguments])
        import_tool('train').main()
    return finished(work_dir)
