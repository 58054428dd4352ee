"""Train a detector block by block and end to end on the same images, and show both side by side.

`make demo` runs this. It makes the small dataset if it is missing, trains Faster R-CNN both ways,
draws its detections, and ends with a table. A run that was stopped goes on where it was; what is
finished is not trained again unless `--fresh` is given.
"""

import argparse
import shutil
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table
from runs import ROOT, minutes, results, run, train_once

WORK = Path('work_dirs/demo')
RUNS = {
    'local (MAN)': ('local', 'configs/man/faster_rcnn_r18_man_mini-coco.py'),
    'end-to-end': ('e2e', 'configs/e2e/faster_rcnn_r18_mini-coco.py'),
}
console = Console(highlight=False, soft_wrap=True)


def train(name, folder, config):
    console.rule(f'training {name}')
    if not train_once(config, WORK / folder):
        console.print(f'{name}: trained before, in {WORK / folder} (make demo ARGS=--fresh trains again)')


def draw(name, folder, config):
    """Pictures of all validation images: annotations left, detections right. Returns their folder."""
    console.rule(f'detections of {name}')
    checkpoint = (ROOT / WORK / folder / 'last_checkpoint').read_text().strip()
    work_dir = str(WORK / folder / 'test')
    run('tools/test.py', config, checkpoint, '--work-dir', work_dir, '--show-dir', 'pictures')
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
    rows = {name: results(WORK / folder, 'coco/bbox_mAP') for name, (folder, _) in RUNS.items()}
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
        took = f'{minutes(WORK / RUNS[name][0]):.1f}'
        shown.add_row(name, f'{score:.3f}', f'{peak:.0f}', f'{seconds:.2f}', took)
    shown.add_row('local / end-to-end', *(f'{a / b:.2f}' for a, b in zip(local, e2e, strict=True)), '')
    console.print(shown)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--fresh', action='store_true', help='forget what was trained before')
    if parser.parse_args().fresh:
        shutil.rmtree(ROOT / WORK, ignore_errors=True)
    console.rule('data')
    run('tools/dataset_converters/make_mini_dataset.py', 'coco')
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
