"""Make small datasets in the layouts of COCO, VOC, Cityscapes, DIV2K and ImageNet, in seconds and without a download.

Handwritten digits on photographs, both from installed packages; see the package `mini` next to this file.

    python tools/dataset_converters/make_mini_dataset.py coco voc
    python tools/dataset_converters/make_mini_dataset.py all

A folder appears whole or not at all. Its `mini.json` holds what it was made from: a second run
with the same arguments and package versions does nothing.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import PIL

from mini import (
    ONE_DIGIT,
    SPLITS,
    Scene,
    SceneSpec,
    Split,
    export_cityscapes,
    export_coco,
    export_div2k,
    export_folders,
    export_voc,
    make_scenes,
)
from mini.coco import VERSION

STAMP = 'mini.json'


@dataclass(frozen=True)
class Layout:
    """How a dataset is written: `export(root, split, scenes)` gives the number of what it wrote.

    Args:
        export: one of `mini`; without scenes for photographs as they are.
        what: what is counted.
        spec: the scenes, whose size `--size` sets; none for photographs as they are.
        train, val: images, if not asked for.
    """

    export: Callable[..., int]
    what: str
    spec: SceneSpec | None
    train: int = 400
    val: int = 100


def write_coco(root: Path, split: Split, scenes: Iterator[Scene]) -> int:
    return len(export_coco(root, split, scenes)['annotations'])


LAYOUTS = {
    'coco': Layout(write_coco, 'digits', SceneSpec()),
    'voc': Layout(export_voc, 'digits', SceneSpec()),
    'cityscapes': Layout(export_cityscapes, 'digits', SceneSpec()),
    'digits': Layout(export_folders, 'images', ONE_DIGIT, train=4000, val=1000),
    'div2k': Layout(export_div2k, 'photographs', spec=None),
}


def parse_args(argv: Sequence[str] | None = None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        usage='%(prog)s LAYOUT [LAYOUT ...] [options]',  # an error then takes two lines and not four
        description=__doc__.splitlines()[0],
    )
    parser.add_argument(
        'layouts', nargs='+', metavar='LAYOUT', choices=[*LAYOUTS, 'all'], help=', '.join([*LAYOUTS, 'all'])
    )
    parser.add_argument('--out', type=Path, help='folder to make, of one layout (default: data/mini-LAYOUT)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='source of all chance (default: 0)')
    parser.add_argument('--train', type=at_least(1), help='number of training images (default: 400; digits: 4000)')
    parser.add_argument('--val', type=at_least(1), help='number of validation images (default: 100; digits: 1000)')
    parser.add_argument('--size', type=at_least(64), help='side of the scenes in pixels (default: 128; digits: 64)')
    parser.add_argument('--force', action='store_true', help='make it again where it exists')
    args = parser.parse_args(argv)
    if 'all' in args.layouts:
        args.layouts = list(LAYOUTS)
    if args.out and len(args.layouts) > 1:
        parser.error('--out is for one layout')
    return parser, args


def at_least(least: int) -> Callable[[str], int]:
    """An argparse type: an integer that is not below `least`."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f'must be an integer of at least {least}, got {text}')
        return number

    return parse


def stamp_of(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Everything the bytes of a dataset follow from."""
    layout = LAYOUTS[name]
    spec = layout.spec
    arguments = {} if name == 'coco' else {'layout': name}
    if spec is not None:
        arguments |= {'seed': args.seed, 'train': args.train or layout.train, 'val': args.val or layout.val}
        arguments['size'] = args.size or spec.size
    packages = {name: version(name) for name in ('numpy', 'scikit-image', 'scikit-learn')}
    # OpenCV is distributed under several names.
    return {'dataset': VERSION, **arguments, **packages, 'opencv': cv2.__version__, 'pillow': PIL.__version__}


def difference(out: Path, stamp: dict[str, Any]) -> str | None:
    """How an existing dataset differs from the wanted one, '' where it does not; None if it is not ours."""
    try:
        found = json.loads((out / STAMP).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or 'dataset' not in found:
        return None
    keys = [key for key in stamp if found.get(key) != stamp[key]]
    return ', '.join(f'{key} {found.get(key)} -> {stamp[key]}' for key in keys)


def refuse_or_skip(parser: argparse.ArgumentParser, out: Path, stamp: dict[str, Any], force: bool) -> bool:
    """Whether the dataset is there already; ends the program where something else is."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    differs = difference(out, stamp)
    if differs is None:
        # Not even --force deletes a folder that this tool did not make.
        parser.error(f'{out} holds something else (no readable {STAMP}): choose another --out')
    if differs and not force:
        parser.error(f'{out} was made differently ({differs}): add --force, or choose another --out')
    return not force


def with_progress(scenes: Iterator[Scene], title: str, count: int) -> Iterator[Scene]:
    """Pass scenes on and, on a terminal, count them on one line."""
    for number, scene in enumerate(scenes, start=1):
        if sys.stdout.isatty():
            print(f'\r\033[K{title}: {number}/{count}', end='', flush=True)
        yield scene


def make(layout: Layout, out: Path, stamp: dict[str, Any]) -> dict[str, int]:
    """Write a dataset beside its place, then move it there.

    Returns:
        What each split counts.
    """
    out = out.resolve()
    beside = out.with_name(f'.{out.name}.{os.getpid()}')
    written = {}
    try:
        for split in SPLITS:
            scenes = [] if layout.spec is None else [scenes_of(layout.spec, split, stamp)]
            written[split] = layout.export(beside, split, *scenes)
        (beside / STAMP).write_text(json.dumps(stamp, indent=2) + '\n')
        put_in_place(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return written


def scenes_of(spec: SceneSpec, split: Split, stamp: dict[str, Any]) -> Iterator[Scene]:
    scenes = make_scenes(split, stamp[split], stamp['seed'], replace(spec, size=stamp['size']))
    return with_progress(scenes, split, stamp[split])


def put_in_place(new: Path, out: Path) -> None:
    """Move a folder to a place that may be taken; what was there is deleted last."""
    old = out.with_name(f'{new.name}.old')
    if out.exists():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser, args = parse_args(argv)
    for name in args.layouts:
        layout, stamp = LAYOUTS[name], stamp_of(name, args)
        out = args.out or Path('data') / f'mini-{name}'
        if refuse_or_skip(parser, out, stamp, args.force):
            print(f'{out}: already made with the same arguments and versions (--force makes it again)')
            continue
        started = time.monotonic()
        try:
            written = make(layout, out, stamp)
        except OSError as error:
            parser.exit(1, f'{parser.prog}: error: cannot write {out}: {error}\n')
        parts = ', '.join(told(layout, split, stamp, written[split]) for split in SPLITS)
        start_of_line = '\r\033[K' if sys.stdout.isatty() else ''
        print(f'{start_of_line}{out}: {parts} ({time.monotonic() - started:.0f} s)')


def told(layout: Layout, split: Split, stamp: dict[str, Any], count: int) -> str:
    images = f'{stamp[split]} {split} images, ' if layout.what == 'digits' else ''
    return f'{images}{count} {layout.what}' if images else f'{count} {split} {layout.what}'


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that what is half made is removed
    main()
