_base_ = [
    '../_base_/models/edsr_baseline.py',
    '../_base_/datasets/div2k_sr-x2.py',
    '../_base_/schedules/div2k_300k.py',
    'mmagic::_base_/default_runtime.py',
]
