"""The part of a package that a contract may be shown: a head of rules and sizes, and the table of steps.

Is: head and rows as bytes, the `model_id` over them and the files, how many numbers a tensor has, and which
row a step goes by.
Is not: how a package's files say all that (`node/inference/packages/table`), or the arithmetic of a step.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import astuple, dataclass
from typing import Final, Self

from protocol.errors import DecodeError, InvalidMessage
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.tensor import NUMBERS_MAX

MODEL_DOMAIN: Final = b"cuckoo/model/1\x00"
_HEAD: Final = struct.Struct(">6B3H")
HEAD_BYTES: Final = _HEAD.size
HEAD_FORMAT: Final = 1
ROW_BYTES: Final = 40
"""Timestep, eight coefficients and tolerance, each big-endian binary32."""
SCHEDULE_STEPS_MAX: Final = 200
ROWS_MAX: Final = SCHEDULE_STEPS_MAX * (SCHEDULE_STEPS_MAX + 1) // 2
COEFFICIENT_EXPONENT_MIN: Final = -24
COEFFICIENT_EXPONENT_MAX: Final = 8
"""Magnitudes of a coefficient that is not zero: no sum or product is then subnormal or infinite."""
GUIDANCE_MILLI_NONE: Final = 1000
"""Guidance up to here asks the model once a step, not twice: there is no output without the prompt."""


class NumberFormat(enum.IntEnum):
    """How tensors are committed to, and what is computed with."""

    BINARY16 = 1
    """binary16; each sum and product in binary32."""


class LatentLayout(enum.IntEnum):
    """How the numbers of a latent are arranged."""

    PLANES = 1
    """Channels, rows, columns; a number for each square of `factor` pixels."""


class SeedRule(enum.IntEnum):
    """How a seed becomes numbers."""

    SHA256_COUNTER_NORMAL16 = 1
    """``sha256-counter-normal16/1``."""


class GuidanceRule(enum.IntEnum):
    """How the two outputs become one."""

    CLASSIFIER_FREE = 1
    """``u + g (c - u)``; c alone up to `GUIDANCE_MILLI_NONE`."""


class SchedulerRule(enum.IntEnum):
    """How far a step looks back."""

    ONE_STEP = 1
    """c and d are zero in every row."""
    TWO_STEPS = 2
    """A step takes latent and output of the one before, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHead:
    """The rules and sizes of a model that a step is judged by; under its `model_id`.

    :ivar format: 1.
    :ivar channels: of a latent.
    :ivar factor: pixels of a side for each number of a latent's.
    :ivar steps_max: most steps of a schedule that the table has rows for.
    """

    format: int = HEAD_FORMAT
    number_format: int = NumberFormat.BINARY16
    latent_layout: int = LatentLayout.PLANES
    seed_rule: int = SeedRule.SHA256_COUNTER_NORMAL16
    guidance_rule: int = GuidanceRule.CLASSIFIER_FREE
    scheduler_rule: int
    channels: int
    factor: int
    steps_max: int

    def encode(self) -> bytes:
        """`HEAD_BYTES` bytes: six rules of one byte, three numbers of two, big-endian.

        :raises ValueError: a value that its field cannot hold.
        """
        try:
            return _HEAD.pack(*astuple(self))
        except struct.error as error:
            raise ValueError("a number of the head is out of bounds") from error

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The head of these bytes.

        :raises DecodeError: another length.
        :raises InvalidMessage: rules that are not known here, or a number that no head may have.
        """
        if len(data) != HEAD_BYTES:
            raise DecodeError("a head has 12 bytes")
        names = cls.__slots__
        head = cls(**dict(zip(names, _HEAD.unpack(data), strict=True)))
        rules = head.number_format, head.latent_layout, head.seed_rule, head.guidance_rule
        if head.format != HEAD_FORMAT or rules != (1, 1, 1, 1) or head.scheduler_rule not in _SCHEDULER_RULES:
            raise InvalidMessage("head: rules are not known here")
        if not head.channels or not head.factor or not 1 <= head.steps_max <= SCHEDULE_STEPS_MAX:
            raise InvalidMessage("head: a number is out of bounds")
        return head

    @property
    def rows(self) -> int:
        """Rows of the table: one of a schedule of one step, two of two, and so on."""
        return rows_of_steps(self.steps_max)

    def tensor_numbers(self, width: int, height: int) -> int:
        """How many numbers each tensor of an image of so many pixels has.

        :raises InvalidMessage: a side is no multiple of the factor, or there are none, or too many of them.
        """
        numbers = self.channels * (width // self.factor) * (height // self.factor)
        if width % self.factor or height % self.factor or not 1 <= numbers <= NUMBERS_MAX:
            raise InvalidMessage("head: no tensors of this size")
        return numbers

    def row_of(self, schedule_steps: int, units: int, step: int) -> int:
        """Which row, from 0, a step (from 0) goes by, in a task that runs the last `units` of a schedule.

        :raises InvalidMessage: there is no such step.
        """
        if not (0 <= step < units <= schedule_steps <= self.steps_max):
            raise InvalidMessage("head: the table has no such step")
        return rows_of_steps(schedule_steps) - units + step


_SCHEDULER_RULES: Final = frozenset(SchedulerRule)


def rows_of_steps(steps: int) -> int:
    """Rows of all schedules of 1 to `steps` steps."""
    return steps * (steps + 1) // 2


def rows_of(table: bytes) -> list[bytes]:
    """The rows of a table, each `ROW_BYTES` long: the leaves of its tree. :raises ValueError: half a row."""
    if len(table) % ROW_BYTES:
        raise ValueError("a table has whole rows")
    return [table[at : at + ROW_BYTES] for at in range(0, len(table), ROW_BYTES)]


def rows_root(table: bytes) -> bytes:
    """Merkle root over `rows_of` a table, 32 bytes. :raises ValueError: half a row."""
    return merkle_root(rows_of(table))


def model_id_of(files_root: bytes, head: bytes, rows_root: bytes) -> bytes:
    """The content address of a package, 32 bytes.

    :param files_root: Merkle root over its files (`model_card.file_leaf`).
    :param head: encoded `ModelHead`.
    :param rows_root: Merkle root over the rows of its table.
    """
    return sha256(MODEL_DOMAIN + files_root + head + rows_root)
