_base_ = ['./gso-yolo_s_coco.py', '../_base_/datasets/cis_yolo.py']
model = _base_.cis.model
train_dataloader = _base_.cis.train_dataloader
val_dataloader = _base_.cis.val_dataloader
test_dataloader = val_dataloader
val_evaluator = _base_.cis.val_evaluator
test_evaluator = val_evaluator
