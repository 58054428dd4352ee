"""Checkpoints that cannot be lost, and runs that go on from them to the bit."""

from mmlocal.engine.resume.checkpoint_files import (
    check_checkpoint,
    newest_checkpoint,
)
from mmlocal.engine.resume.checkpoint_hook import SafeCheckpointHook
from mmlocal.engine.resume.exact_resume import CountedSampler, ExactResumeHook
from mmlocal.engine.resume.interrupt import InterruptHook
from mmlocal.engine.resume.loops import ResumableEpochLoop, ResumableIterLoop
from mmlocal.engine.resume.reading import trust_checkpoint, weights_only
from mmlocal.engine.resume.work_dir_lock import lock_work_dir

__all__ = [
    'CountedSampler',
    'ExactResumeHook',
    'InterruptHook',
    'ResumableEpochLoop',
    'ResumableIterLoop',
    'SafeCheckpointHook',
    'check_checkpoint',
    'lock_work_dir',
    'newest_checkpoint',
    'trust_checkpoint',
    'weights_only',
]
