"""The short form of `make bench-soak`: a hook that acts once, and a loop that accumulates gradients."""

import pytest
import torch

from tests.test_tools.conftest import ROOT

pytestmark = pytest.mark.forks

KILLS = 3
SHORT = ('PredSim, SwitchRecipeHook, no workers', 'DGL, three batches a step')


@pytest.fixture
def soak(tool, make_mini, monkeypatch):
    """The tool, and the folder of the small set."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'benchmarks'))
    tool = tool('benchmarks/soak')
    tool.import_everything()
    return tool, make_mini('digits', 16).parent


@pytest.mark.integration
@pytest.mark.parametrize('name', SHORT)
def test_killed_runs_end_as_the_one_that_was_not(soak, tmp_path, name):
    tool, data = soak
    (one,) = [one for one in tool.CONFIGURATIONS if one.name == name]
    found = tool.Soak(tmp_path / 'runs', one.write(tmp_path, data, 2, 2), seed=1)(KILLS)
    assert found.kills == KILLS
    assert found.lost == 0
    assert found.differences == []


@pytest.mark.integration
def test_the_comparison_sees_one_bit_of_all_that_a_run_leaves(soak, tmp_path):
    tool, data = soak
    (one,) = [one for one in tool.CONFIGURATIONS if one.name == 'DGL, three batches a step']
    attempt = tool.Attempt(tmp_path / 'run', one.write(tmp_path, data, 1, 2))
    assert attempt.wait() == 0
    found = tool.result(tmp_path / 'run')
    assert any('auxiliaries' in name for name in found)
    assert {'validation 1 accuracy/top1', 'train 2 loss', '/message_hub/log_scalars/train/lr/0/1'} <= found.keys()
    name = '/optimizer/state/0/exp_avg'
    other = found[name].flatten().clone()
    other[0] = torch.nextafter(other[0], torch.tensor(1.0))
    assert tool.unequal({**found, name: other.view_as(found[name]), 'files': []}, found) == [name, 'files']


def test_a_soak_is_of_ten_configurations_or_more(soak):
    tool, _ = soak
    assert len({one.name for one in tool.CONFIGURATIONS}) >= 10
