"""Where the presets are: the arguments of a `LocalBackbone` that make a method, one file a method.

The files are base configs, and `configs/_base_/local` is a link to their folder. Nothing is imported here, so that
a command line knows the methods before torch is.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ['PRESETS', 'method_names']

PRESETS = Path(__file__).parent / 'config' / 'presets'


def method_names() -> list[str]:
    """The methods that have a preset.

    Example:
        >>> 'man_plus_plus' in method_names()
        True
    """
    return sorted(path.stem for path in PRESETS.glob('*.py'))
