_base_ = [
    '../_base_/models/srresnet.py',
    '../_base_/datasets/div2k_sr-x3.py',
    '../_base_/schedules/div2k_1000k.py',
    'mmagic::_base_/default_runtime.py',
]
model = dict(generator=dict(upscale_factor=3))
