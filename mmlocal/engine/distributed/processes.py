"""Several processes, of any launcher, with and without a GPU."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from mmlocal.errors import ConfigError

__all__ = ['join_processes', 'place_process']

# What a launcher calls rank, number of processes, and rank on this machine.
_NAMES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
_HOW = {
    'pytorch': 'torchrun --nproc_per_node=2 tools/train.py CONFIG --launcher pytorch, or tools/dist_train.sh CONFIG 2',
    'slurm': 'srun --ntasks=2 python tools/train.py CONFIG --launcher slurm',
    'mpi': 'mpirun -np 2 -x MASTER_ADDR=HOST python tools/train.py CONFIG --launcher mpi',
}


def place_process(launcher: str) -> int:
    """Tell torch by the environment which process of a launcher this is, as mmengine does when it joins them.

    Returns:
        How many processes there are.

    Raises:
        ConfigError: if the launcher has not started this process, or torchrun has and is not named.
    """
    if launcher == 'none' and 'TORCHELASTIC_RUN_ID' in os.environ and os.environ.get('WORLD_SIZE', '1') != '1':
        raise ConfigError('torchrun has started several processes, and each would train by itself: --launcher pytorch')
    if launcher not in _NAMES:
        return 1
    names = _NAMES[launcher]
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ and 'SLURM_NODELIST' in os.environ:
        hosts = subprocess.getoutput(f'scontrol show hostname {os.environ["SLURM_NODELIST"]}')
        os.environ['MASTER_ADDR'] = hosts.partition('\n')[0]
    if launcher != 'pytorch':
        os.environ.setdefault('MASTER_PORT', '29500')
    missing = [name for name in (*names[:2], 'MASTER_ADDR', 'MASTER_PORT') if not os.environ.get(name)]
    if missing:
        raise ConfigError(f'--launcher {launcher}: {", ".join(missing)} not set. Start it by: {_HOW[launcher]}')
    for name, given in zip(_NAMES['pytorch'], names, strict=True):
        if given in os.environ:
            os.environ[name] = os.environ[given]
    return int(os.environ['WORLD_SIZE'])


def join_processes(launcher: str, dist_cfg: Mapping[str, Any] | None = None) -> None:
    """Join the processes of a launcher over gloo, where there is no GPU.

    mmengine joins them otherwise, but chooses a GPU first.

    Args:
        launcher: `none` is no launcher.
        dist_cfg: the config's `env_cfg.dist_cfg`, of which the time-out is taken (in seconds).
    """
    if launcher == 'none' or torch.cuda.is_available() or dist.is_initialized():
        return
    seconds = (dist_cfg or {}).get('timeout')
    dist.init_process_group('gloo', timeout=None if seconds is None else timedelta(seconds=seconds))
