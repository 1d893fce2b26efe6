"""The faults that evidence proves, and the offence that is left when it has been checked.

Is: what every form of evidence shares. Is not: a form, or a check.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias

from protocol import cbor
from protocol.errors import DecodeError, InvalidMessage
from protocol.messages import Kind
from protocol.schema import Bytes, Encoded, checked_items, from_items

COMMITMENT_BYTES_MAX: Final = 256
"""Longest envelope of a `ResultCommitment`."""

CommitmentBytes = Annotated[bytes, Bytes(1, COMMITMENT_BYTES_MAX)]


class Fault(enum.IntEnum):
    """The fault that is proved. The number is the first item of the encoding and never reused."""

    EQUIVOCATION = 1
    """Two different statements in one slot."""
    BROKEN_SEQUENCE = 2
    """Two announcements that cannot both stand in one coordinator's chain of tasks."""
    WRONG_RANKING = 3
    """An announcement whose ranking is not the draw's."""
    FALSE_PART = 4
    """A part of an output that is not the part committed to."""
    FALSE_STEP = 5
    """A number of a latent that is not what the scheduler gives."""
    FALSE_START = 6
    """A number of the first latent that is not what the seed gives."""
    NOT_FINITE = 7
    """A number of a committed tensor that is infinite or none."""
    STEP_COUNT = 8
    """A commitment to another number of steps than was announced."""
    MALFORMED_TRACE = 9
    """A committed tensor of another size, one that is absent, or one that must not be there."""
    FALSE_VERDICT = 10
    """A verdict that finds a number false which is right."""


JUDGED_BY_CONTRACT: Final = frozenset(Fault) - {Fault.WRONG_RANKING, Fault.FALSE_PART}
"""The faults that the Slashing contract judges by itself."""


class Tagged(Encoded):
    """Mixin of the forms: on the wire, the fault's number stands before the fields."""

    __slots__ = ()
    FAULT: ClassVar[Fault]

    def encode(self: Any) -> bytes:
        """Canonical bytes. :raises ValueError: a field outside its bounds; the caller's bug."""
        return cbor.encode((int(self.FAULT), *checked_items(self)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The evidence of this form that `data` canonically encodes.

        :raises DecodeError: not canonical, of another fault, or of another shape.
        """
        items = cbor.decode(data)
        if not isinstance(items, tuple) or items[:1] != (int(cls.FAULT),):
            message = f"this is no {cls.__name__}"
            raise DecodeError(message)
        form: Any = cls
        decoded: Self = from_items(form, items[1:])
        return decoded


class UnknownEpoch(InvalidMessage):
    """The evidence may be good, but whoever checks it does not know the epoch. :ivar epoch: its number."""

    def __init__(self, epoch: int) -> None:
        super().__init__("the epoch of the announcement is not known")
        self.epoch = epoch


@dataclass(frozen=True, slots=True)
class SignedPair:
    """Two contradicting statements as ``Slashing.equivocation`` takes them.

    :ivar first_body_hash: 32 bytes.
    :ivar first_signature: 65 bytes.
    :ivar second_body_hash: 32 bytes.
    :ivar second_signature: 65 bytes.
    """

    first_body_hash: bytes
    first_signature: bytes
    second_body_hash: bytes
    second_signature: bytes


@dataclass(frozen=True, slots=True)
class WrongNumber:
    """A number of a trace, and the one that should be there.

    :ivar step: whose result, or whose tensor it is; from 0.
    :ivar tensor: a `TraceTensor`.
    :ivar number: its place in the tensor, in C order, from 0.
    :ivar committed: as the miner has committed to it.
    :ivar expected: what the rule gives; None where any number would do that is one. Of a false verdict it is
        the same number.
    """

    step: int
    tensor: int
    number: int
    committed: float
    expected: float | None


@dataclass(frozen=True, slots=True)
class WrongTensor:
    """A tensor of a trace that no honest miner commits to.

    :ivar step: whose it is; from 0.
    :ivar tensor: a `TraceTensor`.
    :ivar numbers: that it has, as far as that is shown; 0 if there is none.
    :ivar expected: that it should have; 0 if there should be none.
    """

    step: int
    tensor: int
    numbers: int | None
    expected: int


@dataclass(frozen=True, slots=True)
class WrongCount:
    """:ivar committed: steps that the miner says that it made. :ivar expected: that were announced."""

    committed: int
    expected: int


Finding: TypeAlias = WrongNumber | WrongTensor | WrongCount


@dataclass(frozen=True, slots=True)
class Offence:
    """The offence that verified evidence proves.

    :ivar fault: of what sort.
    :ivar signer: 20 bytes, the culprit.
    :ivar kind: of the statement in question; of both, where there are two alike.
    :ivar slot: 32 bytes, of the statement in question; of the later, where there are two.
    :ivar pair: of an equivocation, what the contract needs.
    :ivar finding: of a fault of a trace, or of a verdict on one, what is wrong, for people.
    """

    fault: Fault
    signer: bytes
    kind: Kind
    slot: bytes
    pair: SignedPair | None = None
    finding: Finding | None = None

    @property
    def slashable_by_contract(self) -> bool:
        """Whether the Slashing contract can judge it alone."""
        return self.fault in JUDGED_BY_CONTRACT

    @property
    def key(self) -> tuple[int, bytes]:
        """Fault and signer. One piece for each is enough: the first takes all that there is to take."""
        return (int(self.fault), self.signer)
