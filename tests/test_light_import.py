"""`import mmlocal` costs nothing of the hosts."""

import subprocess
import sys

import pytest

HOSTS = ('mmdet', 'mmseg', 'mmpretrain', 'mmagic', 'mmyolo')


@pytest.mark.parametrize('module', ['mmlocal', 'mmlocal.registry', 'mmlocal.config'])
def test_no_host_is_imported(module):
    code = f'import sys, {module}; print([host for host in {HOSTS} if host in sys.modules])'
    assert subprocess.check_output([sys.executable, '-c', code], text=True).splitlines()[-1] == '[]'
