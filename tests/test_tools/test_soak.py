"""The short form of `make bench-soak`: eight kills."""

import pytest
import torch

KILLS = 8


@pytest.fixture
def soak(tool, make_mini):
    """The tool, and the settings of a run of three epochs of two batches."""
    root, tool = make_mini('digits', 16), tool('benchmarks/soak')
    tool.import_everything()
    return tool, tool.options(3, 2, root)


@pytest.mark.integration
def test_killed_runs_end_as_the_one_that_was_not(soak, tmp_path):
    tool, settings = soak
    found = tool.Soak(tmp_path, settings, seed=1)(KILLS)
    assert found.kills == KILLS
    assert found.lost == 0
    assert found.differences == []
    # Momentum copies are weights of the auxiliaries.
    names = tool.result(tmp_path / 'reference')
    assert any('.local_auxiliaries.' in name and name.startswith('weights') for name in names)
    assert {'validation 3 accuracy/top1', 'optimizer 0 exp_avg', 'train 6 loss'} <= names.keys()
    # The comparison itself sees one bit.
    name = 'optimizer 0 exp_avg'
    other = names[name].flatten().clone()
    other[0] = torch.nextafter(other[0], torch.tensor(1.0))
    assert tool.unequal({**names, name: other.view_as(names[name]), 'files': []}, names) == ['files', name]
