import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mini import CLASSES, SceneSpec, make_scenes, photos, read_photo, shipped_photos, split_digits

SPLITS = ('train', 'val')


@pytest.fixture(scope='module')
def scenes():
    return list(make_scenes('train', 60, seed=0))


def same(first, second):
    pairs = zip(first.objects, second.objects, strict=False)
    return (
        np.array_equal(first.image, second.image)
        and len(first.objects) == len(second.objects)
        and all(a.digit == b.digit and np.array_equal(a.mask, b.mask) for a, b in pairs)
    )


def test_same_seed_gives_the_same_scenes_whatever_their_number(scenes):
    assert all(same(a, b) for a, b in zip(scenes[:10], make_scenes('train', 10, seed=0), strict=True))


@pytest.mark.parametrize(('split', 'seed'), [('train', 1), ('val', 0)])
def test_another_seed_or_split_gives_other_scenes(scenes, split, seed):
    assert not any(same(a, b) for a, b in zip(scenes[:10], make_scenes(split, 10, seed), strict=True))


def test_splits_share_neither_digits_nor_photographs():
    assert not set(split_digits('train')) & set(split_digits('val'))
    assert not {p.name for p in shipped_photos('train')} & {p.name for p in shipped_photos('val')}
    assert len(split_digits('train')) + len(split_digits('val')) == len(load_digits().target)


@pytest.mark.parametrize('split', SPLITS)
def test_scenes_keep_to_their_split(split):
    names = {photo.name for photo in shipped_photos(split)}
    for scene in make_scenes(split, 20, seed=3):
        assert scene.photo in names
        assert all(item.digit in split_digits(split) for item in scene.objects)


def test_shapes_and_labels(scenes):
    target = load_digits().target
    for scene in scenes:
        assert scene.image.shape == (128, 128, 3)
        assert scene.image.dtype == np.uint8
        for item in scene.objects:
            assert item.mask.shape == (128, 128)
            assert item.mask.dtype == bool
            assert item.label == target[item.digit]
    assert {item.label for scene in scenes for item in scene.objects} == set(range(len(CLASSES)))


def test_masks_do_not_overlap_and_enough_of_each_is_visible(scenes):
    for scene in scenes:
        assert len(scene.objects) <= 4
        assert sum((item.mask.astype(int) for item in scene.objects), np.zeros((128, 128), int)).max() <= 1
        assert all(SceneSpec().min_visible <= item.visible <= 1 for item in scene.objects)


def test_bbox_is_tight(scenes):
    for item in (item for scene in scenes for item in scene.objects):
        x, y, width, height = item.bbox
        inside = item.mask[y : y + height, x : x + width]
        assert inside.sum() == item.area == item.mask.sum()
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def on_border(mask):
    return mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()


def test_some_scenes_are_empty_some_digits_truncated_some_occluded(scenes):
    objects = [item for scene in scenes for item in scene.objects]
    assert 1 <= sum(not scene.objects for scene in scenes) <= 10
    truncated = [item for item in objects if item.truncated]
    assert len(truncated) > 10
    assert all(item.visible < 1 and on_border(item.mask) for item in truncated)
    assert sum(item.visible < 1 and not item.truncated for item in objects) > 10
    assert any(item.visible == 1 for item in objects)


def test_later_digits_lie_on_earlier_ones(scenes):
    assert all(scene.objects[-1].visible == 1 or scene.objects[-1].truncated for scene in scenes if scene.objects)


def test_digits_stand_out_from_their_rim(scenes):
    """Grey levels of a digit and of the pixels around it differ, whatever the photograph."""
    for item, scene in ((scene.objects[-1], scene) for scene in scenes if scene.objects):
        near = np.zeros_like(item.mask)
        for dy, dx in ((0, 2), (2, 0), (0, -2), (-2, 0)):
            near |= np.roll(item.mask, (dy, dx), (0, 1))
        grey = scene.image.mean(axis=2)
        assert abs(grey[item.mask].mean() - grey[near & ~item.mask].mean()) > 40


@pytest.mark.parametrize('size', [64, 200])
def test_heights_are_fractions_of_the_size(size):
    spec = SceneSpec(size=size, heights=(0.4, 0.4), max_objects=1, empty=0, overhang=0, tilt=0)
    heights = [item.bbox[3] for scene in make_scenes('val', 10, 0, spec) for item in scene.objects]
    assert len(heights) == 10
    assert np.allclose(heights, 0.4 * size, atol=0.04 * size)


@pytest.mark.parametrize('spec', [{'overhang': 0.5}, {'overhang': 0, 'tilt': 45}, {'min_visible': 1.0}])
def test_digits_as_high_as_the_scene(spec):
    spec = SceneSpec(size=64, heights=(1.0, 1.0), empty=0, **spec)
    assert all(item.visible >= spec.min_visible for s in make_scenes('val', 30, 0, spec) for item in s.objects)


def test_empty_share():
    assert not any(scene.objects for scene in make_scenes('val', 3, 0, SceneSpec(empty=1)))
    assert all(scene.objects for scene in make_scenes('val', 20, 0, SceneSpec(empty=0)))


def test_spec_names_everything_that_is_wrong():
    with pytest.raises(ValueError, match='SceneSpec') as caught:
        SceneSpec(size=32, heights=(0.5, 0.2), empty=2)
    assert str(caught.value) == (
        'SceneSpec: size = 32 (allowed: at least 64); '
        'heights = (0.5, 0.2) (allowed: rising, above 0, at most 1); '
        'empty = 2 (allowed: from 0 to 1)'
    )


@pytest.mark.parametrize('function', [split_digits, shipped_photos])
def test_unknown_split(function):
    with pytest.raises(ValueError, match="split = 'test' is not one of 'train', 'val'"):
        function('test')


def test_photographs_are_rgb_read_only_and_large_enough():
    for photo in (photo for split in SPLITS for photo in shipped_photos(split)):
        pixels = read_photo(photo)
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert min(pixels.shape[:2]) >= 256
        assert not pixels.flags.writeable
        assert photo.license in photos.LICENSE_URLS
    camera = read_photo(next(photo for photo in shipped_photos('train') if photo.name == 'camera.png'))
    assert (camera == camera[..., :1]).all()


def test_missing_photographs_are_all_named(monkeypatch, tmp_path):
    monkeypatch.setattr(photos, '_folder', lambda package, inside: tmp_path)
    with pytest.raises(FileNotFoundError, match=r'not shipped by .*: .*chelsea\.png, .*retina\.jpg'):
        shipped_photos('val')


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(photos, 'find_spec', lambda package: None)
    with pytest.raises(FileNotFoundError, match="package 'skimage', which ships some of the photographs"):
        shipped_photos('val')


def test_nothing_is_downloaded():
    """Nobody looks up a host or connects, and scikit-image's downloader is not even imported."""
    folder = Path(photos.__file__).parents[1]
    code = (
        'import os, sys\n'
        'network = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}\n'
        'sys.addaudithook(lambda event, _: event in network and os._exit(1))\n'
        'from mini import make_scenes\n'
        'list(make_scenes("train", 2, 0))\n'
        'sys.exit(bool({"pooch", "skimage.data._fetchers"} & set(sys.modules)))'
    )
    assert subprocess.run([sys.executable, '-c', code], cwd=folder, timeout=60).returncode == 0
