"""Make a small detection dataset in the layout of COCO 2017, in seconds and without a download.

Handwritten digits on photographs, both from installed packages; see `mmlocal.datasets`.

    python tools/dataset_converters/make_mini_coco.py --out data/mini-coco

The folder appears whole or not at all. Its `mini.json` holds what it was made from: a second run
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
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import PIL

from mmlocal.datasets import SPLITS, Scene, SceneSpec, export_coco, make_scenes
from mmlocal.datasets.coco import VERSION

STAMP = 'mini.json'


def parse_args(argv: Sequence[str] | None = None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        usage='%(prog)s [options]',  # an error then takes two lines and not four
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--out', type=Path, default=Path('data/mini-coco'), help='folder to make')
    parser.add_argument('--seed', type=at_least(0), default=0, help='source of all chance')
    parser.add_argument('--train', type=at_least(1), default=400, help='number of training images')
    parser.add_argument('--val', type=at_least(1), default=100, help='number of validation images')
    parser.add_argument('--size', type=at_least(64), default=128, help='height and width in pixels')
    parser.add_argument('--force', action='store_true', help='make it again where it exists')
    return parser, parser.parse_args(argv)


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


def stamp_of(args: argparse.Namespace) -> dict[str, Any]:
    """Everything the bytes of the dataset follow from."""
    arguments = {name: getattr(args, name) for name in ('seed', 'train', 'val', 'size')}
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


def refuse_or_skip(parser: argparse.ArgumentParser, args: argparse.Namespace, stamp: dict[str, Any]) -> bool:
    """Whether the dataset is there already; ends the program where something else is."""
    if not args.out.exists() or (args.out.is_dir() and not any(args.out.iterdir())):
        return False
    differs = difference(args.out, stamp)
    if differs is None:
        # Not even --force deletes a folder that this tool did not make.
        parser.error(f'{args.out} holds something else (no readable {STAMP}): choose another --out')
    if differs and not args.force:
        parser.error(f'{args.out} was made differently ({differs}): add --force, or choose another --out')
    return not args.force


def with_progress(scenes: Iterator[Scene], title: str, count: int) -> Iterator[Scene]:
    """Pass scenes on and, on a terminal, count them on one line."""
    for number, scene in enumerate(scenes, start=1):
        if sys.stdout.isatty():
            print(f'\r\033[K{title}: {number}/{count}', end='', flush=True)
        yield scene


def make(args: argparse.Namespace, stamp: dict[str, Any]) -> dict[str, int]:
    """Write the dataset beside its place, then move it there.

    Returns:
        Number of annotations of each split.
    """
    out = args.out.resolve()
    beside = out.with_name(f'.{out.name}.{os.getpid()}')
    written = {}
    try:
        for split in SPLITS:
            count = getattr(args, split)
            scenes = make_scenes(split, count, args.seed, SceneSpec(size=args.size))
            content = export_coco(beside, split, with_progress(scenes, split, count))
            written[split] = len(content['annotations'])
        (beside / STAMP).write_text(json.dumps(stamp, indent=2) + '\n')
        replace(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return written


def replace(new: Path, out: Path) -> None:
    """Move a folder to a place that may be taken; what was there is deleted last."""
    old = out.with_name(f'{new.name}.old')
    if out.exists():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser, args = parse_args(argv)
    stamp = stamp_of(args)
    if refuse_or_skip(parser, args, stamp):
        print(f'{args.out}: already made with the same arguments and versions (--force makes it again)')
        return
    started = time.monotonic()
    try:
        written = make(args, stamp)
    except OSError as error:
        parser.exit(1, f'{parser.prog}: error: cannot write {args.out}: {error}\n')
    parts = ', '.join(f'{getattr(args, split)} {split} images, {written[split]} digits' for split in SPLITS)
    start_of_line = '\r\033[K' if sys.stdout.isatty() else ''
    print(f'{start_of_line}{args.out}: {parts} ({time.monotonic() - started:.0f} s)')


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that what is half made is removed
    main()
