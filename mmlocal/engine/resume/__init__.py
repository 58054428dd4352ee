"""Checkpoints that cannot be lost, and runs that go on from them to the bit."""

from mmlocal.engine.resume.checkpoint_files import (
    check_checkpoint,
    newest_checkpoint,
    trust_checkpoints,
    weights_only,
)
from mmlocal.engine.resume.checkpoint_hook import SafeCheckpointHook
from mmlocal.engine.resume.exact_resume import CountedSampler, ExactResumeHook
from mmlocal.engine.resume.loops import ResumableEpochLoop, ResumableIterLoop

__all__ = [
    'CountedSampler',
    'ExactResumeHook',
    'ResumableEpochLoop',
    'ResumableIterLoop',
    'SafeCheckpointHook',
    'check_checkpoint',
    'newest_checkpoint',
    'trust_checkpoints',
    'weights_only',
]
