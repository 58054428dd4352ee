"""GSO-YOLO's parts: two modules around YOLOv8's pyramid pooling, and a loss of boxes. No host is imported here."""

from mmlocal.models.gso_yolo.aiou_loss import AIoULoss, aiou_loss
from mmlocal.models.gso_yolo.backbone import gso_yolo_csp_darknet
from mmlocal.models.gso_yolo.global_optimization import GlobalOptimizationModule
from mmlocal.models.gso_yolo.steady_capture import SteadyCaptureModule

__all__ = ['AIoULoss', 'GlobalOptimizationModule', 'SteadyCaptureModule', 'aiou_loss', 'gso_yolo_csp_darknet']
