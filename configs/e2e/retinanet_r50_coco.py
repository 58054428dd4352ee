_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
# What configs/man/retinanet_r50_man-plus-plus_coco.py sets for both sides of a comparison.
model = dict(backbone=dict(frozen_stages=-1, norm_eval=False))
optim_wrapper = dict(clip_grad=dict(max_norm=1.0, norm_type=2))
