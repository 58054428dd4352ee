"""Schedules of learning rates."""

from mmlocal.engine.schedulers.blended_cosine import BlendedCosineLR

__all__ = ['BlendedCosineLR']
