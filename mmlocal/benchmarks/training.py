"""One training of the accuracy benchmark: trained, its best epoch on the validation split tested once, kept."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmlocal.benchmarks.cases import Case
from mmlocal.benchmarks.records import Records, key_of
from mmlocal.errors import ConfigError

__all__ = ['Training']

_METRIC = 'accuracy/top1'
_BEST = re.compile(r'best_accuracy_top1_epoch_(\d+)\.pth')


class Training:
    """A case with a seed, as a `Job`.

    Args:
        case: what is trained.
        seed: of its config.
        cfg: completed.
        work_dir: folder of the benchmark; the training has one below, named by its key.
        records: where it is kept, in the table `runs`.
        about: what to keep beside the numbers: device, hardware, versions.
    """

    def __init__(
        self, case: Case, seed: int, cfg: Config, work_dir: Path, records: Records, about: dict[str, str]
    ) -> None:
        self.case, self.seed, self.cfg, self.records, self.about = case, seed, cfg, records, about
        self._again = False
        self.key = key_of(cfg, device=about['device'])
        self.folder = work_dir / f'{case}-seed{seed}-{self.key}'

    def __str__(self) -> str:
        """For messages."""
        return f'{self.case} seed {self.seed}'

    @property
    def epochs(self) -> int:
        """Of the whole training."""
        return int(self.cfg.train_cfg.max_epochs)

    def next_command(self) -> Sequence[str] | None:
        """Train or go on; test the best epoch, once; or nothing."""
        if self._is_kept():
            return None
        # Beside the folder: into it the runner writes a copy of the same name.
        config = self.folder.with_name(f'{self.folder.name}.py')
        if not (self.folder / f'epoch_{self.epochs}.pth').exists():
            # Written anew for every start, so that a run that goes on has the settings of its key.
            config.parent.mkdir(parents=True, exist_ok=True)
            self.cfg.dump(config)
            return ['tools/train.py', str(config), '--work-dir', str(self.folder), '--resume', '--no-progress']
        if self._tested() is None:
            return ['tools/test.py', str(config), str(self._best()[1]), '--work-dir', str(self.folder / 'test')]
        return None

    def forget(self) -> None:
        """Begin anew when it is run next: its folder goes, its record stays until there is another."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._again = True

    def finish(self, seconds: float) -> None:
        """Read the logs, and keep what they say."""
        if self._is_kept():
            return
        logged = self._logged()
        validated = [entry[_METRIC] for entry in logged if _METRIC in entry]
        entry = dict(
            self.about,
            method=self.case.method,
            blocks=self.case.blocks,
            recipe=self.case.recipe,
            seed=self.seed,
            epochs=self.epochs,
            test_accuracy=_rounded(self._tested()),
            val_accuracy=[_rounded(value) for value in validated[-self.epochs :]],
            best_epoch=self._best()[0],
            peak_mib=_rounded(_last(logged, 'peak_mib')),
            static_mib=_rounded(_static_mib(self.cfg)),
            step_seconds=_rounded(statistics.median(e['time'] for e in logged if 'time' in e and 'loss' in e)),
            finished=datetime.date.today().isoformat(),
        )
        self.records.add('runs', self.key, entry)

    def _is_kept(self) -> bool:
        """Whether there is nothing to be done, as another process may have done it meanwhile."""
        return not self._again and self.key in self.records.table('runs')

    def _best(self) -> tuple[int, Path]:
        found = [(int(match[1]), path) for path in self.folder.iterdir() if (match := _BEST.fullmatch(path.name))]
        if not found:
            raise ConfigError(f'{str(self.folder)!r} has no checkpoint of the best epoch. Delete it, and run again')
        return max(found)

    def _tested(self) -> float | None:
        """The accuracy that the one test gave, in percent."""
        files = sorted((self.folder / 'test').glob('*/*.json'))
        found = [json.loads(path.read_text()) for path in files]
        return next((float(one[_METRIC]) for one in found if _METRIC in one), None)

    def _logged(self) -> list[dict[str, Any]]:
        files = sorted(self.folder.glob('*/vis_data/scalars.json'))
        lines = [line for file in files if 'test' not in file.parts for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines if line.strip()]


def _rounded(value: float | None) -> float | None:
    """Beyond four places is float32's own rounding."""
    return None if value is None else round(value, 4)


def _last(logged: Sequence[dict[str, Any]], name: str) -> float | None:
    """What was logged last: a run that was stopped early begins anew, and measures again."""
    return next((float(entry[name]) for entry in reversed(logged) if name in entry), None)


def _static_mib(cfg: Config) -> float:
    """MiB of weights, buffers and the optimizer's state, auxiliaries included; no kernel runs."""
    from mmlocal.planning import estimate, image_batch

    step, _ = estimate(cfg, *image_batch(cfg, {}))
    return step.static_bytes() / 2**20
