import torch
from torch import nn

from mmlocal.memory import PeakMeter, SavedBytes


def test_peak_is_exact_and_repeats():
    def run():
        with PeakMeter() as meter:
            a = torch.ones(1000, 1000)
            b = a * 2
            del a
            c = b + 1
            del b, c
        return meter.peak_bytes

    first = run()
    assert 8_000_000 <= first < 8_000_100
    assert run() == first


def test_what_was_live_before_is_not_counted():
    before = torch.ones(1000, 1000)
    with PeakMeter() as meter:
        before = before[:10].clone()
    assert meter.peak_bytes < 100_000


def test_saved_bytes_leave_weights_out_and_count_a_storage_once():
    linear = nn.Linear(100, 100)
    x = torch.ones(10, 100, requires_grad=True)
    with SavedBytes(linear) as saved:
        y = linear(x)
        z = y.exp() + x.square()
    assert saved.total == 2 * 10 * 100 * 4  # x, kept twice, and the result of exp
    del z


def test_parts_are_counted_apart():
    x = torch.ones(100, requires_grad=True)
    with SavedBytes(nn.Identity()) as saved:
        y = x.exp()
        saved.next_part()
        z = y.exp().exp()
    assert saved.parts == [400, 800]
    del z
