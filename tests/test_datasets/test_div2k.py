"""The DIV2K layout, read back by the stock dataset."""

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image
from skimage.transform import resize

from mini import export_div2k, shipped_photos
from mini.div2k import SCALES
from mmlocal.hosts import import_host


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('div2k')
    assert [export_div2k(folder, split) for split in ('train', 'val')] == [11, 4]
    return folder


@pytest.mark.parametrize('scale', SCALES)
@pytest.mark.parametrize(('name', 'split'), [('train', 'train'), ('valid', 'val')])
def test_the_stock_dataset_pairs_the_images(root, name, split, scale):
    import_host('mmagic')
    from mmagic.datasets import BasicImageDataset

    with DefaultScope.overwrite_default_scope('mmagic'):
        dataset = BasicImageDataset(
            data_root=str(root),
            data_prefix=dict(img=f'DIV2K_{name}_LR_bicubic/X{scale}', gt=f'DIV2K_{name}_HR'),
            filename_tmpl=dict(img=f'{{}}x{scale}', gt='{}'),
            search_key='gt',
            pipeline=[],
        )
    assert len(dataset) == len(shipped_photos(split))
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        low, high = (Image.open(info[key]) for key in ('img_path', 'gt_path'))
        assert high.size == (low.width * scale, low.height * scale)
        assert high.width % 12 == high.height % 12 == 0


@pytest.mark.parametrize('scale', SCALES)
def test_low_and_high_are_aligned(root, scale):
    high = np.asarray(Image.open(root / 'DIV2K_valid_HR/0801.png'), float)
    low = np.asarray(Image.open(root / f'DIV2K_valid_LR_bicubic/X{scale}/0801x{scale}.png'), float)
    shape = low.shape
    here = np.abs(resize(high, shape, order=3, anti_aliasing=True) - low).mean()
    moved = np.abs(resize(np.roll(high, scale, 1), shape, order=3, anti_aliasing=True) - low).mean()
    assert here < 3 < moved


def test_the_same_bytes_twice(root, tmp_path):
    export_div2k(tmp_path, 'val')
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob('*.png')}
    assert len(written) == 16
    assert all((root / name).read_bytes() == data for name, data in written.items())
