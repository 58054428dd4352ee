"""One training step of a config on generated images, ready to be run, timed or estimated."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmlocal.engine import MomentumHook
from mmlocal.errors import ConfigError, reason
from mmlocal.hosts import host_named
from mmlocal.hosts.generated_batches import generated_batch, what_fits
from mmlocal.memory import Ledger, PeakMeter, fake_step, make_fake
from mmlocal.randomness import undisturbed

__all__ = ['TrainingStep', 'estimate']


class TrainingStep:
    """A config's model from random weights, its optimizer, and a batch of random images.

    Args:
        cfg: a whole config, localized.
        shape: channels, height and width of the images.
        batch: images.
        device: `cpu` or `cuda`.
        fake: a mode under which the weights lose their numbers; only for `Ledger` then.
        warm_up: run a first step, which also makes the optimizer's state.
        amp: run the forward under autocast: float16 on a GPU, bfloat16 on the CPU.

    Raises:
        ConfigError: if the model cannot be built, no images can be generated, or it cannot take them.
    """

    @undisturbed()
    def __init__(
        self,
        cfg: Config,
        shape: tuple[int, int, int],
        batch: int,
        device: str = 'cpu',
        fake: FakeTensorMode | None = None,
        warm_up: bool = True,
        amp: bool = False,
    ) -> None:
        self.device, self.amp = device, amp
        self.shape, self.count = shape, batch
        if shape[0] != 3:
            raise ConfigError(f'shape = {tuple(shape)} has {shape[0]} channels: the generated images have 3')
        self.scope = cfg.get('default_scope', 'mmengine')
        with self._scope():
            self.model = self._build(cfg, fake)
            # As built, but with steps so small that random images do not make the weights run away.
            self.optim_wrapper = build_optim_wrapper(self.model, copy.deepcopy(cfg.optim_wrapper))
        for group in self.optim_wrapper.optimizer.param_groups:
            group['lr'] = 1e-5
        if fake is not None:  # there are no numbers to look at
            self.optim_wrapper.on_nonfinite = 'ignore'
        with _without(fake):
            self.batch = generated_batch(self.scope, shape[1:], batch, what_fits(cfg.model), cfg.model)
        # The runner's part of local learning: copies start, and move with the optimizer.
        runner: Any = SimpleNamespace(model=self.model, optim_wrapper=self.optim_wrapper)
        MomentumHook().before_train(runner)
        # What some preprocessors and heads ask the runner's for.
        MessageHub.get_current_instance().update_info_dict(dict(iter=0, epoch=0))
        if warm_up:
            self._run()

    def _build(self, cfg: Config, fake: FakeTensorMode | None) -> Any:
        settings = copy.deepcopy(cfg.model)
        # From random weights: nothing is loaded, and nothing is looked for.
        settings.pop('pretrained', None)
        for slot in ('backbone', 'generator'):
            if settings.get(slot, {}).get('init_cfg'):
                settings[slot].init_cfg = None
        preprocessor = settings.setdefault('data_preprocessor', copy.deepcopy(cfg.get('data_preprocessor')))
        if not preprocessor:
            raise ConfigError('model.data_preprocessor is missing: how images are made ready for the model is not said')
        with _without(fake):
            torch.manual_seed(0)
            model = _built(settings).train()
            host_named(dict(default_scope=self.scope)).fit_to(model, self.shape[1:])
            if self.device == 'cpu':
                model = revert_sync_batchnorm(model)
            if fake is None:
                model.init_weights()
        if fake is not None:
            make_fake(model, fake)
        return model.to(self.device) if fake is None else model

    def _scope(self) -> Any:
        return DefaultScope.overwrite_default_scope(self.scope)

    @undisturbed()
    def run(self) -> float:
        """Train one step; return its seconds."""
        return self._run()

    def _run(self) -> float:
        # A data preprocessor may change what it is given.
        batch = copy.deepcopy(self.batch)
        started = time.perf_counter()
        autocast = torch.autocast(self.device, torch.float16 if self.device == 'cuda' else torch.bfloat16, self.amp)
        with self._scope(), autocast:
            try:
                self.model.train_step(batch, self.optim_wrapper)
            except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
                shape = 'x'.join(map(str, self.shape))
                raise ConfigError(
                    f'the model cannot take a step with {self.count} images of {shape}: {reason(error)}'
                ) from error
        if self.device == 'cuda':
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def static_bytes(self, part: nn.Module | None = None) -> int:
        """Bytes of weights, buffers and the optimizer's state: of a part of the model, or of all of it."""
        part = self.model if part is None else part
        state = self.optim_wrapper.optimizer.state
        kept = [value for p in part.parameters() if p in state for value in state[p].values()]
        tensors = [*part.parameters(), *part.buffers(), *(value for value in kept if isinstance(value, torch.Tensor))]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @undisturbed()
    def peak_bytes(self) -> int:
        """Measured peak of a step, above weights and optimizer state."""
        with PeakMeter(self.device) as meter:
            self._run()
        return meter.peak_bytes

    def reserved_bytes(self) -> int | None:
        """What the caching allocator held at most; there is none on the CPU."""
        return torch.cuda.max_memory_reserved() if self.device == 'cuda' else None

    @undisturbed()
    def ledger(self) -> Ledger:
        """A step with every tensor noted."""
        with Ledger(self.model, self.optim_wrapper.optimizer) as ledger:
            self._run()
        return ledger


@undisturbed()
def estimate(
    cfg: Config, shape: tuple[int, int, int], batch: int, warm_up: bool = True, amp: bool = False
) -> tuple[TrainingStep, Ledger]:
    """A step of which no kernel runs, and what was noted of it; arguments as for `TrainingStep`."""
    with fake_step() as fake:
        step = TrainingStep(cfg, shape, batch, fake=fake, warm_up=warm_up, amp=amp)
        return step, step.ledger()


def _built(settings: Any) -> Any:
    try:
        return MODELS.build(settings)
    except ConfigError:
        raise
    except Exception as error:  # a host may raise anything
        raise ConfigError(f'the model cannot be built: {reason(error)}') from error


@contextmanager
def _without(fake: FakeTensorMode | None) -> Iterator[None]:
    """Real tensors, inside of a fake step too."""
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes() if fake is not None else nullcontext():
        yield
