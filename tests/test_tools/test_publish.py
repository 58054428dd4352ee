"""Published checkpoints hold the stock network, and their names tell their content."""

import hashlib

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader

from mmlocal.config import localize
from mmlocal.registry import MODELS

TOOL = 'model_converters/publish_model'
PREFIX = 'backbone.local_auxiliaries.'


@pytest.fixture
def run_checkpoint(make_host, man_auxiliary, tmp_path):
    """A checkpoint as a run leaves it, and the state dict of the same host without local learning."""
    partition = dict(type='Stage')
    local = make_host(partition=partition, auxiliary=man_auxiliary)
    path = tmp_path / 'epoch_1.pth'
    meta = dict(epoch=1, dataset_meta=dict(classes=('one',)))
    state = local.state_dict()
    assert any(key.startswith(PREFIX) for key in state)
    torch.save(dict(meta=meta, state_dict=state, optimizer={}, message_hub={}, local_plan=[]), path)
    return path


@pytest.fixture
def publish(call):
    """Publish through the command line and return the path that it prints."""

    def publish(*args):
        result = call(TOOL, *args)
        assert result.code == 0, result.err
        return result.out.strip().removeprefix('published: ')

    return publish


def test_only_the_stock_network_and_meta_are_left(publish, run_checkpoint, make_host, tmp_path):
    published = torch.load(publish(run_checkpoint, tmp_path / 'out.pth'), weights_only=False)
    whole = torch.load(run_checkpoint, weights_only=False)
    stock = make_host()
    assert set(published) == {'meta', 'state_dict'}
    assert published['meta'] == whole['meta']
    assert set(published['state_dict']) == set(stock.state_dict())
    assert set(whole['state_dict']) - set(published['state_dict']) == {
        key for key in whole['state_dict'] if key.startswith(PREFIX)
    }
    for key, value in published['state_dict'].items():
        assert torch.equal(value, whole['state_dict'][key]), key
    stock.load_state_dict(published['state_dict'], strict=True)


def test_name_carries_the_hash_of_the_file(publish, run_checkpoint, tmp_path):
    path = tmp_path / 'new' / 'faster_rcnn.v2.pth'
    printed = publish(run_checkpoint, path)
    (published,) = path.parent.iterdir()
    digest = hashlib.sha256(published.read_bytes()).hexdigest()[:8]
    assert str(published) == printed
    assert published.name == f'faster_rcnn.v2-{digest}.pth'


def test_same_weights_give_the_same_hash_under_any_name(publish, run_checkpoint, tmp_path):
    digests = {publish(run_checkpoint, tmp_path / name)[-12:] for name in ('a.pth', 'b.pth', 'c/b')}
    assert len(digests) == 1


def test_input_and_neighbours_are_left_as_they_were(publish, run_checkpoint, tmp_path):
    neighbour = tmp_path / 'out.tmp'
    neighbour.write_text('mine')
    before = run_checkpoint.read_bytes()
    published = publish(run_checkpoint, tmp_path / 'out.pth')
    assert run_checkpoint.read_bytes() == before
    assert neighbour.read_text() == 'mine'
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {'epoch_1.pth', 'out.tmp', published.rsplit('/', 1)[1]}


def test_other_keys_are_kept_where_they_are_asked_for(publish, run_checkpoint, tmp_path):
    path = publish(run_checkpoint, tmp_path / 'out.pth', '--save-keys', 'state_dict', 'local_plan')
    assert set(torch.load(path, weights_only=False)) == {'state_dict', 'local_plan'}


@pytest.fixture
def refused(call, tmp_path):
    """Publish what must be refused: exit code 2, one line, and nothing is written."""

    def refused(in_file, *args):
        before = sorted(tmp_path.rglob('*'))
        result = call(TOOL, in_file, *(args or [tmp_path / 'out.pth']))
        assert result.code == 2
        assert sorted(tmp_path.rglob('*')) == before
        (line,) = result.errors
        return line.removeprefix('error: ')

    return refused


def test_missing_input(refused):
    path = '/nowhere/a.pth'
    assert refused(path) == f'in_file = {path!r} does not exist (looked for {path})'


def test_input_that_was_cut_off(refused, run_checkpoint):
    whole = run_checkpoint.read_bytes()
    run_checkpoint.write_bytes(whole[:5000])
    assert refused(run_checkpoint) == f"in_file = '{run_checkpoint}' is broken: it was cut off after 5000 bytes"


def test_input_that_is_no_checkpoint(refused, tmp_path):
    path = tmp_path / 'text.pth'
    path.write_text('no checkpoint')
    assert refused(path) == f"in_file = '{path}' is not a checkpoint: torch.save did not write it"


def test_input_without_a_state_dict(refused, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(model={}, epoch=1), path)
    assert refused(path) == f"in_file = '{path}' has no meta, state_dict; it has model, epoch"


def test_output_that_cannot_be_written(refused, run_checkpoint):
    out = run_checkpoint / 'out.pth'
    assert refused(run_checkpoint, out).startswith(f"out_file = '{out}' cannot be written: ")


@pytest.mark.integration
@pytest.mark.xdist_group('local_run')
def test_checkpoint_of_a_run_loads_into_the_stock_detector(publish, local_run, local_config, host_config, tmp_path):
    """Without a missing or an unexpected key, and with the same outputs."""
    path = publish(local_run.checkpoint, tmp_path / 'out.pth')
    checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu', logger='silent')
    whole = CheckpointLoader.load_checkpoint(str(local_run.checkpoint), map_location='cpu', logger='silent')
    with DefaultScope.overwrite_default_scope('mmdet'):
        stock = MODELS.build(Config.fromfile(host_config).model)
        local = MODELS.build(localize(Config.fromfile(local_config)).model)
    stock.load_state_dict(checkpoint['state_dict'], strict=True)
    local.load_state_dict(whole['state_dict'], strict=True)
    assert checkpoint['meta']['dataset_meta']['classes'][0] == 'zero'
    torch.manual_seed(0)
    image = torch.randn(1, 3, 64, 64)
    for model in (stock, local):
        model.eval()
    assert all(torch.equal(a, b) for a, b in zip(stock.extract_feat(image), local.extract_feat(image), strict=True))
    meta = dict(img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1.0, 1.0), batch_input_shape=(64, 64))
    found = [model.predict(image, [DetDataSample(metainfo=meta)])[0].pred_instances for model in (stock, local)]
    assert torch.equal(found[0].bboxes, found[1].bboxes)
    assert torch.equal(found[0].scores, found[1].scores)
