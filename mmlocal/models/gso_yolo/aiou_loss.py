"""AIoU: what CIoU and EIoU add to the overlap of two boxes, together."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from mmlocal.errors import ConfigError, nearest
from mmlocal.registry import MODELS

__all__ = ['AIoULoss', 'aiou_loss']

_MODES = ('sum', 'mean')
_FORMATS = ('xyxy', 'xywh')
_REDUCTIONS = ('none', 'mean', 'sum')


@MODELS.register_module()
class AIoULoss(nn.Module):
    """GSO-YOLO's loss of boxes, for heads of mmdet and mmyolo.

    `loss_bbox=dict(type='mmlocal.AIoULoss', ...)`. In an anchor head of mmdet it needs
    `reg_decoded_bbox=True`, as every loss of whole boxes does; in place of mmyolo's `IoULoss` it takes
    that one's `bbox_format`, `reduction`, `loss_weight` and `return_iou`.

    Args:
        mode: as in `aiou_loss`.
        ciou_share: as in `aiou_loss`.
        bbox_format: of the boxes: `xyxy` (corners) or `xywh` (centre and size).
        reduction: `none`, `mean` or `sum`.
        loss_weight: what the loss is multiplied by.
        return_iou: return (loss, IoU of each pair), as YOLOv5's head expects it.
        eps: as in `aiou_loss`.

    Raises:
        ConfigError: if an argument is none of its values; in the forward, if the boxes are not two
            tensors of one shape (n, 4).
    """

    def __init__(
        self,
        mode: str = 'sum',
        ciou_share: float = 0.5,
        bbox_format: str = 'xyxy',
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        return_iou: bool = False,
        eps: float = 1e-7,
    ) -> None:
        super().__init__()
        _check_choice('mode', mode, _MODES)
        _check_choice('bbox_format', bbox_format, _FORMATS)
        _check_choice('reduction', reduction, _REDUCTIONS)
        _check_share(ciou_share)
        self.mode, self.ciou_share, self.eps = mode, ciou_share, eps
        self.bbox_format, self.reduction = bbox_format, reduction
        self.loss_weight, self.return_iou = loss_weight, return_iou

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Any:
        """Loss of n pairs of boxes.

        Args:
            pred: boxes (n, 4).
            target: boxes (n, 4).
            weight: of each pair, (n,) or (n, 1); or of each coordinate, (n, 4), of which the mean is taken.
            avg_factor: what the sum is divided by, in place of n.
            reduction_override: in place of `reduction`.
        """
        from mmdet.models.losses.utils import weight_reduce_loss

        reduction = reduction_override or self.reduction
        _check_choice('reduction_override', reduction, _REDUCTIONS)
        _check_boxes(pred, target)
        if self.bbox_format == 'xywh':
            pred, target = _corners(pred), _corners(target)
        iou, distance, aspect, sides = _terms(pred, target, self.eps)
        loss = _combined(iou, distance, aspect, sides, self.mode, self.ciou_share)
        if weight is not None and weight.dim() > 1:
            weight = weight.mean(-1)
        if len(loss) or reduction == 'none':
            loss = weight_reduce_loss(loss, weight, reduction, avg_factor)
        else:
            loss = loss.sum()  # the mean of nothing is not a number
        loss = self.loss_weight * loss
        return (loss, iou) if self.return_iou else loss


def aiou_loss(pred: Tensor, target: Tensor, mode: str = 'sum', ciou_share: float = 0.5, eps: float = 1e-7) -> Tensor:
    """AIoU of pairs of boxes: 0 for equal boxes, growing with their difference; (n,).

    With centres b, sizes w and h, the enclosing box's sides Cw and Ch and diagonal c, and * for `target`:

        shared  = 1 - IoU + |b - b*|² / c²
        aspect  = α v,   v = 4/π² (atan(w*/h*) - atan(w/h))²,   α = v / (1 - IoU + v), held constant
        sides   = (w - w*)² / Cw² + (h - h*)² / Ch²
        sum:      shared + aspect + sides
        mean:     λ CIoU + (1 - λ) EIoU = shared + λ aspect + (1 - λ) sides

    Source: CIoU (arXiv 1911.08287) and EIoU (arXiv 2101.08158). That AIoU combines the two is stated
    (arXiv 2407.00906), how is not: both modes are an **interpretation**. As in the releases of CIoU, no
    gradient goes through α.

    Args:
        pred: boxes (n, 4) as x1, y1, x2, y2. A box whose corners are swapped has no area; its sides count as
            they are, so that a gradient leads back.
        target: boxes (n, 4).
        mode: `sum` or `mean`.
        ciou_share: λ of `mean`, within 0 and 1.
        eps: keeps divisors of degenerate boxes from 0.

    Raises:
        ConfigError: if `mode` is unknown, λ is not within 0 and 1, or the shapes are others.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
        >>> aiou_loss(box, box), aiou_loss(box, box + 2)
        (tensor([0.]), tensor([1.2500]))
    """
    _check_choice('mode', mode, _MODES)
    _check_share(ciou_share)
    _check_boxes(pred, target)
    return _combined(*_terms(pred, target, eps), mode, ciou_share)


def _combined(iou: Tensor, distance: Tensor, aspect: Tensor, sides: Tensor, mode: str, ciou_share: float) -> Tensor:
    of_ciou, of_eiou = (1.0, 1.0) if mode == 'sum' else (ciou_share, 1 - ciou_share)
    return 1 - iou + distance + of_ciou * aspect + of_eiou * sides


def _terms(pred: Tensor, target: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """IoU, and the three terms of the distance; in single precision at least."""
    dtype = torch.promote_types(pred.dtype, torch.float32)
    pred, target = pred.to(dtype), target.to(dtype)
    size, size_t = pred[:, 2:] - pred[:, :2], target[:, 2:] - target[:, :2]
    inner = torch.minimum(pred[:, 2:], target[:, 2:]) - torch.maximum(pred[:, :2], target[:, :2])
    outer = torch.maximum(pred[:, 2:], target[:, 2:]) - torch.minimum(pred[:, :2], target[:, :2])
    overlap = _area(inner)
    iou = overlap / (_area(size) + _area(size_t) - overlap + eps)
    offset = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    squares = outer.square()
    distance = offset.square().sum(1) / (squares.sum(1) + eps)
    v = 4 / math.pi**2 * (_slope(size_t, eps) - _slope(size, eps)).square()
    alpha = (v / (1 - iou + v + eps)).detach()
    sides = ((size - size_t).square() / (squares + eps)).sum(1)
    return iou, distance, alpha * v, sides


def _area(size: Tensor) -> Tensor:
    return size[:, 0].clamp(min=0) * size[:, 1].clamp(min=0)


def _slope(size: Tensor, eps: float) -> Tensor:
    return torch.atan(size[:, 0] / size[:, 1].clamp(min=eps))


def _corners(boxes: Tensor) -> Tensor:
    half = boxes[:, 2:] / 2
    return torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], 1)


def _check_choice(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ConfigError(f'{name} = {given!r} is not one of {", ".join(known)}.{nearest(str(given), known)}')


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ConfigError(f'ciou_share = {share} is not within 0 (EIoU) and 1 (CIoU)')


def _check_boxes(pred: Tensor, target: Tensor) -> None:
    if pred.shape != target.shape or pred.dim() != 2 or pred.shape[1] != 4:
        raise ConfigError(
            f'AIoU takes two tensors of one shape (n, 4), not pred {tuple(pred.shape)} and target {tuple(target.shape)}'
        )
