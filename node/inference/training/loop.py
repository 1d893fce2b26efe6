"""The loop that the training stages share: rate schedule, averaged weights, files to continue from.

Is: one optimiser, one loss function, one file. Is not: a framework; nor is the file a format for
anybody else, since only the loop that wrote it reads it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPORT_EVERY_STEPS: Final = 100
SAVE_EVERY_STEPS: Final = 500
GRADIENT_NORM_MAX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings that distinguish one stage's loop from another's.

    :ivar name: of the stage; also of its checkpoint file.
    :ivar steps: optimiser steps in all.
    :ivar peak_rate: learning rate between warm-up and decay.
    :ivar warmup_steps: steps of linear rise at the start.
    :ivar weight_decay: AdamW's.
    :ivar average_decay: share of the averaged weights that one step leaves.
    """

    name: str
    steps: int
    peak_rate: float
    warmup_steps: int
    weight_decay: float
    average_decay: float

    def learning_rate(self, step: int) -> float:
        """Return the rate of one step: linear up, flat, then linearly down over the second half.

        Flat first, so that a run may be made longer from a checkpoint without regret.
        """
        if step < self.warmup_steps:
            return self.peak_rate * (step + 1) / self.warmup_steps
        remaining = (self.steps - step) / (self.steps / 2)
        return self.peak_rate * min(1.0, max(remaining, 0.01))


class Averaged:
    """An exponential moving average of a module's weights; noise of the last steps cancels in it."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        """Start from the module's present weights; `decay` is per step, approached from below."""
        self.decay = decay
        self.updates = 0
        self.weights = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module) -> None:
        """Mix the module's present weights in."""
        self.updates += 1
        # A young average must forget its random start quickly.
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in module.state_dict().items():
            if value.dtype.is_floating_point:
                self.weights[name].lerp_(value, 1 - decay)


def train(
    module: torch.nn.Module, loss_of: Callable[[int], torch.Tensor], recipe: Recipe, cache: Path
) -> None:
    """Train the module in place, or continue from its checkpoint below `cache`; leave averaged weights.

    :param loss_of: returns the loss of a step. It must seed itself by the step's number, so that a
        continued run sees what an unbroken one would have seen.
    """
    averaged = Averaged(module, recipe.average_decay)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=recipe.peak_rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay
    )
    path = cache / f"{recipe.name}.pt"
    start, seconds = _load(path, module, averaged, optimiser)
    began = time.monotonic() - seconds
    recent: list[float] = []
    for step in range(start, recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate(step)
        loss = loss_of(step)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(module.parameters(), GRADIENT_NORM_MAX)
        optimiser.step()
        averaged.update(module)
        recent = [*recent[-199:], loss.item()]
        done, elapsed = step + 1, time.monotonic() - began
        if done % REPORT_EVERY_STEPS == 0 or done == recipe.steps:
            mean = sum(recent) / len(recent)
            report(f"{recipe.name} {done}/{recipe.steps} loss {mean:.4f} {elapsed / 60:.1f} min")
        if done % SAVE_EVERY_STEPS == 0 or done == recipe.steps:
            state = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
            state |= {"averaged": averaged.weights, "updates": averaged.updates}
            _save(path, state | {"step": done, "seconds": elapsed})
    module.load_state_dict(averaged.weights)


def report(line: str) -> None:
    """Tell whoever watches the training how it goes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint in one rename, so that a crash leaves the last one whole."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _load(
    path: Path, module: torch.nn.Module, averaged: Averaged, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    """Restore a checkpoint if there is one; return the step to continue at and the seconds spent."""
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    averaged.weights = state["averaged"]
    averaged.updates = state["updates"]
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"]), float(state["seconds"])
