_base_ = ['./gso-yolo_s_coco.py', '../_base_/datasets/mocs_yolo.py']
model = _base_.mocs.model
train_dataloader = _base_.mocs.train_dataloader
val_dataloader = _base_.mocs.val_dataloader
test_dataloader = val_dataloader
val_evaluator = _base_.mocs.val_evaluator
test_evaluator = val_evaluator
