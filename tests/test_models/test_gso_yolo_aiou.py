"""AIoU beside the papers' formulas, differentiated symbolically, and as heads call it."""

from functools import cache
from itertools import pairwise

import pytest
import sympy
import torch

from mmlocal.errors import ConfigError
from mmlocal.hosts import import_host
from mmlocal.models.gso_yolo import AIoULoss, aiou_loss
from mmlocal.registry import MODELS

EPS = 1e-13
# Pred and target, no two coordinates of which are equal, as there the gradient of a minimum is a matter of taste.
PAIRS = {
    'overlapping': ((0.0, 0.0, 4.0, 3.0), (1.0, 0.5, 5.5, 2.5)),
    'disjoint': ((0.0, 0.0, 2.0, 1.0), (5.0, 7.0, 6.0, 9.5)),
    'beside': ((0.0, 0.0, 2.0, 4.0), (3.0, 1.0, 5.0, 3.0)),
    'enclosing': ((0.0, 0.0, 9.0, 8.0), (3.0, 2.0, 5.0, 7.0)),
    'enclosed': ((3.0, 2.0, 5.0, 7.0), (0.0, 0.0, 9.0, 8.0)),
    'same centre': ((1.0, 1.0, 7.0, 3.0), (3.0, 0.0, 5.0, 4.0)),
    'thin': ((0.0, 0.0, 40.0, 0.1), (1.0, -1.0, 30.0, 2.0)),
}
DEGENERATE = {
    'identical': ((1.0, 2.0, 4.0, 6.0), (1.0, 2.0, 4.0, 6.0)),
    'touching': ((0.0, 0.0, 2.0, 2.0), (2.0, 0.0, 4.0, 2.0)),
    'point in box': ((2.0, 2.0, 2.0, 2.0), (1.0, 1.0, 5.0, 4.0)),
    'box around point': ((1.0, 1.0, 5.0, 4.0), (2.0, 2.0, 2.0, 2.0)),
    'point far away': ((50.0, 60.0, 50.0, 60.0), (1.0, 1.0, 5.0, 4.0)),
    'same point': ((3.0, 3.0, 3.0, 3.0), (3.0, 3.0, 3.0, 3.0)),
    'two points': ((3.0, 3.0, 3.0, 3.0), (4.0, 3.0, 4.0, 3.0)),
    'no height': ((0.0, 1.0, 640.0, 1.0), (1.0, 0.0, 5.0, 4.0)),
    'no width': ((1.0, 0.0, 1.0, 640.0), (1.0, 0.0, 5.0, 4.0)),
    'crossed lines': ((0.0, 2.0, 4.0, 2.0), (2.0, 0.0, 2.0, 4.0)),
    'swapped corners': ((5.0, 6.0, 1.0, 2.0), (1.0, 2.0, 5.0, 6.0)),
    'one side swapped': ((5.0, 2.0, 1.0, 6.0), (1.0, 2.0, 5.0, 6.0)),
    'tiny': ((0.0, 0.0, 1e-6, 1e-6), (1e-6, 0.0, 3e-6, 1e-6)),
    'huge': ((0.0, 0.0, 1e6, 1e5), (-1e6, 3.0, 2e5, 1e6)),
}
PRED, TARGET = sympy.symbols('x1 y1 x2 y2', real=True), sympy.symbols('X1 Y1 X2 Y2', real=True)


@cache
def written_down():
    """CIoU's and EIoU's values and gradients, with α for a constant in the latter, as functions of eight numbers."""
    x1, y1, x2, y2 = PRED
    a1, b1, a2, b2 = TARGET
    w, h, wt, ht = x2 - x1, y2 - y1, a2 - a1, b2 - b1
    inner = sympy.Max(0, sympy.Min(x2, a2) - sympy.Max(x1, a1)) * sympy.Max(0, sympy.Min(y2, b2) - sympy.Max(y1, b1))
    iou = inner / (w * h + wt * ht - inner)
    wide, high = sympy.Max(x2, a2) - sympy.Min(x1, a1), sympy.Max(y2, b2) - sympy.Min(y1, b1)
    rho2 = ((x1 + x2) / 2 - (a1 + a2) / 2) ** 2 + ((y1 + y2) / 2 - (b1 + b2) / 2) ** 2
    v = 4 / sympy.pi**2 * (sympy.atan(wt / ht) - sympy.atan(w / h)) ** 2
    alpha, constant = v / (1 - iou + v), sympy.Symbol('alpha')
    shared = 1 - iou + rho2 / (wide**2 + high**2)
    eiou = shared + (w - wt) ** 2 / wide**2 + (h - ht) ** 2 / high**2
    both = PRED + TARGET
    found = {}
    for name, loss in dict(ciou=shared + constant * v, eiou=eiou, shared=shared).items():
        value = sympy.lambdify(both, loss.subs(constant, alpha))
        found[name] = value, sympy.lambdify((*both, constant), [loss.diff(x) for x in PRED], cse=True)
    return found, sympy.lambdify(both, alpha)


def expected(pair, **shares):
    """Value and gradient of a sum of those losses, each with its share."""
    losses, alpha = written_down()
    numbers = (*pair[0], *pair[1])
    value = sum(share * losses[name][0](*numbers) for name, share in shares.items())
    parts = [(share, losses[name][1](*numbers, alpha(*numbers))) for name, share in shares.items()]
    return float(value), [float(sum(share * gradient[i] for share, gradient in parts)) for i in range(4)]


def boxes(pair, dtype=torch.float64):
    pred, target = (torch.tensor([box], dtype=dtype) for box in pair)
    return pred.requires_grad_(), target


def drawn(count=200):
    torch.manual_seed(0)
    corner, size = 10 * torch.rand(2, count, 2, dtype=torch.float64), 0.1 + 8 * torch.rand(2, count, 2).double()
    return torch.cat([corner, corner + size], 2)


@pytest.mark.parametrize('pair', PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize(
    ('arguments', 'shares'),
    [
        (dict(), dict(ciou=1, eiou=1, shared=-1)),
        (dict(mode='mean'), dict(ciou=0.5, eiou=0.5)),
        (dict(mode='mean', ciou_share=0.2), dict(ciou=0.2, eiou=0.8)),
        (dict(mode='mean', ciou_share=1), dict(ciou=1)),
        (dict(mode='mean', ciou_share=0), dict(eiou=1)),
    ],
)
def test_value_and_gradient_are_those_of_the_formulas(pair, arguments, shares):
    pred, target = boxes(pair)
    loss = aiou_loss(pred, target, eps=EPS, **arguments)
    loss.sum().backward()
    value, gradient = expected(pair, **shares)
    assert loss.item() == pytest.approx(value, abs=1e-9)
    assert pred.grad[0].tolist() == pytest.approx(gradient, abs=1e-9)


ALL = {**PAIRS, **DEGENERATE}


@pytest.mark.parametrize('mode', ['sum', 'mean'])
@pytest.mark.parametrize(
    ('name', 'dtype'),
    [
        (name, dtype)
        for name, pair in ALL.items()
        for dtype in (torch.float64, torch.float32, torch.float16)
        if max(map(abs, pair[0])) <= torch.finfo(dtype).max
    ],
)
def test_nothing_is_infinite(name, mode, dtype):
    pair = ALL[name]
    pred, target = boxes(pair, dtype)
    loss = aiou_loss(pred, target, mode=mode)
    assert torch.isfinite(loss).all()
    # A gradient above what half precision holds is its optimizer wrapper's to scale.
    gradient = torch.autograd.grad(loss.sum(), pred)[0]
    assert not gradient.isnan().any()
    assert gradient.isfinite().all() or dtype == torch.float16


@pytest.mark.parametrize('mode', ['sum', 'mean'])
def test_equal_boxes_cost_nothing_and_pull_nowhere(mode):
    pred, target = boxes(DEGENERATE['identical'])
    loss = aiou_loss(pred, target, mode=mode, eps=EPS)
    loss.sum().backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert pred.grad.abs().max() < 1e-12


def test_a_swapped_side_is_led_back():
    pred, target = boxes(DEGENERATE['one side swapped'])
    aiou_loss(pred, target).sum().backward()
    assert pred.grad[0, 0] > 0 > pred.grad[0, 2]


def test_order_of_the_losses():
    pred, target = drawn()
    _, iou = AIoULoss(return_iou=True, reduction='none', eps=EPS)(pred, target)
    both = aiou_loss(pred, target, eps=EPS)
    ciou, eiou = (aiou_loss(pred, target, 'mean', share, EPS) for share in (1.0, 0.0))
    assert (both >= torch.maximum(ciou, eiou)).all()
    assert (torch.minimum(ciou, eiou) >= 1 - iou).all()
    assert ((both >= 0) & (both < 5)).all()
    for share in (0.25, 0.5):
        mean = aiou_loss(pred, target, 'mean', share, EPS)
        assert (mean >= torch.minimum(ciou, eiou) - 1e-12).all()
        assert (mean <= torch.maximum(ciou, eiou) + 1e-12).all()


@pytest.mark.parametrize('mode', ['sum', 'mean'])
def test_it_depends_on_neither_scale_nor_place_nor_order(mode):
    pred, target = drawn()
    loss = aiou_loss(pred, target, mode, eps=EPS)
    for other in (
        aiou_loss(7 * pred, 7 * target, mode, eps=EPS),
        aiou_loss(pred - 3, target - 3, mode, eps=EPS),
        aiou_loss(target, pred, mode, eps=EPS),
    ):
        torch.testing.assert_close(other, loss, atol=1e-9, rtol=0)


@pytest.mark.parametrize('mode', ['sum', 'mean'])
def test_further_away_and_further_in_size_cost_more(mode):
    target = torch.tensor([[0.0, 0.0, 4.0, 2.0]]).double()
    shift = torch.tensor([5.0, 0.0, 5.0, 0.0]).double()
    away = [aiou_loss(target + step * shift, target, mode) for step in range(6)]
    assert all(a < b for a, b in pairwise(away))
    grown = [aiou_loss(target * torch.tensor([1, 1, s, 1]), target, mode) for s in (1.0, 1.5, 2.0, 4.0, 9.0)]
    assert all(a < b for a, b in pairwise(grown))


def test_descent_leads_towards_the_target():
    pred, target = drawn()
    loss = aiou_loss(pred.requires_grad_(), target)
    nearer = pred.detach() - 1e-4 * torch.autograd.grad(loss.sum(), pred)[0]
    # Not by a gradient of α: where the aspects differ alone, it may not get less by as much.
    assert (aiou_loss(nearer, target) < loss).all()


def test_weights_reductions_and_formats_as_heads_give_them():
    (pred, target), weight = drawn(6), torch.tensor([1.0, 0.0, 0.5, 2.0, 1.0, 0.25]).double()
    one = aiou_loss(pred, target)
    total = (one * weight).sum()
    summed, mean = AIoULoss(reduction='sum', loss_weight=7.5), AIoULoss()
    torch.testing.assert_close(summed(pred, target, weight=weight[:, None]), 7.5 * total)  # YOLOv8's head
    per_box = weight[:, None].expand(-1, 4)
    torch.testing.assert_close(mean(pred, target, per_box, avg_factor=3.0), total / 3)  # RetinaNet's
    torch.testing.assert_close(mean(pred, target, weight, avg_factor=3.0), total / 3)  # FCOS's
    torch.testing.assert_close(mean(pred, target), one.mean())
    torch.testing.assert_close(mean(pred, target, reduction_override='none'), one)
    sized = [torch.cat([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], 1) for b in (pred, target)]
    loss, iou = AIoULoss(bbox_format='xywh', return_iou=True)(*sized)  # YOLOv5's
    torch.testing.assert_close(loss, one.mean())
    assert iou.shape == (6,)


def test_no_box_at_all_costs_nothing():
    pred = torch.zeros(0, 4, requires_grad=True)
    for arguments in (dict(), dict(weight=torch.zeros(0, 1)), dict(avg_factor=1.0)):
        loss = AIoULoss()(pred, torch.zeros(0, 4), **arguments)
        assert loss.item() == 0
        loss.backward()


def test_its_ciou_is_the_hosts():
    import_host('mmyolo')
    pred, target = drawn()
    theirs = MODELS.build(dict(type='mmyolo.IoULoss', bbox_format='xyxy', reduction='none', return_iou=False))
    # Theirs stops at 2.
    ours = AIoULoss(mode='mean', ciou_share=1.0, reduction='none')(pred, target).clamp(max=2)
    torch.testing.assert_close(ours, theirs(pred, target), atol=1e-5, rtol=0)


@pytest.mark.integration
@pytest.mark.parametrize('name', ['e2e/retinanet_r18_mini-coco.py', 'e2e/yolov8_n_mini-coco.py'])
def test_heads_of_both_hosts_train_with_it(name, config, build_lively, make_loop):
    cfg = config(name)
    cfg.model.bbox_head.loss_bbox = dict(type='mmlocal.AIoULoss', reduction='mean')
    if cfg.default_scope == 'mmyolo':
        cfg.model.bbox_head.loss_bbox.reduction = 'sum'
    else:
        cfg.model.bbox_head.reg_decoded_bbox = True
    cfg, model, optim, make_batch = build_lively(cfg)
    logs = make_loop(model, optim).step(**make_batch(128))
    assert isinstance(model.bbox_head.loss_bbox, AIoULoss)
    assert 0 < logs['loss_bbox'] < float('inf')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(mode='summ'), "mode = 'summ' is not one of sum, mean. Did you mean 'sum'?"),
        (dict(bbox_format='cxcywh'), "bbox_format = 'cxcywh' is not one of xyxy, xywh. Did you mean 'xywh'?"),
        (dict(reduction='avg'), "reduction = 'avg' is not one of none, mean, sum."),
        (dict(ciou_share=1.5), 'ciou_share = 1.5 is not within 0 (EIoU) and 1 (CIoU)'),
    ],
)
def test_unknown_arguments_are_told(arguments, message):
    with pytest.raises(ConfigError) as caught:
        AIoULoss(**arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ('first', 'second'), [((3, 4), (2, 4)), ((3, 5), (3, 5)), ((4,), (4,)), ((1, 3, 4), (1, 3, 4))]
)
def test_boxes_of_another_shape_are_told(first, second):
    message = f'AIoU takes two tensors of one shape (n, 4), not pred {first} and target {second}'
    for loss in (aiou_loss, AIoULoss()):
        with pytest.raises(ConfigError) as caught:
            loss(torch.zeros(first), torch.zeros(second))
        assert str(caught.value) == message


def test_an_unknown_override_is_told():
    with pytest.raises(ConfigError, match=r"reduction_override = 'men' is not one of none, mean, sum\. .*'mean'"):
        AIoULoss()(torch.zeros(1, 4), torch.zeros(1, 4), reduction_override='men')
