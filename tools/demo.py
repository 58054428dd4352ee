"""Train a detector block by block and end to end on the same images, and show both side by side.

`make demo` runs this. It makes the small dataset if it is missing, trains Faster R-CNN both ways,
draws its detections, and ends with a table. A run that was stopped goes on where it was; what is
finished is not trained again unless `--fresh` is given.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
WORK = Path('work_dirs/demo')
RUNS = {
    'local (MAN)': ('local', 'configs/man/faster_rcnn_r18_man_mini-coco.py'),
    'end-to-end': ('e2e', 'configs/e2e/faster_rcnn_r18_mini-coco.py'),
}
# What a person wants to follow of a run's log; all of it is in the work directory.
SHOWN = re.compile(r'.* - INFO - (Epoch\(|Local learning|Peak of live|Resumed)|  (block\d|detached:|frozen:)|error:')
console = Console(highlight=False, soft_wrap=True)


def run(title, *command):
    """Run a tool and show the lines to follow; its last lines when it fails."""
    console.rule(title)
    started = time.monotonic()
    last = deque(maxlen=30)
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    for line in process.stdout:
        last.append(line)
        if SHOWN.match(line):
            print(line.split('INFO - ')[-1].rstrip()[:200], flush=True)
    if process.wait():
        sys.exit(f'{"".join(last)}\ndemo: "{" ".join(command)}" failed (its last lines are above)')
    return time.monotonic() - started


def scalars(folder):
    """All logged scalars of a work directory, in the order they were written."""
    files = sorted((ROOT / WORK / folder).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def results(folder):
    """mAP of the last validation, measured peak, and the median time of an iteration."""
    logged = scalars(folder)
    scores = [entry['coco/bbox_mAP'] for entry in logged if 'coco/bbox_mAP' in entry]
    peaks = [entry['peak_mib'] for entry in logged if 'peak_mib' in entry]
    times = [entry['time'] for entry in logged if 'time' in entry and 'loss' in entry]
    return scores[-1], peaks[-1], statistics.median(times)


def train(name, folder, config):
    done = ROOT / WORK / folder / 'done'
    if done.exists():
        console.print(f'{name}: trained before, in {WORK / folder} (make demo ARGS=--fresh trains again)')
        return
    seconds = run(f'training {name}', 'tools/train.py', config, '--work-dir', str(WORK / folder), '--resume')
    done.write_text(f'{seconds:.0f}')


def draw(name, folder, config):
    """Pictures of all validation images: annotations left, detections right. Returns their folder."""
    checkpoint = (ROOT / WORK / folder / 'last_checkpoint').read_text().strip()
    work_dir = str(WORK / folder / 'test')
    run(
        f'detections of {name}',
        'tools/test.py',
        config,
        checkpoint,
        '--work-dir',
        work_dir,
        '--show-dir',
        'pictures',
    )
    return sorted((ROOT / work_dir).glob('*/pictures'))[-1]


def contact_sheet(folders, path, rows=6):
    """Some validation images below one another: annotations and detections of each model."""
    names = [picture.name for picture in sorted(folders[0].iterdir())][:: max(1, 100 // rows)][:rows]
    pictures = [[Image.open(folder / name).resize((512, 256)) for folder in folders] for name in names]
    sheet = Image.new('RGB', (512 * len(folders), 256 * len(names)))
    for row, line in enumerate(pictures):
        for column, picture in enumerate(line):
            sheet.paste(picture, (512 * column, 256 * row))
    sheet.save(path)


def table():
    rows = {name: results(folder) for name, (folder, _) in RUNS.items()}
    local, e2e = rows.values()
    shown = Table(title='Faster R-CNN R18, mini COCO, validation; peak of live memory above the weights')
    for column in (
        '',
        'bbox mAP',
        'peak MiB above the weights',
        'seconds per iteration',
        'minutes of training',
    ):
        shown.add_column(column, justify='right' if column else 'left')
    for name, (score, peak, seconds) in rows.items():
        minutes = float((ROOT / WORK / RUNS[name][0] / 'done').read_text()) / 60
        shown.add_row(name, f'{score:.3f}', f'{peak:.0f}', f'{seconds:.2f}', f'{minutes:.1f}')
    shown.add_row('local / end-to-end', *(f'{a / b:.2f}' for a, b in zip(local, e2e, strict=True)), '')
    console.print(shown)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--fresh', action='store_true', help='forget what was trained before')
    if parser.parse_args().fresh:
        shutil.rmtree(ROOT / WORK, ignore_errors=True)
    run('data', 'tools/dataset_converters/make_mini_coco.py')
    for name, (folder, config) in RUNS.items():
        train(name, folder, config)
    folders = [draw(name, folder, config) for name, (folder, config) in RUNS.items()]
    sheet = ROOT / WORK / 'detections.jpg'
    contact_sheet(folders, sheet)
    table()
    console.print('Pictures: ' + ', '.join(str(path.relative_to(ROOT)) for path in [sheet, *folders]))
    console.print('(in each, annotations on the left and detections on the right; first local, then end-to-end)')


if __name__ == '__main__':
    main()
