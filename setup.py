"""Package metadata; the versions that work together are pinned in `requirements/lock.txt`."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
REQUIREMENTS = [
    line
    for line in (ROOT / 'requirements' / 'runtime.txt').read_text().splitlines()
    if line and not line.startswith('#')
]
VERSION = (ROOT / 'mmlocal' / 'version.py').read_text().split("'")[1]

setup(
    name='mmlocal',
    version=VERSION,
    description='Supervised local learning for OpenMMLab: train block by block, in a fraction of the memory',
    long_description=(ROOT / 'README.md').read_text() if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmlocal', 'mmlocal.*']),
    package_data={'mmlocal': ['py.typed']},
    python_requires='>=3.10,<3.13',
    install_requires=REQUIREMENTS,
)
