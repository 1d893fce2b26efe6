"""The description of a task's work: its kind, how many units of work it is, and what that kind adds.

Is: the one description of work, from the app to the worker: the part that everybody sees (`Work`), and one
table row for each kind. The part that only the working miner and auditors see is `messages.TaskInput`.
Is not: what a model can do (its package says that), or a price.

Draw, pay, chunks, openings and gossip rules know `kind` and `units` alone. A further kind is a row of `SPECS`
and the structs that it names; a peer that does not know a kind forwards its tasks and does not serve them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from protocol.errors import DecodeError, InvalidMessage
from protocol.schema import Bytes, Encoded, Uint, Uint16, Uint32, Uint64

KIND_MAX: Final = (1 << 16) - 1
UNITS_MAX: Final = (1 << 24) - 1
"""Most units of one task: tokens of a very long answer, far more than steps of any schedule."""
DETAILS_BYTES_MAX: Final = 256
"""Longest encoding of what a kind adds to an announcement."""
NUMBERS_BYTES_MAX: Final = 512
"""Longest encoding of a kind's public numbers in an input."""
PRICES_MAX: Final = 4
"""Most kinds of unit that one kind of work has a price for."""


class WorkKind(enum.IntEnum):
    """The kind of a task's work. Public, so that miners, prices and rules know it before any input."""

    TEXT_TO_IMAGE = 0
    """An image from a prompt and noise."""
    IMAGE_TO_IMAGE = 1
    """An image from a prompt and a source image with noise on it."""


class SourceRole(enum.IntEnum):
    """The role of a source file of an input."""

    IMAGE = 0
    """The picture to start from."""


@dataclass(frozen=True, slots=True)
class ImageDetails(Encoded):
    """Details that the two image kinds add to an announcement. Their units are denoising steps that are run.

    :ivar width: pixels.
    :ivar height: pixels.
    """

    width: Uint16
    height: Uint16


@dataclass(frozen=True, slots=True)
class ImageNumbers(Encoded):
    """The public numbers of an image kind's input: what a proof may show without showing the prompt.

    :ivar seed: of the initial noise.
    :ivar guidance_milli: classifier-free guidance scale in thousandths.
    :ivar schedule_steps: steps of the schedule, of which the announced units are the last; from noise, all.
    """

    seed: Uint64
    guidance_milli: Uint32
    schedule_steps: Uint16


@dataclass(frozen=True, slots=True)
class Work(Encoded):
    """The public description of a task's work.

    :ivar kind: a `WorkKind`, or one that this peer does not know yet.
    :ivar units: what is counted, shown and paid: the most that the task may come to, at least 1.
    :ivar details: canonical encoding of the struct that `SPECS` names for the kind.
    """

    kind: Annotated[int, Uint(KIND_MAX)]
    units: Annotated[int, Uint(UNITS_MAX)]
    details: Annotated[bytes, Bytes(0, DETAILS_BYTES_MAX)]

    @classmethod
    def image(cls, kind: WorkKind, width: int, height: int, steps: int) -> Work:
        """Work of one of the image kinds. :raises ValueError: a value out of its field's bounds."""
        return cls(int(kind), steps, ImageDetails(width, height).encode())

    def read_details(self) -> Any:
        """The kind's struct.

        :raises UnknownKind: this peer does not know the kind.
        :raises DecodeError: the details are not the kind's.
        """
        return spec_of(self.kind).details.decode(self.details)

    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels of an image kind.

        :raises UnknownKind: this peer does not know the kind.
        :raises DecodeError: the details are not the kind's.
        """
        details = ImageDetails.decode(self.details)
        spec_of(self.kind)
        return details.width, details.height

    def quantities(self) -> tuple[int, ...]:
        """How much this work is at most of each kind of unit that an offer has a price for.

        :raises UnknownKind: this peer does not know the kind.
        :raises DecodeError: the details are not the kind's.
        """
        return spec_of(self.kind).quantities(self.units, self.read_details())


class UnknownKind(InvalidMessage):
    """A kind of work that this peer does not know. :ivar kind: its number."""

    def __init__(self, kind: int) -> None:
        super().__init__("kind of work is not known")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class KindSpec:
    """The differences between kinds of work, as a row of `SPECS`.

    :ivar name: for people and for the local API.
    :ivar unit: what a unit is called, in the plural.
    :ivar details: struct behind `Work.details`.
    :ivar numbers: struct behind `TaskInput.numbers`.
    :ivar roles: of the sources that an input brings, in their order, each exactly once.
    :ivar priced: the kinds of unit that an offer has a price for, in its order.
    :ivar quantities: how much of each of them the work is, from its units and details.
    :ivar upfront: of `priced`, how many of the first are owed with the first unit that is shown (reading a
        prompt); the others are owed evenly with the units.
    :ivar may_end_early: whether a result may have fewer units than announced, which are then all that is
        paid.
    :ivar makes_picture: whether the output is a PNG of the size in the details.
    :ivar fits: whether units and details make sense by themselves, whatever the model.
    """

    name: str
    unit: str
    details: type[Encoded]
    numbers: type[Encoded]
    roles: tuple[SourceRole, ...]
    priced: tuple[str, ...]
    quantities: Callable[[int, Any], tuple[int, ...]]
    upfront: int
    may_end_early: bool
    makes_picture: bool
    fits: Callable[[int, Any], bool]


def _image_quantities(units: int, details: ImageDetails) -> tuple[int, ...]:
    return (units * details.width * details.height,)


def _image_fits(units: int, details: ImageDetails) -> bool:
    return units < 1 << 16 and details.width > 0 and details.height > 0


def _image_kind(name: str, roles: tuple[SourceRole, ...]) -> KindSpec:
    return KindSpec(
        name=name,
        unit="steps",
        details=ImageDetails,
        numbers=ImageNumbers,
        roles=roles,
        priced=("pixels times steps",),
        quantities=_image_quantities,
        upfront=0,
        may_end_early=False,
        makes_picture=True,
        fits=_image_fits,
    )


SPECS: Final[Mapping[int, KindSpec]] = {
    WorkKind.TEXT_TO_IMAGE: _image_kind("text-to-image", ()),
    WorkKind.IMAGE_TO_IMAGE: _image_kind("image-to-image", (SourceRole.IMAGE,)),
}
"""One row for each kind of work; nothing else in the protocol tells kinds apart."""


def spec_of(kind: int) -> KindSpec:
    """The row of a kind. :raises UnknownKind: this peer does not know it."""
    spec = SPECS.get(kind)
    if spec is None:
        raise UnknownKind(kind)
    return spec


def kind_name(kind: int) -> str:
    """A kind for people: ``text-to-image``, or ``kind 7``."""
    spec = SPECS.get(kind)
    return f"kind {kind}" if spec is None else spec.name


def kind_named(name: str) -> WorkKind:
    """The kind of a name of `kind_name`. :raises ValueError: there is no such kind."""
    for kind, spec in SPECS.items():
        if spec.name == name:
            return WorkKind(kind)
    message = f"{name!r} is not a kind of work; there are {', '.join(spec.name for spec in SPECS.values())}"
    raise ValueError(message)


def require_form(work: Work) -> None:
    """The form of work alone, whatever the model. Work of an unknown kind needs a unit, and no more.

    :raises InvalidMessage: no honest coordinator announces this.
    """
    if not work.units:
        raise InvalidMessage("work has no units")
    spec = SPECS.get(work.kind)
    if spec is None:
        return
    try:
        details = spec.details.decode(work.details)
    except DecodeError as error:
        raise InvalidMessage("work's details are not those of its kind") from error
    if not spec.fits(work.units, details):
        raise InvalidMessage("work's details make no sense")


def may_be_all(work: Work, units_done: int) -> bool:
    """Whether a result of so many units can be the whole of `work`.

    All of them can, and from 1 on where the kind may end early. Of an unknown kind, any number up to all can.
    """
    spec = SPECS.get(work.kind)
    return units_done == work.units or (1 <= units_done < work.units and (spec is None or spec.may_end_early))
