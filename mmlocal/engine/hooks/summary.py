"""Showing the plan, and keeping checkpoints of another plan out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

from mmlocal.blocks import AUXILIARIES, Division
from mmlocal.blocks.compiled import compile_report
from mmlocal.engine.distributed import LocalDataParallel
from mmlocal.engine.distributed.differences import check_same
from mmlocal.engine.optimizers.optim_wrapper import BlockwiseOptimWrapper
from mmlocal.engine.resume.kept import inexact
from mmlocal.engine.summary import find_division, fingerprint, plan_text
from mmlocal.errors import ConfigError
from mmlocal.models.replacement import replaced_units
from mmlocal.registry import HOOKS

__all__ = ['PlanHook']

PLAN_KEY = 'local_plan'
_RULED = ('lr', 'weight_decay')


@HOOKS.register_module()
class PlanHook(Hook):
    """Logs the plan and what a resumed run will not have; writes it into checkpoints, and compares it on resume.

    Raises:
        ConfigError: before training, if the optimizer wrapper would leave the blocks untrained, the model's
            wrapper would not average their gradients, or processes have different plans; on resume, if the
            checkpoint was trained by another plan, as optimizer state is restored by position and would go to the
            wrong parameters, or lacks weights of the auxiliaries.
    """

    priority = 'VERY_HIGH'
    # Nothing of it is for a checkpoint.
    is_kept = False

    def before_train(self, runner: Runner) -> None:
        """Log the plan."""
        self._is_reported = False
        division = find_division(_inner(runner))
        lines = [] if division is None else [self._plan(runner, division)]
        lines += inexact(runner)
        if lines:
            runner.logger.info('\n'.join(lines))

    def _plan(self, runner: Runner, division: Division) -> str:
        if not isinstance(runner.optim_wrapper, BlockwiseOptimWrapper):
            raise ConfigError(
                f'optim_wrapper.type = {type(runner.optim_wrapper).__name__!r} would train a LocalBackbone end to '
                "end: use 'mmlocal.BlockwiseOptimWrapper'"
            )
        _refuse_rules(runner.optim_wrapper, division)
        policy = runner.optim_wrapper.step_policy(division.isolated)
        check_same({'plan': '; '.join([f'{policy} steps', *fingerprint(division)])})
        if isinstance(runner.model, FSDPModule):
            # Nothing is measured in a model that no process has the whole of.
            return '\n'.join([f'{policy} steps, divided among processes', *fingerprint(division)])
        if get_world_size() > 1:
            place = 'strategy.model_wrapper' if hasattr(runner, 'strategy') else 'model_wrapper_cfg'
            _refuse_wrapper(runner.model, place, averaged_here=policy == 'per_block' or not division.isolated)
        return plan_text(division, policy, _inner(runner))

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Log what was compiled, once it was."""
        division = None if self._is_reported else find_division(_inner(runner))
        self._is_reported = True
        if division is not None and division.compiled:
            runner.logger.info(compile_report(division.compiled))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the plan with the weights."""
        plan = plan_of(runner)
        if plan:
            checkpoint[PLAN_KEY] = plan

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Refuse to resume another plan; of weights alone, take what the stock network has."""
        mine, other = plan_of(runner), checkpoint.get(PLAN_KEY)
        if not mine:
            return
        if other == mine:
            if runner._resume:
                _refuse_without_auxiliaries(_inner(runner), checkpoint.get('state_dict', {}))
            return
        if runner._resume:
            raise ConfigError(_difference(mine, other))
        for states in (checkpoint.get('state_dict', {}), checkpoint.get('ema_state_dict', {})):
            for key in [key for key in states if f'.{AUXILIARIES}.' in key or '.replacement.' in key]:
                del states[key]


def plan_of(runner: Runner) -> list[str]:
    """What must be the same for a checkpoint to be resumed: a line a block, and one a replaced unit."""
    division = find_division(_inner(runner))
    lines = fingerprint(division) if division is not None else []
    return lines + [unit.description for unit in replaced_units(_inner(runner))]


def _refuse_without_auxiliaries(model: nn.Module, state: Mapping[str, Any]) -> None:
    """Loading is not strict: what a checkpoint does not have would go on from random weights."""
    lost = [key for key in model.state_dict() if f'.{AUXILIARIES}.' in key and key not in state]
    if lost:
        raise ConfigError(
            f'resume: the checkpoint lacks {len(lost)} weights of the auxiliaries, {lost[0]} among them: it was '
            'published, or saved by another version. To start from its weights alone, use load_from'
        )


def _refuse_rules(wrapper: BlockwiseOptimWrapper, division: Division) -> None:
    """Rules for learning rates and decays that go by name, and do not know what an auxiliary stands for."""
    told = {tuple(group.get(key) for key in _RULED) for group in wrapper.optimizer.param_groups}
    if len(told) > 1 and len(division.auxiliaries) and not getattr(wrapper, 'knows_auxiliaries', False):
        raise ConfigError(
            f'optim_wrapper gives parameters {len(told)} different learning rates or decays, by rules that do not know '
            "the auxiliaries: add constructor='mmlocal.LocalOptimWrapperConstructor', and base_constructor=... for "
            'the one of now'
        )


def _inner(runner: Runner) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _refuse_wrapper(model: Any, place: str, averaged_here: bool) -> None:
    """Wrappers that would leave gradients unaveraged, or average them wrong, without a word."""
    name = type(model).__name__
    if isinstance(model, LocalDataParallel):
        return
    if not isinstance(model, DistributedDataParallel):
        raise ConfigError(
            f'{place}.type = {name!r} does not average the gradients of blocks: use '
            "'mmlocal.LocalDataParallel' or 'MMDistributedDataParallel'"
        )
    if model.static_graph:
        raise ConfigError(
            f'{place}.static_graph = True: from the second iteration on the gradients of blocks are not '
            'averaged; leave it out'
        )
    if not model.find_unused_parameters and not averaged_here:
        raise ConfigError(
            f'{place}: {name} with find_unused_parameters = False does not average the gradients of blocks '
            "in the first iteration: set it to True, or use 'mmlocal.LocalDataParallel'"
        )


def _difference(mine: list[str], other: list[str] | None) -> str:
    if other is None:
        return 'resume: the checkpoint was not trained by local learning; to start from its weights use load_from'
    listed = ['\n    '.join(plan) for plan in (other, mine)]
    return (
        'resume: the checkpoint was trained by another plan, so its optimizer state does not fit.\n'
        f'  checkpoint:\n    {listed[0]}\n  config:\n    {listed[1]}\n'
        '  To start from its weights alone, use load_from'
    )
