"""No transform of the configs has an argument that its host accepts and ignores, as a crop may its padding mode."""

import ast
import inspect
import textwrap
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import TRANSFORMS

from mmlocal.hosts.importing import import_host

DATASETS = sorted(Path('configs/_base_/datasets').glob('*.py'))
# By a part of the file's name; the others are for mmpretrain.
HOSTS = {'yolo': 'mmyolo', 'detection': 'mmdet', 'segmentation': 'mmseg', 'div2k': 'mmagic'}


def steps_of(found):
    """All transforms in the pipelines of a config."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from value if key.endswith('pipeline') and value else steps_of(value)
    elif isinstance(found, (list, tuple)):
        for value in found:
            yield from steps_of(value)


def unused(kind, arguments):
    """Arguments that no class of the transform reads, but to store them in an attribute that none reads either."""
    code = [ast.parse(textwrap.dedent(inspect.getsource(c))) for c in kind.__mro__ if c.__module__ != 'builtins']
    nodes = [node for tree in code for node in ast.walk(tree)]
    named = [n for n in nodes if isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, ast.Load)]
    left = set()
    for name in arguments:
        stores = [n for n in nodes if isinstance(n, ast.Assign) and getattr(n.value, 'id', None) == name]
        stored, kept = {id(n.value) for n in stores}, {getattr(t, 'attr', None) for n in stores for t in n.targets}
        reads = (n for n in named if id(n) not in stored)
        if not any(n.attr in kept if isinstance(n, ast.Attribute) else n.id == name for n in reads):
            left.add(name)
    return left


@pytest.mark.parametrize('path', DATASETS, ids=lambda p: p.stem)
def test_classes_of_transforms_use_their_arguments(path):
    host = next((host for part, host in HOSTS.items() if part in path.stem), 'mmpretrain')
    if host in ('mmagic', 'mmyolo'):
        import_host(host)
    import_module(f'{host}.datasets')
    steps = list(steps_of(Config.fromfile(path)))
    with TRANSFORMS.switch_scope_and_registry(host) as registry:
        for step in steps:
            assert not unused(registry.get(step['type']), set(step) - {'type'}), step


def test_an_unused_argument_is_found():
    class Kind:
        def __init__(self, size, mode, fill):
            self.size, self.mode = size, 0
            self.mode = mode
            self.fill = fill

        def __call__(self, results):
            return results[: self.size], self.fill

    assert unused(Kind, {'mode', 'fill'}) == {'mode'}


def unread(step, results):
    """The arguments of a transform that it does not read when it runs."""
    from mmpretrain.registry import TRANSFORMS

    arguments = {name: value for name, value in step.items() if name != 'type'}
    kind, seen = TRANSFORMS.get(step['type']), set()

    class Watched(kind):
        def __getattribute__(self, name):
            seen.add(name)
            return super().__getattribute__(name)

    transform = Watched(**arguments)
    seen.clear()
    for _ in range(50):
        transform(dict(results))
    return set(arguments) - seen


def test_transforms_read_their_arguments():
    """An argument that a host accepts and ignores is one that its transform never looks at."""
    import mmpretrain.datasets  # noqa: F401

    image = np.zeros((32, 32, 3), np.uint8)
    for name in ('cifar10_bs1024', 'svhn_bs1024', 'stl10_bs128'):
        for step in Config.fromfile(f'configs/_base_/datasets/{name}.py').train_pipeline[:-1]:
            assert not unread(step, dict(img=image)), (name, step)
    ignored = dict(type='RandomCrop', crop_size=32, padding=4, padding_mode='reflect')
    assert unread(ignored, dict(img=image)) == {'padding_mode'}
