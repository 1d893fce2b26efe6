"""How far honest machines are from single precision, and the tolerances that follow: measured, then packed.

Is: a package's jobs run by several configurations of this machine (threads, instruction sets, batches, a
device), each in a process of its own; their traces compared with single precision; the largest distance of
each step, times `FACTOR`, as the tolerance of its neighbourhood in the package's table; the measurements
beside it as `CALIBRATION_NAME`. Is not: torch, which is in those processes; nor other machines than this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from node.inference.diffusion.replay import (
    FP32_TOLERANCE,
    REPLAY_NAME,
    SOURCE_TOLERANCE_PPM,
    TOLERANCE_MAX,
    read_replay,
    write_replay,
)
from node.inference.packages.package import ModelPackage, Settings, load, pack
from node.inference.pool.process import Machine, worker_environment
from protocol.errors import LocalError

CALIBRATION_NAME: Final = "calibration.json"
FORMAT: Final = "cuckoo-calibration/1"
MACHINE_MODULE: Final = "node.inference.calibration_machine"
FACTOR: Final = 2.0
"""Of the largest distance that was measured: room for machines that were not."""
BANDS: Final = 10
"""Parts of the model's time; steps of any schedule take the tolerance of the band that they fall into."""
CONFIGURATION_SECONDS_MAX: Final = 6 * 3600.0
"""For all jobs of one configuration, which on a processor may be slow work for a large model."""
PROMPTS: Final = (
    *("a red apple on a blue background", "a cat", "a rocket on a black background", "a green apple"),
    *("a dog on a pink background", "a house", "a sunflower on a purple background", "a blue fish"),
)
_PPM: Final = 1_000_000


class CalibrationError(LocalError):
    """A configuration failed, or the package's numbers are too far apart to be audited."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to run the jobs.

    :ivar name: for people.
    :ivar variables: of the environment, which choose instruction sets.
    :ivar threads: of torch.
    :ivar batch: jobs computed together.
    """

    name: str
    variables: dict[str, str]
    threads: int
    batch: int


CONFIGURATIONS: Final = (
    Configuration("as it is", {}, 1, 1),
    Configuration("two threads", {}, 2, 1),
    Configuration("four together", {}, 1, 4),
    Configuration("AVX2", {"ATEN_CPU_CAPABILITY": "avx2"}, 1, 4),
    Configuration("SSE4", {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, 1, 1),
)
ON_A_DEVICE: Final = (Configuration("alone", {}, 1, 1), Configuration("four together", {}, 1, 4))
"""On an accelerator the processor's instruction sets change nothing of the networks."""

Tell: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deviation:
    """The differences of one configuration.

    :ivar steps: of each step of the package's default schedule the largest distance of an output.
    :ivar source: largest distance of a source latent; 0 without one.
    :ivar machine: what the process said of itself.
    """

    configuration: Configuration
    steps: tuple[float, ...]
    source: float
    machine: dict[str, str]


def calibrate(
    folder: Path,
    *,
    device: str = "cpu",
    prompts: Sequence[str] = (),
    configurations: Sequence[Configuration] = (),
    tell: Tell = lambda _: None,
) -> ModelPackage:
    """Measure a package, and pack it again with what was found. It gets another id.

    :param device: that works; what is compared with is always the processor's single precision.
    :param prompts: one job each; default: `PROMPTS`.
    :param configurations: default: those for the device.
    :param tell: is called with a line now and then.
    :raises PackageError: it is no package.
    :raises CalibrationError: a configuration failed, or is off by more than a tolerance may be.
    """
    package, prompts = load(folder), prompts or PROMPTS
    chosen = configurations or (CONFIGURATIONS if device == "cpu" else ON_A_DEVICE)
    deviations = []
    for configuration in chosen:
        deviations.append(measure(package, configuration, device, prompts))
        tell(f"{configuration.name}: off by {max(deviations[-1].steps):.2e} at most")
    replay = read_replay(package.folder / REPLAY_NAME)
    timesteps = [float(step.timestep) for step in replay.steps(package.card.default_steps)]
    largest = np.max([deviation.steps for deviation in deviations], axis=0)
    source = max(deviation.source for deviation in deviations)
    span = float(replay.table[:, 0].max())
    bands = band_tolerances(timesteps, largest.tolist(), span)
    table = replay.table.copy()
    table[:, -1] = [bands[band_of(float(timestep), span)] for timestep in table[:, 0]]
    source_ppm = max(SOURCE_TOLERANCE_PPM, round(FACTOR * source * _PPM))
    write_replay(package.folder / REPLAY_NAME, replace(replay, table=table, source_tolerance_ppm=source_ppm))
    document = _document(package, device, len(prompts), timesteps, bands, deviations)
    (package.folder / CALIBRATION_NAME).write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")
    return pack(package.folder, Settings.of(package.card))


def measure(
    package: ModelPackage, configuration: Configuration, device: str, prompts: Sequence[str]
) -> Deviation:
    """Run the jobs in one configuration and compare. :raises CalibrationError: a process failed."""
    with tempfile.TemporaryDirectory(prefix="cuckoo-calibration-") as folder:
        flags = ["--device", device, "--threads", str(configuration.threads)]
        flags += ["--batch", str(configuration.batch)]
        machine = _run("work", package, folder, prompts, flags, configuration)
        found = _run("compare", package, folder, prompts, [], Configuration("compare", {}, 1, 1))
    return Deviation(configuration, tuple(found["steps"]), found["source"], machine)


def _run(
    verb: str,
    package: ModelPackage,
    folder: str,
    prompts: Sequence[str],
    flags: Sequence[str],
    configuration: Configuration,
) -> dict[str, Any]:
    command = [sys.executable, "-m", MACHINE_MODULE, verb, str(package.folder), folder]
    # Threads that spin while they wait for each other would take minutes on a busy machine.
    variables = {"OMP_WAIT_POLICY": "passive"} | configuration.variables
    try:
        done = subprocess.run(  # noqa: S603 - this program's own module
            [*command, *flags, "--prompts", *prompts],
            env=worker_environment(Machine(threads=configuration.threads)) | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=CONFIGURATION_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired as error:
        raise CalibrationError(f"the configuration {configuration.name!r} took too long") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise CalibrationError(f"the configuration {configuration.name!r} failed: {last[0]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def band_of(timestep: float, span: float) -> int:
    """Which of `BANDS` a time falls into, from 0. :param span: the latest time."""
    return min(BANDS - 1, int(timestep / (span + 1) * BANDS))


def band_tolerances(timesteps: Sequence[float], deviations: Sequence[float], span: float) -> list[float]:
    """The tolerance of each band: `FACTOR` times the largest deviation in it and its neighbours.

    Never below that of single precision. A band without a step in reach takes the largest of all.

    :raises CalibrationError: one is above `TOLERANCE_MAX`.
    """
    tolerances = []
    for band in range(BANDS):
        near = [
            deviation
            for timestep, deviation in zip(timesteps, deviations, strict=True)
            if abs(band_of(timestep, span) - band) <= 1
        ]
        tolerance = FACTOR * max(near or deviations)
        # Asked so that what is no number is refused, too.
        if not tolerance <= TOLERANCE_MAX:
            raise CalibrationError(
                f"honest work is off by up to {max(near or deviations):.2e}: no audit could tell"
            )
        tolerances.append(max(FP32_TOLERANCE, tolerance))
    return tolerances


def _document(
    package: ModelPackage,
    device: str,
    jobs: int,
    timesteps: Sequence[float],
    bands: Sequence[float],
    deviations: Sequence[Deviation],
) -> dict[str, Any]:
    """The record that goes into the package: what was measured, on what, and what followed."""
    return {
        "format": FORMAT,
        "precision_class": package.card.precision_class,
        "device": device,
        "system": f"{os.uname().sysname} {os.uname().machine}",
        "jobs": jobs,
        "factor": FACTOR,
        "timesteps": list(timesteps),
        "configurations": [
            {
                "name": item.configuration.name,
                "variables": item.configuration.variables,
                "threads": item.configuration.threads,
                "batch": item.configuration.batch,
                **item.machine,
                "deviation_ppm": [round(step * _PPM) for step in item.steps],
                "source_deviation_ppm": round(item.source * _PPM),
            }
            for item in deviations
        ],
        "band_tolerance_ppm": [round(tolerance * _PPM) for tolerance in bands],
    }
