"""The part of a package that must be repeated to the last bit: its scheduler's steps as a table of numbers.

Is: the file `REPLAY_NAME` in a package, its strict reading, and the rules that miner and auditor apply alike:
guidance, one step of the scheduler, noise upon an image. Is not: torch; a square root or a matrix product
of it differs in its last bits between instruction sets, and would convict an honest miner.

A row of the table is one step: ``timestep a b c d e f p q t``. With the latent x and the guided output m of
this step, and x', m' of the one before:

    next x = e x + f m                      in the first step that is run
    next x = a x + b m + c x' + d m'        in all others
    first x = p z + q r                     from an image: z what it was encoded to, r the noise of the seed

and t is how far the networks' outputs in this step may be from those of single precision, relative L2.

Each product and each sum is rounded to binary32 by itself, in that order, and the result to binary16,
always to the nearest, ties to even. IEEE 754 leaves no choice in any of them. None of them is subnormal in
binary32: a coefficient is zero, or of a magnitude from `COEFFICIENT_MIN` to `COEFFICIENT_MAX`. The square
roots and logarithms behind the numbers were taken once, when the package was made (see `scheduling`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from node.inference.packages.diffusers_folder import PRECISION_OF_CLASS, SCHEDULERS
from node.inference.packages.errors import PackageError
from protocol.model_table import (
    COEFFICIENT_EXPONENT_MAX,
    COEFFICIENT_EXPONENT_MIN,
    ROW_BYTES,
    ROWS_MAX,
    SCHEDULE_STEPS_MAX,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPLAY_NAME: Final = "replay.safetensors"
FORMAT: Final = "cuckoo-replay/2"
COLUMNS: Final = 10
"""Timestep, eight coefficients, tolerance."""
COEFFICIENTS: Final = slice(1, 9)
COEFFICIENT_MIN: Final = 2.0**COEFFICIENT_EXPONENT_MIN
COEFFICIENT_MAX: Final = 2.0**COEFFICIENT_EXPONENT_MAX
"""Between them, if not zero, is every coefficient: then no processor has a subnormal number to drop."""
TENSOR_NAME: Final = "steps"
HEADER_BYTES_MAX: Final = 4096
FP32_TOLERANCE: Final = 5e-4
"""Twice what honest machines were seen to differ by; below all but the slightest fraud."""
TOLERANCE_MAX: Final = 0.02
"""Beyond it a tolerance would pass weights of eight bits, and would not be one."""
SOURCE_TOLERANCE_PPM: Final = 500
"""The same for what an image is encoded to: encoders run in single precision, whatever the class."""
SOURCE_TOLERANCE_PPM_MAX: Final = 10_000
_LENGTH_BYTES: Final = 8
_FIELDS: Final = frozenset({"format", "prng", "scheduler", "precision", "source_tolerance_ppm"})
_ONE_MILLI: Final = np.float32(1000)


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table, binary32 numbers; see the module for what they are multiplied with."""

    timestep: np.float32
    latent: np.float32
    output: np.float32
    latent_before: np.float32
    output_before: np.float32
    first_latent: np.float32
    first_output: np.float32
    source: np.float32
    noise: np.float32
    tolerance: np.float32


@dataclass(frozen=True, slots=True)
class Replay:
    """The replayable part of a package.

    :ivar prng: rule that turns a seed into the initial latent.
    :ivar scheduler: class name, one of `SCHEDULERS`.
    :ivar precision: arithmetic of text model and denoiser, one of `PRECISION_OF_CLASS`' values.
    :ivar source_tolerance_ppm: how far what an image is encoded to may be from what it is elsewhere,
        relative L2
        in millionths.
    :ivar table: binary32, the rows of a schedule of one step, then those of two, and so on up to the most.
    """

    prng: str
    scheduler: str
    precision: str
    source_tolerance_ppm: int
    table: NDArray[np.float32]

    @property
    def steps_max(self) -> int:
        """Most steps that the table has rows for."""
        return steps_of_rows(len(self.table))

    @property
    def looks_back(self) -> bool:
        """Whether any step takes something of the step before."""
        return bool(self.table[:, 3:5].any())

    def steps(self, schedule_steps: int, run_steps: int = 0) -> tuple[Step, ...]:
        """The last `run_steps` rows of a schedule, with 0 all. :raises ValueError: there are none."""
        count = run_steps or schedule_steps
        if not 1 <= count <= schedule_steps <= self.steps_max:
            raise ValueError("the table has no rows for so many steps")
        end = schedule_steps * (schedule_steps + 1) // 2
        return tuple(Step(*row) for row in self.table[end - count : end])


def steps_of_rows(rows: int) -> int:
    """Most steps of a table with so many rows. :raises PackageError: no table has so many."""
    count = 0
    while rows > 0:
        count += 1
        rows -= count
    if rows < 0 or not 1 <= count <= SCHEDULE_STEPS_MAX:
        raise PackageError("the package's table of steps has the wrong length")
    return count


def guide(
    unconditional: NDArray[np.float16] | None, conditional: NDArray[np.float16], guidance_milli: int
) -> NDArray[np.float32]:
    """The output that the scheduler goes by: ``u + g (c - u)``, g in thousandths; c alone without a u."""
    wanted = conditional.astype(np.float32)
    if unconditional is None:
        return wanted
    base = unconditional.astype(np.float32)
    scale = np.float32(guidance_milli) / _ONE_MILLI
    guided: NDArray[np.float32] = base + scale * (wanted - base)
    return guided


def advance(
    step: Step,
    latent: NDArray[np.float16],
    output: NDArray[np.float32],
    before: tuple[NDArray[np.float16], NDArray[np.float32]] | None,
) -> NDArray[np.float16]:
    """The latent after a step.

    :param before: latent and guided output of the step before; None in the first that is run.
    """
    if before is None:
        moved = step.first_latent * latent.astype(np.float32) + step.first_output * output
    else:
        moved = step.latent * latent.astype(np.float32) + step.output * output
        moved = moved + step.latent_before * before[0].astype(np.float32)
        moved = moved + step.output_before * before[1]
    # A number too large becomes infinite, which the caller looks for; numpy need not warn of it.
    with np.errstate(over="ignore"):
        return moved.astype(np.float16)


def noised(step: Step, source: NDArray[np.float16], noise: NDArray[np.float32]) -> NDArray[np.float16]:
    """The first latent of a job from an image.

    :param step: the first that is run.
    :param source: what the image was encoded to.
    :param noise: of the seed (`prng.initial_latent`), of the same shape.
    """
    latent = step.source * source.astype(np.float32) + step.noise * noise
    with np.errstate(over="ignore"):
        return latent.astype(np.float16)


def table_bytes(replay: Replay) -> bytes:
    """The table as it stands under a `model_id`: big-endian binary32, row by row."""
    return replay.table.astype(">f4").tobytes()


def first_difference(found: NDArray[np.float16], expected: NDArray[np.float16]) -> int | None:
    """The first number, in C order, that is not the expected one; zeros of either sign are equal."""
    return _first_false(found == expected)


def first_not_finite(numbers: NDArray[np.float16]) -> int | None:
    """The first number, in C order, that is infinite or none at all."""
    return _first_false(np.isfinite(numbers))


def _first_false(fits: NDArray[np.bool_]) -> int | None:
    # The least of them, and where it is: quicker than to look for all that are false.
    place = int(fits.argmin())
    return None if fits.flat[place] else place


def write_replay(path: Path, replay: Replay) -> None:
    """Write the file, the same bytes for the same values. :raises PackageError: a value out of its bounds."""
    _check(replay)
    metadata = {
        "format": FORMAT,
        "prng": replay.prng,
        "scheduler": replay.scheduler,
        "precision": replay.precision,
        "source_tolerance_ppm": str(replay.source_tolerance_ppm),
    }
    data = np.ascontiguousarray(replay.table, dtype="<f4").tobytes()
    tensor = {"dtype": "F32", "shape": list(replay.table.shape), "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": metadata, TENSOR_NAME: tensor}).encode()
    path.write_bytes(len(header).to_bytes(_LENGTH_BYTES, "little") + header + data)


def read_replay(path: Path) -> Replay:
    """Read the file strictly; it is a safetensors file of one tensor.

    :raises PackageError: absent, of another form, or a value out of its bounds.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if not 0 < length <= HEADER_BYTES_MAX:
                raise PackageError("the package's table of steps is malformed")
            header = json.loads(file.read(length))
            data = file.read(ROWS_MAX * ROW_BYTES + 1)
        replay = _read(header, data)
    except OSError as error:
        raise PackageError("the package has no table of steps") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PackageError("the package's table of steps is malformed") from error
    _check(replay)
    return replay


def _read(header: dict[str, Any], data: bytes) -> Replay:
    """:raises ValueError, KeyError, TypeError: of another form."""
    metadata, tensor = header["__metadata__"], header[TENSOR_NAME]
    if set(metadata) != _FIELDS or metadata["format"] != FORMAT or tensor["dtype"] != "F32":
        raise ValueError("of another format")
    if tensor["data_offsets"] != [0, len(data)] or not metadata["source_tolerance_ppm"].isdecimal():
        raise ValueError("of another length")
    return Replay(
        prng=metadata["prng"],
        scheduler=metadata["scheduler"],
        precision=metadata["precision"],
        source_tolerance_ppm=int(metadata["source_tolerance_ppm"]),
        table=np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(tensor["shape"]),
    )


def _check(replay: Replay) -> None:
    """:raises PackageError: a value out of its bounds."""
    if replay.scheduler not in SCHEDULERS:
        raise PackageError("the package's scheduler cannot be replayed")
    if replay.precision not in PRECISION_OF_CLASS.values():
        raise PackageError("the package's precision is not one that can be audited")
    if not 1 <= replay.source_tolerance_ppm <= SOURCE_TOLERANCE_PPM_MAX:
        raise PackageError("the package's tolerance is out of bounds")
    if replay.table.ndim != 2 or replay.table.shape[1] != COLUMNS or not np.isfinite(replay.table).all():  # noqa: PLR2004
        raise PackageError("the package's table of steps is malformed")
    sizes = np.abs(replay.table[:, COEFFICIENTS])
    if not ((sizes == 0) | ((sizes >= COEFFICIENT_MIN) & (sizes <= COEFFICIENT_MAX))).all():
        raise PackageError("the package's table of steps has a coefficient that is too large or too small")
    if (replay.table[:, 0] < 0).any():
        raise PackageError("the package's table of steps has a time before the beginning")
    tolerances = replay.table[:, -1]
    if not ((tolerances > 0) & (tolerances <= TOLERANCE_MAX)).all():
        raise PackageError("the package's tolerance is out of bounds")
    steps_of_rows(len(replay.table))
