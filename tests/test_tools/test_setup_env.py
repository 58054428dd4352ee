"""The set-up's checks and decisions; nothing is installed here."""

import ast
import importlib.util
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from packaging.requirements import Requirement

SCRIPT = Path(__file__).parents[2] / 'tools' / 'setup_env.py'
RUNNING = f'{sys.version_info[0]}.{sys.version_info[1]}'


@pytest.fixture
def env(tmp_path, monkeypatch):
    """The script as a module, at work in an empty folder."""
    spec = importlib.util.spec_from_file_location('setup_env', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / '.venv'
    places = {
        'ROOT': tmp_path,
        'VENV': venv,
        'PYTHON': venv / 'bin' / 'python',
        'STAMP': venv / '.ready',
        'LOG': tmp_path / '.venv-setup.log',
    }
    for name, path in places.items():
        monkeypatch.setattr(module, name, path)
    return module


@pytest.fixture
def pips(env, monkeypatch):
    """The titles of the `pip install` runs that would have been made."""
    titles = []
    monkeypatch.setattr(env, 'pip', lambda log, title, *args, **variables: titles.append(title))
    monkeypatch.setattr(env, 'cuda_environment', dict)
    monkeypatch.setattr(env, 'check_compiler', lambda python: None)
    return titles


def make_fake_venv(env, version=RUNNING, folder=None):
    (env.VENV / 'bin').mkdir(parents=True)
    (env.VENV / 'lib' / f'python{version}' / 'site-packages').mkdir(parents=True)
    env.PYTHON.symlink_to(sys.executable)
    (env.VENV / 'bin' / 'pip').write_text(f'#!{folder or env.VENV}/bin/python\n')


@pytest.mark.parametrize('changed', ['LOCK', 'PACKAGE'])
def test_an_environment_of_other_requirements_or_commands_is_not_ready(env, monkeypatch, tmp_path, changed):
    env.VENV.mkdir()
    env.STAMP.write_text(env.fingerprint())
    assert env.stamped()
    other = tmp_path / 'other'
    other.write_text('mmengine')
    monkeypatch.setattr(env, changed, other)
    assert not env.stamped()


def import_errors(monkeypatch, env, *answers):
    """`import mmcv.ops` gives these answers, one a call; everything else imports."""
    answers = list(answers)
    monkeypatch.setattr(env, 'import_error', lambda *modules: answers.pop(0) if modules == ('mmcv.ops',) else '')
    return answers


def message(raised):
    return str(raised.value)


class TestMachine:
    @pytest.mark.parametrize('version', [(3, 9, 2), (3, 13, 0)])
    def test_wrong_python_names_one_that_starts(self, env, monkeypatch, version):
        monkeypatch.setattr(sys, 'version_info', version)
        monkeypatch.setattr(env, 'version_of', lambda python: '3.12' if python == 'python3.12' else '')
        with pytest.raises(SystemExit) as raised:
            env.check_python()
        assert f'needs Python 3.10-3.12, but {sys.executable} is {version[0]}.{version[1]}' in message(raised)
        assert 'try: make env PYTHON=python3.12' in message(raised)

    def test_wrong_python_and_no_other(self, env, monkeypatch):
        monkeypatch.setattr(sys, 'version_info', (3, 9, 2))
        monkeypatch.setattr(env, 'version_of', lambda python: '')
        with pytest.raises(SystemExit, match='install one of them'):
            env.check_python()

    def test_no_venv_module(self, env, monkeypatch):
        monkeypatch.setitem(sys.modules, 'ensurepip', None)
        with pytest.raises(SystemExit, match=rf'no venv module; .*apt install python{RUNNING}-venv'):
            env.check_python()

    def test_no_compiler(self, env, monkeypatch):
        monkeypatch.delenv('CXX', raising=False)
        monkeypatch.setattr(env.shutil, 'which', lambda name: None)
        with pytest.raises(SystemExit, match=r'needs a C\+\+ compiler \(c\+\+ or g\+\+\) .*apt install g\+\+'):
            env.check_compiler(sys.executable)

    def test_no_headers(self, env, monkeypatch, tmp_path):
        monkeypatch.setattr(env.shutil, 'which', lambda name: name)
        monkeypatch.setattr(env, 'output', lambda *command: str(tmp_path) if 'sysconfig' in command[2] else '3.11')
        with pytest.raises(SystemExit) as raised:
            env.check_compiler('python')
        assert f'needs the Python headers ({tmp_path}/Python.h)' in message(raised)
        assert 'apt install python3.11-dev' in message(raised)

    def test_low_disk(self, env, monkeypatch, tmp_path):
        usage = namedtuple('usage', 'free')
        monkeypatch.setattr(env.tempfile, 'gettempdir', lambda: str(tmp_path))
        monkeypatch.setattr(env.shutil, 'disk_usage', lambda folder: usage(11.9e9))
        with pytest.raises(SystemExit) as raised:
            env.check_disk()
        assert message(raised) == f'setup: needs 12 GB of disk at {tmp_path}, where 11.9 GB are free'

    def test_nothing_is_removed_when_the_machine_will_not_do(self, env, monkeypatch):
        make_fake_venv(env, version='3.7')
        monkeypatch.setattr(sys, 'version_info', (3, 9, 2))
        with pytest.raises(SystemExit, match='needs Python'):
            env.make_venv('it is unfit')
        assert env.PYTHON.exists()

    def test_jobs_follow_memory(self, env, monkeypatch):
        monkeypatch.setattr(env.os, 'sched_getaffinity', lambda pid: range(16))
        pages = {'SC_PHYS_PAGES': 5 * 10**6, 'SC_PAGE_SIZE': 1000}
        monkeypatch.setattr(env.os, 'sysconf', pages.__getitem__)
        assert env.jobs() == 2


class TestVenv:
    def test_a_fitting_one(self, env):
        make_fake_venv(env)
        assert env.venv_fault(this_python=True) == ''

    def test_moved(self, env):
        make_fake_venv(env, folder='/somewhere/else/.venv')
        assert env.venv_fault(this_python=False) == 'it was made in another folder'

    def test_python_gone(self, env):
        make_fake_venv(env)
        env.PYTHON.unlink()
        env.PYTHON.symlink_to('/no/such/python')
        assert env.venv_fault(this_python=False) == 'its Python is gone'

    def test_python_replaced_by_another_version(self, env):
        make_fake_venv(env, version='3.7')
        assert env.venv_fault(this_python=False) == f'it does not fit the Python {RUNNING} that it starts'

    def test_another_supported_python_matters_only_where_one_was_named(self, env, monkeypatch):
        make_fake_venv(env)
        monkeypatch.setattr(sys, 'version_info', (3, 99, 0))
        assert env.venv_fault(this_python=False) == ''
        assert env.venv_fault(this_python=True) == f'it is of Python {RUNNING}, and 3.99 is asked for'

    def test_made_anew_with_a_line_saying_so(self, env, monkeypatch, capsys):
        make_fake_venv(env, version='3.7')
        made = []
        monkeypatch.setattr(env, 'check_compiler', lambda python: None)
        monkeypatch.setattr(env, 'check_disk', lambda: None)
        monkeypatch.setattr(env.subprocess, 'run', lambda command, check: made.append(command))
        env.make_venv('it has no pip')
        assert capsys.readouterr().out == f'{env.VENV} cannot be used, as it has no pip: making it anew\n'
        assert made == [[sys.executable, '-m', 'venv', str(env.VENV)]]
        assert not env.VENV.exists()

    def test_half_installed_packages_are_dropped(self, env):
        make_fake_venv(env)
        site = env.VENV / 'lib' / f'python{RUNNING}' / 'site-packages'
        for name in ('whole-1.0.dist-info', 'cut_off-1.0.dist-info', '~emporary'):
            (site / name).mkdir()
        (site / 'whole-1.0.dist-info' / 'INSTALLER').write_text('pip\n')
        env.drop_half_installed()
        assert [path.name for path in site.iterdir()] == ['whole-1.0.dist-info']


class TestDecisions:
    def test_ready_runs_nothing(self, env, monkeypatch, pips):
        make_fake_venv(env)
        env.STAMP.write_text(env.fingerprint())
        import_errors(monkeypatch, env, '')
        env.main([])
        assert pips == []

    def test_broken_operators_alone_rebuild_mmcv_alone(self, env, monkeypatch, pips):
        make_fake_venv(env)
        env.STAMP.write_text(env.fingerprint())
        broken = 'ImportError: undefined symbol'
        left = import_errors(monkeypatch, env, broken, broken, broken, broken, '')
        env.main([])
        assert [title[:5] for title in pips] == ['[4/4]', '[4/4]']
        assert 'once more, as its operators do not load' in pips[1]
        assert left == []
        assert env.stamped()

    def test_operators_that_never_load_leave_no_stamp(self, env, monkeypatch, pips):
        make_fake_venv(env)
        env.STAMP.write_text(env.fingerprint())
        monkeypatch.setattr(env, 'import_error', lambda *modules: 'no _ext' if 'mmcv.ops' in modules else '')
        with pytest.raises(SystemExit, match='its operators do not load: no _ext'):
            env.main([])
        assert not env.STAMP.exists()

    def test_a_changed_lock_goes_through_all_stages(self, env, monkeypatch, pips):
        make_fake_venv(env)
        env.STAMP.write_text('of another lock')
        import_errors(monkeypatch, env, '', '')
        env.main([])
        assert [title.split(' ')[0] for title in pips] == ['[1/4]', '[2/4]', '[3/4]', '[4/4]', 'mmlocal']
        assert env.stamped()

    def test_opencv_without_libgl_falls_back(self, env, monkeypatch, pips):
        monkeypatch.setattr(env, 'import_error', lambda *modules: 'libGL.so.1' if modules == ('cv2',) else '')
        env.install_rest(log=None)
        assert pips == ['[3/4] everything else', '[3/4] OpenCV without a display']

    def test_a_second_run_waits_for_the_first(self, env):
        code = f'import fcntl, sys; log = open({str(env.LOG)!r}, "a"); fcntl.flock(log, fcntl.LOCK_EX); '
        code += 'print("held", flush=True); sys.stdin.readline(); print("released", flush=True)'
        streams = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
        with subprocess.Popen([sys.executable, '-c', code], text=True, **streams) as first:
            assert first.stdout.readline() == 'held\n'
            env.say = lambda text: (first.stdin.write('\n'), first.stdin.flush())
            with env.alone():
                assert first.stdout.readline() == 'released\n'

    @pytest.mark.parametrize('case', ['no gpu', 'fits', 'no nvcc', 'older nvcc'])
    def test_a_gpu_is_hidden_from_a_build_that_nvcc_cannot_do(self, env, monkeypatch, case):
        release = {'fits': 'release 13.0, V13.0.88', 'older nvcc': 'release 12.4, V12.4.1'}.get(case, '')
        probe = f'{case != "no gpu"} 13.0 /usr/local/cuda'
        monkeypatch.delenv('FORCE_CUDA', raising=False)
        monkeypatch.setattr(env, 'output', lambda *command: release if '--version' in command else probe)
        hidden = {} if case in ('no gpu', 'fits') else {'CUDA_VISIBLE_DEVICES': ''}
        assert env.cuda_environment() == hidden


class TestPip:
    def run(self, env, *lines, code=0):
        """`pip install` played by a script that prints these lines."""
        env.PYTHON.parent.mkdir(parents=True)
        env.PYTHON.write_text('#!/bin/sh\n' + ''.join(f'echo "{line}"\n' for line in lines) + f'exit {code}\n')
        env.PYTHON.chmod(0o755)
        with env.alone() as log:
            env.pip(log, '[4/4] mmcv', 'onedl-mmcv')

    def test_progress_and_log(self, env, capsys):
        self.run(env, '  [2/78] c++ -MMD nms.cpp', 'chatter')
        shown = capsys.readouterr().out.splitlines()
        assert 'compiling [2/78]' in shown[0]
        assert shown[1].startswith('[4/4] mmcv: done (')
        assert env.LOG.read_text() == '  [2/78] c++ -MMD nms.cpp\nchatter\n'

    def test_failure_names_the_compilers_first_error(self, env):
        lines = (
            'nms.cpp:3: error: no such type',
            'roi.cpp:4: error: neither',
            'ERROR: Could not build wheels',
        )
        with pytest.raises(SystemExit) as raised:
            self.run(env, *lines, code=1)
        assert 'mmcv failed: nms.cpp:3: error: no such type (the whole output is in' in message(raised)

    def test_failure_names_pips_last_error(self, env):
        lines = ('ERROR: Ignored the following versions', 'ERROR: No matching distribution found for torch')
        with pytest.raises(SystemExit, match='failed: ERROR: No matching distribution found for torch'):
            self.run(env, *lines, code=1)

    def test_jobs_that_were_asked_for_are_kept(self, env, monkeypatch):
        monkeypatch.setenv('MAX_JOBS', '7')
        self.run(env, 'jobs $MAX_JOBS, operators $MMCV_WITH_OPS')
        assert env.LOG.read_text() == 'jobs 7, operators 1\n'


def test_lock_lines_are_exact_and_cover_the_stages(env):
    assert all('==' in line for line in env.locked())
    assert [line.split('==')[0] for line in env.pinned('torch', 'torchvision')] == ['torch', 'torchvision']
    assert len(env.pinned(*env.BUILD_TOOLS)) == len(env.BUILD_TOOLS)


def test_lock_pins_each_package_once_for_each_python(env):
    requirements = [Requirement(line) for line in env.locked()]
    for version in env.SUPPORTED:
        valid = [r.name for r in requirements if not r.marker or r.marker.evaluate({'python_version': version})]
        assert len(valid) == len(set(valid))


def test_an_unfit_python_can_read_the_script():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 7))


def test_starting_without_rights_is_one_line(env, monkeypatch):
    monkeypatch.setattr(env, 'ready', lambda this_python: False)
    monkeypatch.setattr(env, 'LOG', env.ROOT / 'missing' / 'log')
    with pytest.raises(SystemExit, match=r'setup: .*No such file or directory'):
        env.main([])
    assert os.listdir(env.ROOT) == []
