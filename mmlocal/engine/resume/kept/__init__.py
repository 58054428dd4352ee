"""What hooks, modules and losses in the making keep between iterations, in checkpoints and given back."""

from mmlocal.engine.resume.kept.epochs import begin_epoch, repeat_actions
from mmlocal.engine.resume.kept.gradients import gradients, set_gradients
from mmlocal.engine.resume.kept.inexact import inexact
from mmlocal.engine.resume.kept.state import Kept

__all__ = ['Kept', 'begin_epoch', 'gradients', 'inexact', 'repeat_actions', 'set_gradients']
