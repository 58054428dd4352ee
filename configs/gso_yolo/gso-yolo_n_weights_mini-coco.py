# The other reading of the Steady Capture Module: a copy of a convolution by moving average.
_base_ = './gso-yolo_n_mini-coco.py'
model = dict(backbone=dict(scm=dict(mode='weights')))
custom_hooks = [dict(type='mmlocal.PeakMemoryHook'), dict(type='mmlocal.MomentumHook')]
