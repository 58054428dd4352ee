"""Benchmarks that go on over several sittings: what is run, as which processes, what is kept, and how it is told.

`cases` says which trainings there are and makes their configs; `records` keeps what they gave, under a key that
changes with every setting; `jobs` runs them as processes that may be stopped at any time; `numbers`, `page` and
`picture` make of the records what is read.
"""

from mmlocal.benchmarks.cases import CUTS, E2E, MAIN, RECIPES, Case, all_cases, config_of
from mmlocal.benchmarks.jobs import Job, run_all, stop_on_signals
from mmlocal.benchmarks.numbers import Against, against, mean_and_spread
from mmlocal.benchmarks.records import Records, key_of
from mmlocal.benchmarks.training import Training

__all__ = [
    'CUTS',
    'E2E',
    'MAIN',
    'RECIPES',
    'Against',
    'Case',
    'Job',
    'Records',
    'Training',
    'against',
    'all_cases',
    'config_of',
    'key_of',
    'mean_and_spread',
    'run_all',
    'stop_on_signals',
]
