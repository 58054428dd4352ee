"""What names, metafiles and configs say of a config is one thing: method, task, data."""

import functools
import json
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.fileio import load

from mmlocal.config import find_backbone
from mmlocal.hosts import name_installed_distributions
from mmlocal.presets import PRESETS, method_names

ROOT = Path(__file__).parent.parent
METAFILES = [load(ROOT / path) for path in load(ROOT / 'model-index.yml')['Import']]
MODELS = {model['Config']: model for metafile in METAFILES for model in metafile['Models']}
FOLDERS = sorted({path.parent for path in ROOT.glob('configs/[!_]*/*.py')})
# The last part of a name: what a metafile calls the data, and what the training set's config has in it.
DATA = {
    'coco': ('COCO', 'data/coco/'),
    'mini-coco': ('mini COCO', 'data/mini-coco'),
    'mini-voc': ('mini VOC', 'data/mini-voc'),
    'voc0712': ('PASCAL VOC 07+12', 'VOC2012/'),
    'cis': ('CIS', 'data/cis/'),
    'mocs': ('MOCS', 'data/mocs/'),
    'soda': ('SODA', 'data/soda/'),
    'cityscapes': ('Cityscapes', 'data/cityscapes/'),
    'mini-cityscapes': ('mini Cityscapes', 'data/mini-cityscapes'),
    'div2k': ('DIV2K', 'data/DIV2K'),
    'mini-div2k': ('mini DIV2K', 'data/mini-div2k'),
    'imagenet': ('ImageNet-1k', 'data/imagenet'),
    'cifar10': ('CIFAR-10', 'data/cifar10'),
    'svhn': ('SVHN', 'data/svhn'),
    'stl10': ('STL-10', 'data/stl10'),
    'fashion-mnist': ('Fashion-MNIST', 'mmlocal.FashionMNIST'),
    'mini-digits': ('mini digits', 'data/mini-digits'),
}
TASKS = {
    'mmdet': 'Object Detection',
    'mmyolo': 'Object Detection',
    'mmseg': 'Semantic Segmentation',
    'mmpretrain': 'Image Classification',
    'mmagic': 'Super Resolution',
}


@pytest.fixture(scope='module', autouse=True)
def hosts_are_found():
    name_installed_distributions()


@functools.cache
def read(path):
    return Config.fromfile(ROOT / path)


# The default choice of units, the heads of every host, and a form of one.
COMMON = {'Next', 'mmlocal.ClsHead', 'mmlocal.ContrastHead', 'mmlocal.Auxiliary', 'Constant'}


def traits(config):
    """What tells methods apart: the parts that a backbone's arguments name, and the settings that add none."""
    found = set()
    if isinstance(config, dict):
        found |= {key for key in ('overlap', 'reconcile', 'merge') if key in config}
        found |= {'scaling'} if config.get('scaling') else set()
        found |= {config['type']} if 'type' in config else set()
        parts = config.values()
    else:
        parts = config if isinstance(config, (list, tuple)) else ()
    return found.union(*map(traits, parts)) - COMMON


@functools.cache
def of_preset(name):
    return traits(Config.fromfile(PRESETS / f'{name}.py')[name])


def method_of(part):
    """The presets that a part of a name is made of: `man-plus-plus-dgl` is MAN++ over DGL."""
    if not part:
        return []
    known = [name for name in method_names() if (part + '-').startswith(name.replace('_', '-') + '-')]
    assert known, f'{part!r} begins with no method'
    name = max(known, key=len)
    return [name, *method_of(part[len(name) + 1 :])]


def test_every_config_has_its_entry_and_every_entry_its_config():
    configs = {str(path.relative_to(ROOT)) for folder in FOLDERS for path in folder.glob('*.py')}
    assert set(MODELS) == configs
    assert all(model['Name'] == Path(path).stem for path, model in MODELS.items())


def test_every_folder_has_a_page_with_all_its_configs():
    for folder in FOLDERS:
        page = (folder / 'README.md').read_text()
        assert {path.name for path in folder.glob('*.py')} <= set(re.findall(r'[\w-]+\.py', page)), folder
        for command in re.findall(r'configs/\S+\.py', page):
            assert (ROOT / command).is_file(), command


def test_collections_are_the_metafiles_own():
    for metafile in METAFILES:
        names = {one['Name'] for one in metafile['Collections']}
        assert {model['In Collection'] for model in metafile['Models']} == names
        assert all((ROOT / one['README']).is_file() for one in metafile['Collections'])


def test_names_parts_are_lower_case():
    part = '[a-z0-9]+(-[a-z0-9]+)*'
    assert [path for path in MODELS if not re.fullmatch(f'{part}(_{part})+', Path(path).stem)] == []


@pytest.mark.parametrize('path', MODELS)
def test_task_and_data(path):
    cfg = read(path)
    label, text = DATA[Path(path).stem.split('_')[-1]]
    first, *others = MODELS[path]['Results']
    assert (first['Task'], first['Dataset']) == (TASKS[cfg.default_scope], label)
    assert text in json.dumps(cfg.train_dataloader.dataset.to_dict(), default=str)
    masks = cfg.model.get('roi_head', {}).get('mask_head') is not None
    assert [one['Task'] for one in others] == (['Instance Segmentation'] if masks else [])


@pytest.mark.parametrize('path', [path for path in MODELS if '/replacement/' not in path])
def test_the_method_in_the_name_is_the_configs(path):
    """The last part but K and the data, where the folder or a method is called so; GSO-YOLO may be trained by one."""
    folder, stem = Path(path).parent.name, Path(path).stem
    *_, part, _ = re.sub(r'_k\d+_', '_', stem).split('_')
    found = find_backbone(read(path))
    if found is None:
        assert folder in ('e2e', 'gso_yolo')
        return
    own = {key: found[1][key] for key in ('auxiliary', 'overlap', 'reconcile') if key in found[1]}
    names = method_of(part)
    assert names[0].startswith(folder) or folder == 'gso_yolo'
    assert traits(own) == set().union(*map(of_preset, names))


@pytest.mark.parametrize('path', [path for path in MODELS if '/replacement/' in path])
def test_the_form_of_replacement_in_the_name_is_the_configs(path):
    text = json.dumps(read(path).model.backbone.to_dict())
    assert 'mmlocal.ReplacementBackbone' in text
    assert ('"transformation"' in text) == ('_replacement-fusion_' in path)
    assert ('"mmlocal.LocalBackbone"' in text) == ('_replacement-dgl_' in path)
