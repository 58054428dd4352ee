# DeepLabV3 R101-d8 on Cityscapes in two blocks, at the cut of InfoPro (arXiv 2101.10832, released segmentation
# code) and with its local head, 512 channels wide; without its reconstruction.
_base_ = './deeplabv3_r101_man-plus-plus_cityscapes.py'
model = dict(backbone=dict(partition=['layer3.12'], auxiliary=dict(head=dict(decode_head=dict(channels=512)))))
