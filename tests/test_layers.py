"""The packages are layers: imports point downwards, and `hosts` alone names other people's packages."""

import ast
from pathlib import Path

import networkx
import pytest

from mmlocal.hosts import HOSTS

ROOT = Path(__file__).parent.parent
# From the top down, as in docs/design.md. What stands in one row does not import its neighbours.
LAYERS = [
    {'commands', 'benchmarks'},
    {'running'},
    {'cli'},
    {'validation'},
    {'planning'},
    {'engine'},
    {'models', 'memory'},
    {'auxiliaries'},
    {'blocks'},
    {'config', 'datasets'},
    {'hosts'},
    {'registry', 'randomness', 'losses', 'quiet', 'signatures', 'errors', 'version', 'presets'},
]
FLOOR = {name: len(LAYERS) - i for i, names in enumerate(LAYERS) for name in names}
SOURCES = sorted((ROOT / 'mmlocal').rglob('*.py'))
# Networks and parts of them that derive from a host's.
DERIVED = ROOT / 'mmlocal' / 'models'


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports_of(path):
    """The modules of this library that a file imports, but those for types alone."""
    tree = ast.parse(path.read_text())
    for_types = {id(n) for one in ast.walk(tree) if isinstance(one, ast.If) for n in ast.walk(one) if _typing(one)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types and str(node.module).startswith('mmlocal'):
            submodules = [f'{node.module}.{alias.name}' for alias in node.names]
            yield from (name if name in MODULES else node.module for name in submodules)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith('mmlocal'))


def _typing(node):
    return isinstance(node.test, ast.Name) and node.test.id == 'TYPE_CHECKING'


MODULES = {module_of(path) for path in SOURCES}
GRAPH = networkx.DiGraph((module_of(path), name) for path in SOURCES for name in imports_of(path))


def layer_of(module):
    return [*module.split('.'), ''][1]


def test_every_package_has_a_floor():
    assert {layer_of(name) for name in MODULES} - {''} == set(FLOOR)


def test_no_import_points_upwards():
    crossing = [(a, b) for a, b in GRAPH.edges if layer_of(a) and layer_of(b) and layer_of(a) != layer_of(b)]
    assert len(crossing) > 100
    assert [edge for edge in crossing if FLOOR[layer_of(edge[0])] <= FLOOR[layer_of(edge[1])]] == []


def test_modules_do_not_import_each_other_in_a_circle():
    # A package's `__init__` gathers what is in it; a module that imports its own package's is a circle only with it.
    packages = {module_of(path) for path in SOURCES if path.name == '__init__.py'}
    inside = GRAPH.subgraph(name for name in GRAPH if name not in packages)
    assert [one for one in networkx.strongly_connected_components(inside) if len(one) > 1] == []


def _texts(path):
    """Texts of a file that are no docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docstrings)
    return [node.value for node in nodes if isinstance(node.value, str)]


@pytest.mark.parametrize(
    'path', [p for p in SOURCES if 'hosts' not in p.parts and DERIVED not in p.parents], ids=module_of
)
def test_nobody_else_names_a_host(path):
    imported = [alias for node in ast.walk(ast.parse(path.read_text())) for alias in _imported(node)]
    named = [text for text in _texts(path) if text.partition('.')[0] in HOSTS and ' ' not in text]
    assert [name for name in imported if name.partition('.')[0] in HOSTS] + named == []


def _imported(node):
    if isinstance(node, ast.ImportFrom):
        return [str(node.module)]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
