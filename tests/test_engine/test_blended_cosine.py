"""The learning rates of the field's CIFAR scripts."""

import math

import pytest
from torch import nn
from torch.optim import SGD

from mmlocal.engine import BlendedCosineLR
from mmlocal.registry import PARAM_SCHEDULERS


def rates(epochs, lr=0.8, **arguments):
    optimizer = SGD(nn.Linear(1, 1).parameters(), lr=lr)
    scheduler = PARAM_SCHEDULERS.build(
        dict(type='mmlocal.BlendedCosineLR', optimizer=optimizer, T_max=epochs, **arguments)
    )
    assert isinstance(scheduler, BlendedCosineLR)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return found


def published(e, epochs, lr=0.8):
    value = 0.5 * lr * (1 + math.cos(math.pi * e / epochs))
    return value * (e - 1) / 10 + 0.01 * (11 - e) / 10 if e <= 10 else value


def test_every_epoch_as_published():
    assert rates(40) == pytest.approx([published(e, 40) for e in range(1, 41)])


def test_it_begins_at_the_warm_ups_rate_and_ends_at_none():
    found = rates(20, warmup_lr=0.05)
    assert found[0] == 0.05
    assert found[-1] == pytest.approx(0, abs=1e-9)
