"""The tool that makes the small datasets: once, whole, and never over what is not its own."""

import json

import pytest

from mini import export_coco


def all_bytes(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


@pytest.fixture(scope='module')
def tool(tool):
    return tool('dataset_converters/make_mini_dataset')


def few(out, *args):
    return ['coco', '--out', str(out), '--train', '3', '--val', '2', '--size', '64', *args]


def test_tool_makes_it_once(tool, tmp_path, capsys):
    out = tmp_path / 'data' / 'mini'
    tool.main(few(out))
    assert capsys.readouterr().out.startswith(f'{out}: 3 train images, ')
    first = all_bytes(out)
    assert len(first) == 3 + 2 + 2 + 1
    assert [path.name for path in out.parent.iterdir()] == ['mini']
    (out / 'train2017' / '000000000001.jpg').unlink()
    tool.main(few(out))
    assert 'already made with the same arguments' in capsys.readouterr().out
    assert all_bytes(out) != first
    tool.main(few(out, '--force'))
    assert all_bytes(out) == first
    assert [path.name for path in out.parent.iterdir()] == ['mini']


def error_of(tool, capsys, args):
    with pytest.raises(SystemExit) as caught:
        tool.main(args)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ('option', 'value', 'least'),
    [('seed', '-1', 0), ('train', '-3', 1), ('val', '0', 1), ('size', '63', 64), ('size', 'large', 64)],
)
def test_tool_refuses_bad_arguments(tool, tmp_path, capsys, option, value, least):
    line = error_of(tool, capsys, few(tmp_path / 'mini', f'--{option}', value))
    assert line.endswith(f'error: argument --{option}: must be an integer of at least {least}, got {value}')
    assert not list(tmp_path.iterdir())


def test_tool_says_how_an_existing_dataset_differs(tool, tmp_path, capsys):
    out = tmp_path / 'mini'
    tool.main(few(out))
    other_seed = few(out, '--seed', '5')
    assert f'{out} was made differently (seed 0 -> 5): add --force' in error_of(tool, capsys, other_seed)
    tool.main([*other_seed, '--force'])
    assert json.loads((out / 'mini.json').read_text())['seed'] == 5


@pytest.mark.parametrize('stamp', [None, '{}', '[1]', 'not json'])
def test_tool_never_replaces_what_it_did_not_make(tool, tmp_path, capsys, stamp):
    (tmp_path / 'precious.txt').write_text('keep')
    if stamp is not None:
        (tmp_path / 'mini.json').write_text(stamp)
    assert 'holds something else' in error_of(tool, capsys, few(tmp_path, '--force'))
    assert (tmp_path / 'precious.txt').read_text() == 'keep'


@pytest.mark.parametrize('failure', [KeyboardInterrupt, RuntimeError])
def test_interrupted_tool_leaves_nothing(tool, tmp_path, monkeypatch, failure):
    def stop_at_val(root, split, scenes):
        if split == 'val':
            raise failure
        return export_coco(root, split, scenes)

    monkeypatch.setattr(tool, 'export_coco', stop_at_val)
    with pytest.raises(failure):
        tool.main(few(tmp_path / 'mini'))
    assert not list(tmp_path.iterdir())


def test_tool_reports_a_place_it_cannot_write(tool, tmp_path, capsys):
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit) as caught:
        tool.main(few(tmp_path / 'file' / 'mini'))
    assert caught.value.code == 1
    assert 'error: cannot write' in capsys.readouterr().err


FILES = {'coco': 7, 'voc': 12, 'cityscapes': 10, 'digits': 5, 'div2k': 15 * 4}


@pytest.mark.parametrize('layout', FILES)
def test_every_layout(tool, tmp_path, capsys, layout):
    tool.main([layout, *few(tmp_path / 'mini')[1:]])
    assert len(all_bytes(tmp_path / 'mini')) == FILES[layout] + 1
    stamp = json.loads((tmp_path / 'mini' / 'mini.json').read_text())
    assert stamp.get('layout', 'coco') == layout
    assert capsys.readouterr().out.startswith(f'{tmp_path / "mini"}: ')


@pytest.mark.parametrize('layout', ['voc', 'cityscapes', 'digits'])
def test_the_same_seed_gives_the_same_bytes(tool, tmp_path, layout):
    made = []
    for name, seed in (('first', '0'), ('second', '0'), ('other', '1')):
        tool.main([layout, *few(tmp_path / name)[1:], '--seed', seed])
        made.append(all_bytes(tmp_path / name))
        made[-1].pop('mini.json')  # holds the seed itself
    assert made[0] == made[1] != made[2]


def test_the_stamp_of_coco_is_that_of_before_there_were_layouts(tool, tmp_path):
    """Sets that were made then are accepted."""
    tool.main(few(tmp_path / 'mini'))
    stamp = json.loads((tmp_path / 'mini' / 'mini.json').read_text())
    arguments = {'seed', 'train', 'val', 'size'}
    assert set(stamp) == {'dataset', *arguments, 'numpy', 'scikit-image', 'scikit-learn', 'opencv', 'pillow'}


def test_one_folder_is_for_one_layout(tool, tmp_path, capsys):
    assert '--out is for one layout' in error_of(tool, capsys, ['coco', 'voc', '--out', str(tmp_path / 'mini')])


def test_an_unknown_layout(tool, capsys):
    assert "invalid choice: 'kitti'" in error_of(tool, capsys, ['kitti'])
