"""What a config will cost, before it is trained."""

from mmlocal.planning.training_step import TrainingStep, estimate

__all__ = ['TrainingStep', 'estimate']
