"""Which keys of a config somebody reads."""

from __future__ import annotations

import inspect

__all__ = ['keys_read']

# Keys of a config beside those of the runner that somebody reads.
_BESIDE_THE_RUNNER = (
    'auto_scale_lr',
    'compile',
    'custom_imports',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'strategy',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
)


def keys_read() -> set[str]:
    """The names of what a runner is made of, and of what tools and launchers read beside it."""
    from mmengine.runner import Runner  # a second, that `--help` need not take

    return {name for name in inspect.signature(Runner).parameters if name != 'self'} | set(_BESIDE_THE_RUNNER)
