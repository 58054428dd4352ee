"""Package metadata; the versions that work together are pinned in `requirements/lock.txt`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = (ROOT / 'mmlocal' / 'version.py').read_text().split("'")[1]
EXTRAS = ('cls', 'det', 'seg', 'sr', 'yolo')


def required(name):
    """The lines of a file in `requirements`."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def readme():
    """The page as it can be read outside of the repository: without its pictures and the links into it."""
    text = (ROOT / 'README.md').read_text()
    text = re.sub(r'!\[[^]]*\]\((?!https?:)[^)]*\)\n*', '', text)
    return re.sub(r'\[([^]]+)\]\((?!https?:|#)[^)]*\)', r'\1', text)


extras = {name: required(name) for name in EXTRAS}
extras['all'] = sorted({line for lines in extras.values() for line in lines})
extras['dev'] = required('tests')

setup(
    name='mmlocal',
    version=VERSION,
    description='Supervised local learning for OpenMMLab: train block by block, in a fraction of the memory',
    long_description=readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords=[
        'local learning',
        'memory-efficient training',
        'object detection',
        'semantic segmentation',
        'super-resolution',
    ],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Typing :: Typed',
    ],
    packages=find_packages(include=['mmlocal', 'mmlocal.*']),
    package_data={
        'mmlocal': [
            'py.typed',
            'config/presets/*.py',
            # Links into the repository, which become copies; where mim, and `_base_ = 'mmlocal::…'`, look for them.
            '.mim/model-index.yml',
            '.mim/configs/*/*',
            '.mim/configs/_base_/*/*.py',
            '.mim/tools/*.sh',
            '.mim/tools/train.py',
            '.mim/tools/test.py',
            '.mim/tools/benchmark.py',
            '.mim/tools/analysis_tools/*.py',
            '.mim/tools/dataset_converters/*.py',
            '.mim/tools/dataset_converters/mini/*.py',
            '.mim/tools/misc/*.py',
            '.mim/tools/model_converters/*.py',
        ]
    },
    entry_points={'console_scripts': ['mmlocal = mmlocal.commands:main']},
    python_requires='>=3.10,<3.13',
    install_requires=required('runtime'),
    extras_require=extras,
)
