"""How a package's table of steps is made: a scheduler of diffusers, asked what it does to each number.

Is: run once, by whoever packs a model. Is not: used while a job runs, nor by an auditor.

The schedulers that can be replayed are linear: the next latent is a sum of this step's latent and output and
the last step's, each times a number. So the numbers need not be derived from formulas a second time. Each
step is given its own two directions of a large space, and where the result points says what it was made of.
A scheduler that looks further back, clips, or adds noise, points elsewhere, and is refused for what it does,
not for its name alone.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

import diffusers
import numpy as np
import torch

from node.inference.diffusion.prng import PRNG_ID
from node.inference.diffusion.replay import (
    COEFFICIENT_MIN,
    COEFFICIENTS,
    COLUMNS,
    FP32_TOLERANCE,
    REPLAY_NAME,
    SOURCE_TOLERANCE_PPM,
    Replay,
    write_replay,
)
from node.inference.packages.diffusers_folder import SCHEDULERS
from node.inference.packages.errors import PackageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LARGE: Final = 1024.0
"""Scale of the second probe, a power of two; what clips or is no multiple shows itself."""
DEVIATION_MAX: Final = 1e-5


def write_table(folder: Path, scheduler: str, steps_max: int, precision: str = "fp32") -> None:
    """Write `REPLAY_NAME` into a diffusers folder, for its scheduler and our seed rule.

    The tolerances in it are those of single precision; for another, `calibration` must find them.

    :param scheduler: class name that the folder must hold.
    :param precision: of text model and denoiser.
    :raises PackageError: as `make_table`, or the folder holds another one.
    """
    table = make_table(folder / "scheduler", scheduler, steps_max)
    write_replay(folder / REPLAY_NAME, Replay(PRNG_ID, scheduler, precision, SOURCE_TOLERANCE_PPM, table))


def make_table(folder: Path, name: str, steps_max: int) -> NDArray[np.float32]:
    """The table of steps for the scheduler `name` in `folder`, for schedules of 1 to `steps_max` steps.

    :raises PackageError: it is another one, none of `SCHEDULERS`, or does not do what can be replayed.
    """
    config = diffusers.DDIMScheduler.load_config(folder, local_files_only=True)
    found = config.get("_class_name")
    if name not in SCHEDULERS or found != name:
        raise PackageError(
            f"the folder's scheduler is {found}; {name} was asked for, and cannot be replayed so"
        )
    scheduler = getattr(diffusers, name).from_config(config)
    rows = [_rows(scheduler, count) for count in range(1, steps_max + 1)]
    return np.concatenate(rows)


def _rows(scheduler: Any, count: int) -> NDArray[np.float32]:
    rows = _probe(scheduler, count, 1.0)
    if not np.allclose(rows, _probe(scheduler, count, LARGE), rtol=DEVIATION_MAX, atol=DEVIATION_MAX):
        raise PackageError("the package's scheduler is not linear")
    return rows


def _probe(scheduler: Any, count: int, scale: float) -> NDArray[np.float32]:
    """The rows for `count` steps, seen with directions of length `scale`."""
    scheduler.set_timesteps(count)
    # Spacing "trailing" of diffusers sometimes rounds to one step too many, at the time -1.
    timesteps = scheduler.timesteps[scheduler.timesteps >= 0]
    if len(timesteps) != count or float(getattr(scheduler, "init_noise_sigma", 1.0)) != 1.0:
        raise PackageError("the package's scheduler takes other steps than it is asked for")
    directions = torch.eye(2 * count, dtype=torch.float64) * scale
    options = _options(scheduler)
    rows = np.zeros((count, COLUMNS), dtype=np.float32)
    for index, timestep in enumerate(timesteps):
        latent, output = directions[None, 2 * index], directions[None, 2 * index + 1]
        scale_input = getattr(scheduler, "scale_model_input", None)
        if scale_input is not None and not torch.equal(scale_input(latent, timestep), latent):
            raise PackageError("the package's scheduler scales what goes into the model")
        moved = scheduler.step(output, timestep, latent, **options).prev_sample
        points = (moved[0] / scale).double().numpy()
        own = points[2 * index : 2 * index + 2].tolist()
        before = points[2 * index - 2 : 2 * index].tolist() if index else [0.0, 0.0]
        points[max(0, 2 * index - 2) : 2 * index + 2] = 0
        if np.abs(points).max(initial=0.0) > DEVIATION_MAX:
            raise PackageError("the package's scheduler looks further back than one step, or adds noise")
        rows[index, :5] = [float(timestep), *own, *before]
    for index, timestep in enumerate(timesteps):
        rows[index, 5:9] = _start(scheduler, count, index, timestep, scale)
    # What a probe leaves of a number that is zero in truth.
    coefficients = rows[:, COEFFICIENTS]
    coefficients[np.abs(coefficients) < COEFFICIENT_MIN] = 0
    rows[:, 9] = FP32_TOLERANCE
    return rows


def _start(scheduler: Any, count: int, index: int, timestep: Any, scale: float) -> list[float]:
    """The numbers of a step with which work begins: of the latent, the output, an image, the noise on it."""
    # Those that cannot be told where to begin do not remember where they are.
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_timesteps(count)
        scheduler.set_begin_index(index)
    one, other = torch.eye(2, dtype=torch.float64)[:, None] * scale
    # Before the step, as pipelines from images do: some schedulers go by where they are.
    if hasattr(scheduler, "scale_noise"):
        mixed = scheduler.scale_noise(one, timestep[None], other)
    else:
        mixed = scheduler.add_noise(one, other, timestep[None])
    moved = scheduler.step(other, timestep, one, **_options(scheduler)).prev_sample
    numbers: list[float] = (torch.cat([moved[0], mixed[0]]) / scale).double().tolist()
    return numbers


def _options(scheduler: Any) -> dict[str, float]:
    return {"eta": 0.0} if "eta" in inspect.signature(scheduler.step).parameters else {}
