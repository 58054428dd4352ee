"""Launchers tell by the environment which process this is."""

import os

import pytest

from mmlocal.engine.distributed.processes import place_process
from mmlocal.errors import ConfigError

NAMES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT', 'TORCHELASTIC_RUN_ID')


@pytest.fixture
def environment(monkeypatch):
    """The variables, of which those of torch are as before afterwards."""
    for name in NAMES:
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ('launcher', 'given'),
    [
        ('slurm', dict(SLURM_PROCID='3', SLURM_NTASKS='4', SLURM_LOCALID='1')),
        ('mpi', dict(OMPI_COMM_WORLD_RANK='3', OMPI_COMM_WORLD_SIZE='4', OMPI_COMM_WORLD_LOCAL_RANK='1')),
    ],
)
def test_other_launchers_are_told_as_torchrun_tells(environment, launcher, given):
    for name, value in {**given, 'MASTER_ADDR': 'host'}.items():
        environment.setenv(name, value)
    assert place_process(launcher) == 4
    assert [os.environ[name] for name in NAMES[:5]] == ['3', '4', '1', 'host', '29500']


def test_what_has_not_been_started_by_its_launcher(environment):
    assert place_process('none') == 1
    with pytest.raises(ConfigError, match='mpi: OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE, MASTER_ADDR not set'):
        place_process('mpi')
    environment.setenv('TORCHELASTIC_RUN_ID', 'none')
    environment.setenv('WORLD_SIZE', '2')
    with pytest.raises(ConfigError, match='each would train by itself: --launcher pytorch'):
        place_process('none')
