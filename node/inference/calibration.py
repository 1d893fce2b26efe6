"""How far honest machines are from single precision, and cheats, and the thresholds that follow.

Is: a package's jobs run, and the first one's traces audited, by several configurations of this machine
(threads, instruction sets, batches, a device), each in a process of its own; all compared with single
precision, and so two cheats. What follows: of class A the excess that accuses, `HONEST_PARTS` times the
largest honest one; of class B the largest distance of each step, times `FACTOR`, as the tolerance of its
neighbourhood in the package's table; by how many bins sketches may differ; the measurements beside it as
`CALIBRATION_NAME`. A package whose cheats could not be told from honest work is refused. Is not: torch, which
is in those processes; nor other machines than this one.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from node.inference.audit.sketch import APART_MAX
from node.inference.audit.thresholds import (
    ACCUSE_PPB_MIN,
    CALIBRATION_FORMAT,
    CALIBRATION_NAME,
    HONEST_PARTS,
    PPB,
    require_telling,
)
from node.inference.diffusion.replay import (
    FP32_TOLERANCE,
    REPLAY_NAME,
    SOURCE_TOLERANCE_PPM,
    TOLERANCE_MAX,
    read_replay,
    write_replay,
)
from node.inference.packages.errors import PackageError
from node.inference.packages.package import ModelPackage, Settings, load, pack
from node.inference.pool.process import Machine, worker_environment
from protocol.errors import LocalError

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
BEYOND_MAX: Final = 1e-3
"""Share of places that may differ by more bins than sketches allow: five of 32 are then once in 10^10."""
SCORE_MAX: Final = 1000.0
_PPM: Final = 1_000_000


class CalibrationError(LocalError):
    """A configuration failed, or the package's numbers are too far apart to be audited."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to run the jobs.

    :ivar name: for people.
    :ivar variables: of the environment, which choose instruction sets.
    :ivar threads: of torch.
    :ivar batch: jobs computed together, and steps audited together.
    :ivar onednn: whether its kernels may be used.
    """

    name: str
    variables: dict[str, str]
    threads: int
    batch: int
    onednn: bool = True


CONFIGURATIONS: Final = (
    Configuration("as it is", {}, 1, 1),
    Configuration("two threads", {}, 2, 1),
    Configuration("four together", {}, 1, 4),
    Configuration("AVX2", {"ATEN_CPU_CAPABILITY": "avx2"}, 1, 4),
    Configuration("SSE4", {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, 1, 1),
    Configuration("without oneDNN", {}, 1, 2, onednn=False),
)
ON_A_DEVICE: Final = (Configuration("alone", {}, 1, 1), Configuration("four together", {}, 1, 4))
"""On an accelerator the processor's instruction sets change nothing of the networks."""

Tell: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deviation:
    """The differences of one configuration.

    :ivar steps: of each step of the package's default schedule the largest distance of an output.
    :ivar source: largest distance of a source latent; 0 without one.
    :ivar excess: largest of its outputs.
    :ivar auditor_excess: largest that it finds as an auditor of the first configuration's work.
    :ivar beyond: shares of sketched places more than 0, 1, … `APART_MAX` bins from those of the reference.
    :ivar machine: the process's word of itself.
    """

    configuration: Configuration
    steps: tuple[float, ...]
    source: float
    excess: float
    auditor_excess: float
    beyond: tuple[float, ...]
    machine: dict[str, str]


@dataclass(frozen=True, slots=True)
class Cheated:
    """How near a cheat comes. :ivar excess: its least. :ivar steps: of each step its least distance."""

    name: str
    excess: float
    steps: tuple[float, ...]


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
    :raises PackageError: the folder is not a package.
    :raises CalibrationError: a configuration failed, is off by more than a tolerance may be, or cheats could
        not be told from honest work.
    """
    package, prompts = load(folder), prompts or PROMPTS
    chosen = configurations or (CONFIGURATIONS if device == "cpu" else ON_A_DEVICE)
    deviations, cheats = measure_all(package, chosen, device, prompts, tell)
    replay = read_replay(package.folder / REPLAY_NAME)
    timesteps = [float(step.timestep) for step in replay.steps(package.card.default_steps)]
    document = _document(package, device, len(prompts), timesteps, deviations)
    source_ppm = max(SOURCE_TOLERANCE_PPM, round(FACTOR * max(item.source for item in deviations) * _PPM))
    replay, tolerances = replace(replay, source_tolerance_ppm=source_ppm), []
    if package.card.precision_class == "B":
        largest = np.max([deviation.steps for deviation in deviations], axis=0)
        span, table = float(replay.table[:, 0].max()), replay.table.copy()
        bands = band_tolerances(timesteps, largest.tolist(), span)
        tolerances = [bands[band_of(timestep, span)] for timestep in timesteps]
        table[:, -1] = [bands[band_of(float(timestep), span)] for timestep in table[:, 0]]
        replay = replace(replay, table=table)
        document["band_tolerance_ppm"] = [round(tolerance * _PPM) for tolerance in bands]
    document |= conclusions(package.card.precision_class, deviations, cheats, tolerances)
    write_replay(package.folder / REPLAY_NAME, replay)
    (package.folder / CALIBRATION_NAME).write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")
    return pack(package.folder, Settings.of(package.card))


def measure_all(
    package: ModelPackage,
    configurations: Sequence[Configuration],
    device: str,
    prompts: Sequence[str],
    tell: Tell = lambda _: None,
) -> tuple[list[Deviation], list[Cheated]]:
    """Run the jobs in each configuration and by each cheat, and compare.

    :raises CalibrationError: a process failed.
    """
    deviations = []
    with tempfile.TemporaryDirectory(prefix="cuckoo-calibration-") as folder:
        # The traces of the first are those that all of them audit.
        reference = Path(folder) / "0"
        for number, configuration in enumerate(configurations):
            place = Path(folder) / str(number)
            place.mkdir()
            at = [str(package.folder), str(place), "--reference", str(reference)]
            flags = ["--device", device, "--threads", str(configuration.threads)]
            flags += ["--batch", str(configuration.batch)]
            flags += [] if configuration.onednn else ["--no-onednn"]
            machine = _run("work", [*at, *flags], prompts, configuration)
            found = _run("compare", at, prompts, Configuration("compare", {}, 1, 1))
            deviations.append(
                Deviation(
                    configuration=configuration,
                    steps=tuple(found["steps"]),
                    source=found["source"],
                    excess=found["excess"],
                    auditor_excess=found["auditor"]["excess"],
                    beyond=tuple(found["auditor"]["beyond"]),
                    machine=machine,
                )
            )
            worst = deviations[-1]
            tell(f"{configuration.name}: off by {max(worst.steps):.2e} at most, excess {worst.excess:.1e}")
        found = _run("cheats", at, prompts, Configuration("cheats", {}, 1, 1))
    cheats = [Cheated(item["name"], item["excess"], tuple(item["steps"])) for item in found["cheats"]]
    for cheat in cheats:
        tell(f"{cheat.name}: off by {min(cheat.steps):.2e} at least, excess {cheat.excess:.1e}")
    return deviations, cheats


def conclusions(
    precision_class: str,
    deviations: Sequence[Deviation],
    cheats: Sequence[Cheated],
    tolerances: Sequence[float],
) -> dict[str, Any]:
    """The fields of a calibration that audits go by, see `audit.thresholds`.

    :param tolerances: of class B, of each step of the default schedule, as they follow from the deviations.
    :raises CalibrationError: no audit could go by them.
    """
    honest = max(max(item.excess, item.auditor_excess) for item in deviations)
    beyond = np.max([item.beyond for item in deviations], axis=0)
    within = [bound for bound in range(APART_MAX + 1) if beyond[bound] <= BEYOND_MAX]
    if not within:
        raise CalibrationError(f"honest auditors' sketches differ by more than {APART_MAX} bins")
    fields: dict[str, Any] = {"sketch_bins_apart": max(1, within[0])}
    if precision_class == "B":
        least = {cheat.name: float(np.mean(np.divide(cheat.steps, tolerances))) for cheat in cheats}
        accuse_ppb, honest_ppb = PPB, 0
    else:
        least = {cheat.name: cheat.excess for cheat in cheats}
        honest_ppb = math.ceil(min(honest, 1.0) * PPB)
        accuse_ppb = max(ACCUSE_PPB_MIN, HONEST_PARTS * honest_ppb)
        fields |= {"accuse_ppb": accuse_ppb, "honest_excess_ppb": honest_ppb}
    # Infinitely far is far enough.
    scores = {name: math.floor(min(score, SCORE_MAX) * PPB) for name, score in least.items()}
    try:
        require_telling(precision_class, accuse_ppb, honest_ppb, list(scores.values()))
    except PackageError as error:
        raise CalibrationError(f"no audit could tell: {error}") from error
    rows = [{"name": name, "least_score_ppb": score} for name, score in scores.items()]
    return fields | {"cheats": rows}


def _run(
    verb: str, flags: Sequence[str], prompts: Sequence[str], configuration: Configuration
) -> dict[str, Any]:
    command = [sys.executable, "-m", MACHINE_MODULE, verb, *flags, "--prompts", *prompts]
    # Threads that spin while they wait for each other would take minutes on a busy machine.
    variables = {"OMP_WAIT_POLICY": "passive"} | configuration.variables
    try:
        done = subprocess.run(  # noqa: S603 - this program's own module
            command,
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
    deviations: Sequence[Deviation],
) -> dict[str, Any]:
    """The record that goes into the package: what was measured, and on what."""
    return {
        "format": CALIBRATION_FORMAT,
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
                "onednn": item.configuration.onednn,
                "threads": item.configuration.threads,
                "batch": item.configuration.batch,
                **item.machine,
                "deviation_ppm": [round(step * _PPM) for step in item.steps],
                "source_deviation_ppm": round(item.source * _PPM),
                "excess_ppb": round(item.excess * PPB),
                "auditor_excess_ppb": round(item.auditor_excess * PPB),
                "beyond_bins_ppm": [round(share * _PPM) for share in item.beyond],
            }
            for item in deviations
        ],
    }
