"""The ratios that `make bench-memory` reached are kept: estimated again, they may not be more than 2 % larger."""

import json
from pathlib import Path

import pytest

from mmlocal.config import find_backbone
from mmlocal.planning import end_to_end, estimate

ROOT = Path(__file__).parents[2]
REACHED = {row['title']: row for row in json.loads((ROOT / 'docs' / 'results' / 'memory.json').read_text())}
HELD = ('ResNet-50, DGL', 'Faster R-CNN R50-FPN, MAN++, stage 1 frozen', 'EDSR-baseline x2, MAN, chunks')


@pytest.mark.integration
@pytest.mark.parametrize('title', HELD)
def test_ratio_is_kept(tool, title, monkeypatch):
    monkeypatch.chdir(ROOT)
    reached = REACHED[title]
    (row,) = [row for row in tool('benchmarks/memory').ROWS if row.title == title]
    # The cuts that were planned then.
    row.options = {key: value for key, value in row.options.items() if not key.endswith('.partition')}
    cfg = row.load()
    find_backbone(cfg)[1].partition = reached['cuts']
    local, whole = (estimate(one, row.shape, row.batch)[1].peak_bytes for one in (cfg, end_to_end(cfg)))
    assert local / whole <= 1.02 * reached['ways'][2]['peak'] / reached['ways'][0]['peak']
