"""Types and arguments of a config's components, held against their signatures before any is built."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from mmengine.registry import TASK_UTILS, WEIGHT_INITIALIZERS, Registry

from mmlocal.errors import ConfigError, Faults, nearest
from mmlocal.registry import CHOICES, PARTITIONS
from mmlocal.signatures import signature_of
from mmlocal.validation.value_types import kind_fault

__all__ = ['check_arguments', 'check_component', 'check_partition', 'find_type', 'look_up', 'shown']

# Where a component of mmlocal holds another one, whatever else its arguments may be.
_SLOTS = ('auxiliary', 'bridge', 'merge', 'head', 'dense_head', 'independent', 'cascade')
# What a parent gives its parts when it builds them, and what a loop and a wrapper get from the runner.
_FILLED_IN = {'self', 'units', 'place', 'shapes', 'in_channels', 'stride', 'runner', 'dataloader'}
_NO_ARGUMENTS = {'type', '_scope_'}
_FEW_NAMES = 12
# What the parts of a host's component are built from.
_OF_PARTS = (TASK_UTILS, WEIGHT_INITIALIZERS)


def check_component(config: Any, registry: Registry, thorough: bool = False) -> None:
    """Look at type and arguments of a component and, inside components of mmlocal, of its parts.

    Args:
        config: a copy of the component, with its `type`; unknown and unsuitable arguments are taken out
            of it, so that what is left can be built for further faults.
        registry: where the type is looked up.
        thorough: look for missing arguments and through `**kwargs` too. Not every class passes them on
            to its base as they are, so this is for explaining why something could not be built.

    Raises:
        ConfigError: with every unknown type, and every unknown or unsuitable argument.
    """
    if not isinstance(config, MutableMapping):
        raise ConfigError(f' = {config!r} is not a component: dict(type=...)')
    with registry.switch_scope_and_registry(config.get('_scope_')) as scoped:
        function = find_type(config, scoped)
        faults = Faults()
        with faults.under():
            # LocalBackbone and ReplacementBackbone hand what they do not know to the network of type `arch`.
            if 'arch' in signature_of(function).parameters and signature_of(function).is_open:
                _check_with_network(config, function, scoped, thorough)
            else:
                check_arguments(config, [function], _name(function), thorough)
        if function.__module__.startswith('mmlocal.'):
            for name, part in _parts(config):
                with faults.under(name):
                    check_component(part, scoped, thorough)
            with faults.under('units'):
                _check_choice(config.get('units'))
        elif thorough:
            with faults.under():
                _check_types_inside(config, scoped)
        faults.report()


def _parts(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The components inside one of mmlocal: those in known slots, and whatever else has a type."""
    for name, value in config.items():
        if name in ('partition', 'units') or name.endswith('_cfg') or value is None:
            continue
        if name == 'terms' and isinstance(value, Mapping):
            yield from ((f'terms.{key}', one) for key, one in value.items())
            continue
        several = isinstance(value, (list, tuple))
        for place, one in [(f'{name}[{i}]', v) for i, v in enumerate(value)] if several else [(name, value)]:
            if name in _SLOTS or (isinstance(one, Mapping) and 'type' in one):
                yield place, one


def _check_types_inside(config: Any, registry: Registry) -> None:
    """Look for types that nobody knows in a component of other people, whatever its parts are built from."""
    faults = Faults()
    several = isinstance(config, (list, tuple))
    inside = [(f'[{i}]', one) for i, one in enumerate(config)] if several else list(dict(config).items())
    for name, value in inside:
        if not isinstance(value, (Mapping, list, tuple)):
            continue
        with faults.under(name):
            _check_types_inside(value, registry)
        if isinstance(value, Mapping) and 'type' in value and not any(_has(value, r) for r in _OF_PARTS):
            with faults.under(name):
                find_type(value, registry)
    faults.report()


def _has(config: Mapping[str, Any], registry: Registry) -> bool:
    with registry.switch_scope_and_registry(None) as scoped:
        try:
            find_type(config, scoped)
        except ConfigError:
            return False
    return True


def find_type(config: Mapping[str, Any], registry: Registry, key: str = 'type') -> Callable[..., Any]:
    """The class or function that a config names under `key`.

    Raises:
        ConfigError: if there is none of that name.
    """
    if key not in config:
        raise ConfigError(f'{key} is missing: the name of a {registry.name}')
    name = config[key]
    if callable(name):
        return name
    if not isinstance(name, str):
        raise ConfigError(f'{key} = {name!r} is not the name of a {registry.name}')
    found = look_up(name, registry)
    if found is None:
        kind = registry.name.replace('_', ' ')
        raise ConfigError(f'{key} = {name!r} is no {kind}{_what_is(name, registry)}')
    return found


def look_up(name: str, registry: Registry) -> Callable[..., Any] | None:
    """The class or function of that name, or none."""
    try:
        found: Callable[..., Any] | None = registry.get(name) if _is_installed(name) else None
    except RuntimeError:  # mmengine's for some names with a dot
        return None
    return found


def _is_installed(name: str) -> bool:
    """Whether the package that a name begins with is there; mmengine warns of those that are not."""
    scope, _ = Registry.split_scope_key(name)
    return scope is None or scope in sys.modules or importlib.util.find_spec(scope) is not None


def _what_is(name: str, registry: Registry) -> str:
    """What there is that an unknown name may have meant."""
    scope, _ = Registry.split_scope_key(name)
    scopes = {registry.scope: registry, registry.root.scope: registry.root, **registry.root.children}
    if scope is not None and scope not in scopes:
        return f': no package {scope!r} is in use.{nearest(scope, list(scopes))}'
    owner = scopes[scope or registry.scope]
    if not owner.module_dict:
        owner = registry.root
    names = [f'{scope}.{other}' if scope else other for other in sorted(owner.module_dict)]
    listed = f' ({", ".join(names)})' if len(names) <= _FEW_NAMES else f', which has {len(names)}'
    if scope is None:
        names += [other for other in registry.root.module_dict if other not in names]
    return f' of {owner.scope}{listed}.{nearest(name, names)}'


def check_arguments(
    config: MutableMapping[str, Any],
    takers: Sequence[Callable[..., Any]],
    called: str,
    thorough: bool = False,
    needed: bool = False,
) -> None:
    """Hold arguments against the signatures of those who take them.

    Args:
        config: the arguments; `type` is none. Faulty ones are taken out.
        takers: a function or class; then the one that it hands its other arguments to, if it does.
        called: their name in a message.
        thorough: as for `check_component`.
        needed: look for missing arguments.

    Raises:
        ConfigError: with each argument that nobody takes, and each whose value is not of the plain
            type (a number, a text) that its annotation asks for.
    """
    signatures = [signature_of(taker) for taker in takers]
    accepted: dict[str, inspect.Parameter] = {}
    for signature in signatures:  # the first of them gets it
        accepted |= {name: p for name, p in signature.parameters.items() if name not in accepted}
    # A class hands its **kwargs to its bases, a function may hand them to anything.
    closed = (thorough and inspect.isclass(takers[-1])) or not signatures[-1].is_open
    # Annotations of this package are right.
    strict = str(takers[0].__module__).startswith('mmlocal.')
    faults = []
    for name, value in list(config.items()):
        if name in _NO_ARGUMENTS:
            continue
        if name in accepted:
            wrong = kind_fault(name, value, accepted[name], strict)
        else:
            wrong = _unknown(name, value, accepted, called) if closed else None
        if wrong is not None:
            faults.append(wrong)
            del config[name]
    if (thorough or needed) and not faults:
        without = [p.name for p in accepted.values() if p.default is p.empty and not _filled_in(p)]
        faults = [f'{name} is missing: {called} needs it' for name in without if name not in config]
    if faults:
        raise ConfigError(*faults)


def _unknown(name: str, value: Any, accepted: Mapping[str, inspect.Parameter], called: str) -> str:
    names = [other for other, parameter in accepted.items() if not _filled_in(parameter)]
    hint = nearest(name, names) or f' Arguments: {", ".join(names) or "none"}'
    return f'{name}{shown(value)} is not an argument of {called}.{hint}'


def shown(value: Any) -> str:
    """A text, a number or a short list is worth showing, a component is not."""
    return f' = {value!r}' if len(repr(value)) < 40 else ''


def _filled_in(parameter: inspect.Parameter) -> bool:
    return parameter.name in _FILLED_IN and parameter.default is parameter.empty


def _name(function: Callable[..., Any]) -> str:
    name: str = getattr(function, '__name__', str(function))
    # A function that stands for a class is known to configs by the name of one.
    return ''.join(part.title() for part in name.split('_')) if inspect.isfunction(function) else name


def _check_with_network(
    config: MutableMapping[str, Any], function: Callable[..., Any], registry: Registry, thorough: bool
) -> None:
    faults = Faults()
    with faults.under():
        takers = [function, *_find_networks(config, registry)]
        with faults.under():
            check_arguments(config, takers, ' or '.join(map(_name, takers)), thorough)
        _check_depth(config, takers[-1])
    if 'partition' in signature_of(function).parameters:
        with faults.under('partition'):
            check_partition(config.get('partition'))
    faults.report()


def _find_networks(config: Mapping[str, Any], registry: Registry) -> list[Callable[..., Any]]:
    """What `arch` names, by itself or as a type with arguments of its own; and what that names in turn."""
    arch = config.get('arch')
    if not isinstance(arch, MutableMapping):
        return [find_type(config, registry, 'arch')]
    faults = Faults()
    with faults.under('arch'):
        takers = [find_type(arch, registry)]
        if takers[0].__module__.startswith('mmlocal.') and 'arch' in signature_of(takers[0]).parameters:
            takers += _find_networks(arch, registry)
        check_arguments(arch, takers, ' or '.join(map(_name, takers)))
    faults.report()
    return takers


def _check_depth(config: Mapping[str, Any], network: Any) -> None:
    """ResNets and their like have a table of depths."""
    settings, depth = getattr(network, 'arch_settings', None), config.get('depth')
    if not isinstance(settings, Mapping) or depth is None or depth in settings:
        return
    known = list(settings)
    near = min(known, key=lambda other: abs(other - depth)) if isinstance(depth, int) else known[0]
    listed = ', '.join(map(str, known))
    raise ConfigError(f'depth = {depth!r} is not a depth of {_name(network)} ({listed}). Did you mean {near}?')


def _check_choice(units: Any) -> None:
    """Look at a choice of units; a list of names shows what it is worth when the bridge is built."""
    if isinstance(units, Mapping):
        check_arguments(dict(units), [find_type(units, CHOICES)], str(units['type']), thorough=True)


def check_partition(partition: Any) -> None:
    """Look at what a partition is; whether it suits a network shows when that is built.

    Raises:
        ConfigError: if it is neither a list of names nor a dict of a known type with suitable arguments.
    """
    if isinstance(partition, Mapping):
        # Functions, not classes with bases: everything can be known about their arguments.
        function = find_type(partition, PARTITIONS)
        check_arguments(dict(partition), [function], str(partition['type']), thorough=True)
    elif not isinstance(partition, (list, tuple)) or not all(isinstance(cut, str) for cut in partition):
        raise ConfigError(
            f" = {partition!r} is neither a list of unit names such as ['layer1.1', 'layer2.1'] "
            "nor a dict such as dict(type='Stage')"
        )
