_base_ = ['./gso-yolo_s_coco.py', '../_base_/datasets/soda_yolo.py']
model = _base_.soda.model
train_dataloader = _base_.soda.train_dataloader
val_dataloader = _base_.soda.val_dataloader
test_dataloader = val_dataloader
val_evaluator = _base_.soda.val_evaluator
test_evaluator = val_evaluator
