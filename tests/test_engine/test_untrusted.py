"""A file of others reaches nothing but data, however it is read."""

import argparse
import ctypes
import functools
import importlib
import operator
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch import hub

from mmlocal.engine.resume.checkpoint_files import check_checkpoint
from mmlocal.engine.resume.reading import trust_checkpoint, trusting, weights_only
from mmlocal.errors import ConfigError

TRUST = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


# What is called, by its name in the file.
CALLS = {
    'builtins.getattr': lambda path: Calls(getattr, Calls(getattr, HistoryBuffer, 'mean'), '__globals__'),
    'builtins.eval': lambda path: Calls(eval, f'open({path!r}, "w")'),
    'builtins.exec': lambda path: Calls(exec, f'open({path!r}, "w")'),
    'io.open': lambda path: Calls(open, path, 'w'),
    'builtins.map': lambda path: Calls(map, open, [path]),
    'posix.mkdir': lambda path: Calls(os.mkdir, path),
    'posix.system': lambda path: Calls(os.system, f'touch {path}'),
    'functools.partial': lambda path: Calls(functools.partial(os.mkdir, path)),
    'operator.attrgetter': lambda path: Calls(operator.attrgetter('mkdir'), os),
    'operator.methodcaller': lambda path: Calls(operator.methodcaller('mkdir', path), os),
    'importlib.import_module': lambda path: Calls(importlib.import_module, 'this'),
    'numpy.dtype': lambda path: np.array([path], dtype=object),
    'torch.serialization.load': lambda path: Calls(torch.load, path),
}


# Objects that a call makes when they are read, in the place of the call.
MADE = ('functools.partial', 'operator.attrgetter', 'operator.methodcaller')


def save(path, content):
    torch.save(dict(state_dict=dict(weight=torch.zeros(1)), meta=content), path)
    return str(path)


@pytest.mark.parametrize('name', CALLS)
def test_a_call_is_refused_by_name(name, tmp_path):
    call = CALLS[name](str(tmp_path / 'ran'))
    path = save(tmp_path / 'evil.pth', dict(a=call.call[0] if name in MADE else call))
    with weights_only(), pytest.raises(ConfigError) as error:
        check_checkpoint(path)
    assert str(error.value) == (
        f' = {path!r} holds more than weights: a {name}, and reading that can run code of its maker. '
        f'If you trust the file, set {TRUST}=1'
    )
    assert not (tmp_path / 'ran').exists()


def test_what_others_have_allowed_is_not_read(tmp_path):
    path = save(tmp_path / 'evil.pth', Calls(shutil.copyfile, __file__, str(tmp_path / 'ran')))
    allowed = torch.serialization.safe_globals([shutil.copyfile])
    with weights_only(), allowed, pytest.raises(ConfigError, match=r'shutil\.copyfile'):
        CheckpointLoader.load_checkpoint(path, logger='silent')
    assert not (tmp_path / 'ran').exists()


def test_a_name_cannot_write_on_the_terminal(tmp_path):
    # As pickle writes names, so of the same length.
    path = save(tmp_path / 'evil.pth', shutil.copyfileobj)
    content = (tmp_path / 'evil.pth').read_bytes().replace(b'copyfileobj', b'\x1b[2J\x1b[Hleob')
    (tmp_path / 'evil.pth').write_bytes(content)
    with weights_only(), pytest.raises(ConfigError, match=r'a shutil\.\\x1b\[2J\\x1b\[Hleob,'):
        CheckpointLoader.load_checkpoint(path, logger='silent')


@pytest.mark.parametrize('form', [dict(pickle_protocol=0), dict(pickle_protocol=4), dict(pickle_protocol=5)], ids=str)
def test_another_form_of_pickle_is_refused_with_what_to_do(form, tmp_path):
    torch.save(dict(state_dict=Calls(os.mkdir, str(tmp_path / 'ran'))), tmp_path / 'evil.pth', **form)
    with weights_only(), pytest.raises(ConfigError) as error:
        check_checkpoint(str(tmp_path / 'evil.pth'))
    assert str(error.value).endswith(f' can run code of its maker. If you trust the file, set {TRUST}=1')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('prefix', ['https://a.b/', 'torchvision://', 'openmmlab://', 'mmcls://'])
def test_nor_is_what_is_downloaded(prefix, tmp_path, monkeypatch):
    path = save(tmp_path / 'evil.pth', Calls(os.mkdir, str(tmp_path / 'ran')))
    monkeypatch.setattr(hub, 'download_url_to_file', lambda url, to, *_, **__: shutil.copy(path, to))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    for known in ('get_torchvision_models', 'get_external_models', 'get_mmcls_models'):
        monkeypatch.setattr(f'mmengine.runner.checkpoint.{known}', lambda: {'evil.pth': 'https://a.b/evil.pth'})
    with weights_only(), pytest.raises(ConfigError, match=r'holds more than weights: a posix\.mkdir'):
        CheckpointLoader.load_checkpoint(f'{prefix}evil.pth', logger='silent')
    assert not (tmp_path / 'ran').exists()


class TestData:
    """What checkpoints of mmengine's hosts hold is read, and is what was written."""

    def read(self, path, content):
        path = save(path, content)
        with weights_only():
            return CheckpointLoader.load_checkpoint(path, logger='silent')['meta']

    @pytest.mark.parametrize(
        'array',
        [
            np.arange(6.0).reshape(2, 3),
            np.asfortranarray(np.arange(6).reshape(2, 3)),
            np.array(['a', 'bc']),
            np.array([True, False]),
            np.arange(3, dtype='>i4'),
            np.zeros((0, 4), np.float16),
            np.array(2.5),
        ],
        ids=lambda array: f'{array.dtype}{array.shape}',
    )
    def test_arrays(self, array, tmp_path):
        read = self.read(tmp_path / 'a.pth', array)
        # Pickle itself gives the order of bytes of this machine.
        assert read.dtype == pickle.loads(pickle.dumps(array, 2)).dtype
        np.testing.assert_array_equal(read, array)
        # What is written of it needs nothing of this project.
        assert type(pickle.loads(pickle.dumps(read))) is np.ndarray

    @pytest.mark.parametrize(
        'scalar', [np.float64(0.1), np.float32(2), np.int64(-3), np.bool_(True), np.str_('a'), np.str_('')]
    )
    def test_scalars(self, scalar, tmp_path):
        read = self.read(tmp_path / 'a.pth', scalar)
        assert (type(read), read) == (type(scalar), scalar)

    def test_history(self, tmp_path):
        history = HistoryBuffer([1.0, 3.0], [1, 1])
        methods = dict(HistoryBuffer._statistics_methods)
        read = self.read(tmp_path / 'a.pth', history)
        assert (read.mean(), read.current(), read.statistics('max')) == (2.0, 3.0, 3.0)
        assert type(pickle.loads(pickle.dumps(read))) is HistoryBuffer
        assert HistoryBuffer._statistics_methods == methods

    def test_a_history_does_not_change_its_class(self, tmp_path):
        history = HistoryBuffer([1.0], [1])
        history._statistics_methods = dict(mean='other')
        self.read(tmp_path / 'a.pth', history)
        assert HistoryBuffer._statistics_methods['mean'] is HistoryBuffer.mean

    def test_configs(self, tmp_path):
        cfg = ConfigDict(a=dict(b=[1]))
        assert self.read(tmp_path / 'a.pth', cfg).a.b == [1]
        read = self.read(tmp_path / 'b.pth', Config(cfg))
        assert read.a.b == [1]
        assert type(pickle.loads(pickle.dumps(read))) is Config

    def test_what_was_read_and_is_written_is_read_again(self, tmp_path):
        content = dict(a=Config(dict(b=1)), c=HistoryBuffer([1.0], [1]), d=np.arange(3), e=np.float64(2))
        again = self.read(tmp_path / 'b.pth', self.read(tmp_path / 'a.pth', content))
        assert (again['a'].b, again['c'].mean(), again['d'].tolist(), again['e']) == (1, 1.0, [0, 1, 2], 2)

    def test_arguments(self, tmp_path):
        assert self.read(tmp_path / 'a.pth', argparse.Namespace(lr=0.1)).lr == 0.1


class TestForged:
    """States that numpy would take over into its own memory."""

    @pytest.mark.parametrize(
        'forge',
        [
            lambda array: (*array[:1], (10**6,), *array[2:]),
            lambda array: (*array[:1], (-1,), *array[2:]),
            lambda array: (*array[:4], [1, 2, 3]),
        ],
        ids=['long', 'negative', 'list'],
    )
    def test_arrays(self, forge, tmp_path):
        class Forged:
            def __reduce__(self):
                make, given, state = np.arange(3).__reduce__()
                return make, given, forge(state)

        with weights_only(), pytest.raises(ConfigError, match=r'a numpy\.ndarray,'):
            check_checkpoint(save(tmp_path / 'a.pth', Forged()))

    def test_an_array_takes_its_values_once(self, tmp_path):
        class Forged:
            def __reduce__(self):
                make, given, state = np.arange(3).__reduce__()
                return torch._tensor._rebuild_from_type_v2, (make, np.ndarray, given, state), state

        with weights_only(), pytest.raises(ConfigError, match=r'a numpy\.ndarray,'):
            check_checkpoint(save(tmp_path / 'a.pth', Forged()))

    @pytest.mark.parametrize('how', ['as it is made', 'by its state'])
    @pytest.mark.parametrize('kind', [ConfigDict, argparse.Namespace])
    def test_a_history_reads_no_memory_that_a_file_names(self, kind, how, tmp_path):
        secret = ctypes.create_string_buffer(b'secret')
        address = dict(data=(ctypes.addressof(secret), False), shape=(6,), typestr='|u1', version=3)
        values = kind(**{'__array_interface__': address})
        assert bytes(np.array(values)) == b'secret'
        state = dict(_log_history=values, _count_history=values, max_length=9)

        class Forged:
            def __reduce__(self):
                if how == 'as it is made':
                    return HistoryBuffer, (values, values, 9)
                return HistoryBuffer, (np.zeros(1), np.zeros(1), 9), state

        with weights_only(), pytest.raises(ConfigError, match=r'history_buffer\.HistoryBuffer,'):
            check_checkpoint(save(tmp_path / 'a.pth', Forged()))

    def test_flags_of_a_type(self, tmp_path):
        class Forged:
            def __reduce__(self):
                return np.dtype, ('f8', False, True), (3, '<', None, None, None, -1, -1, 63)

        read = CheckpointLoader.load_checkpoint
        with weights_only():
            found = read(save(tmp_path / 'a.pth', Forged()), logger='silent')['meta']
        assert pickle.loads(pickle.dumps(found)).flags == np.dtype('f8').flags


def test_a_broken_file_is_told_by_what_is_wrong_with_it(tmp_path):
    class Forged:
        def __reduce__(self):
            return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b'b'), {}, iter([1])

    with weights_only(), pytest.raises(ConfigError, match=r'cannot be read: UnpicklingError: Can only '):
        CheckpointLoader.load_checkpoint(save(tmp_path / 'a.pth', Forged()), logger='silent')


class TestTrust:
    def test_is_of_one_file(self, tmp_path):
        own = save(tmp_path / 'own.pth', Calls(os.mkdir, str(tmp_path / 'own')))
        other = save(tmp_path / 'other.pth', Calls(os.mkdir, str(tmp_path / 'other')))
        with weights_only():
            trust_checkpoint(own)
            check_checkpoint(own)
            with pytest.raises(ConfigError, match=r'posix\.mkdir'):
                check_checkpoint(other)
        assert ((tmp_path / 'own').exists(), (tmp_path / 'other').exists()) == (True, False)

    def test_ends(self, tmp_path):
        path = save(tmp_path / 'a.pth', Calls(os.mkdir, str(tmp_path / 'ran')))
        with weights_only():
            with trusting(path):
                pass
            with pytest.raises(ConfigError):
                check_checkpoint(path)
            trust_checkpoint(path)
        with weights_only(), pytest.raises(ConfigError):
            check_checkpoint(path)

    @pytest.mark.parametrize('value', ['', '0', 'no'])
    def test_is_not_given_by_a_switch_that_is_off(self, value, tmp_path, monkeypatch):
        monkeypatch.setenv(TRUST, value)
        path = save(tmp_path / 'a.pth', Calls(os.mkdir, str(tmp_path / 'ran')))
        with weights_only(), pytest.raises(ConfigError):
            check_checkpoint(path)


class TestYaml:
    def test_makes_no_objects(self, tmp_path):
        path = tmp_path / 'a.yml'
        path.write_text(f'a: !!python/object/apply:os.mkdir ["{tmp_path}/ran"]')
        with weights_only(), pytest.raises(Exception, match='could not determine a constructor'):
            Config.fromfile(path)
        assert not (tmp_path / 'ran').exists()

    def test_makes_values(self, tmp_path):
        path = tmp_path / 'a.yml'
        path.write_text('a: {b: [1, 2.5, text, null]}')
        with weights_only():
            assert Config.fromfile(path).a.b == [1, 2.5, 'text', None]

    def test_makes_what_mmengine_writes(self, tmp_path):
        cfg = Config(dict(a=dict(b=(1, (2, 3)), c=[None, 'text'])))
        cfg.dump(tmp_path / 'a.yml')
        with weights_only():
            assert Config.fromfile(tmp_path / 'a.yml').to_dict() == cfg.to_dict()
