_base_ = ['../e2e/yolov8_x_coco.py', '../_base_/models/gso_yolo.py']
model = _base_.gso_yolo
