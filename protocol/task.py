"""The life of a task as tables: one for its coordinator, one for each miner, one for each auditor.

Everything that decides what may follow what is in the three `Table`s; nothing elsewhere compares states.
Deadlines are data of the announcement, never sleeps in here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from protocol.errors import LocalError

StateT = TypeVar("StateT", bound=enum.Enum)
EventT = TypeVar("EventT", bound=enum.Enum)


class CoordinatorState(enum.Enum):
    """Where a task is, for its coordinator."""

    QUEUED = "queued"
    """Taken from the app, not announced yet."""
    ANNOUNCED = "announced"
    """Signed and published; waiting for the drawn miner."""
    RUNNING = "running"
    """A miner has accepted and was given the input."""
    FAILED_OVER = "failed over"
    """The miner stopped making progress; waiting for the next in the ranking."""
    COMMITTED = "committed"
    """A miner has committed to a result that fits what it streamed."""
    DELIVERED = "delivered"
    """The app has the image."""
    EXPIRED = "expired"
    """The deadline passed without a result."""
    CANCELLED = "cancelled"
    """The app went away."""


class CoordinatorEvent(enum.Enum):
    """Events in the life of a coordinator's task."""

    ANNOUNCE = "announce"
    ACCEPT = "accept"
    LOSE_MINER = "lose miner"
    COMMIT = "commit"
    DELIVER = "deliver"
    EXPIRE = "expire"
    CANCEL = "cancel"


class MinerState(enum.Enum):
    """Where a task is, for a miner that was drawn for it."""

    WAITING = "waiting"
    """Its rank has not come, or all its places are taken."""
    ACCEPTED = "accepted"
    """It has told the coordinator, and waits for its turn."""
    WORKING = "working"
    """It has the input."""
    COMMITTED = "committed"
    """It has signed what came out; parts and commitment are on their way."""
    DELIVERED = "delivered"
    """The coordinator has everything."""
    NOT_NEEDED = "not needed"
    """Somebody else has finished, or the app went away."""
    GIVEN_UP = "given up"
    """The deadline passed, the coordinator went away, or the work failed."""


class MinerEvent(enum.Enum):
    """Events in the life of a miner's task."""

    ACCEPT = "accept"
    GET_INPUT = "get input"
    COMMIT = "commit"
    HEAR_RECEIVED = "hear received"
    HEAR_NOT_NEEDED = "hear not needed"
    GIVE_UP = "give up"


class AuditorState(enum.Enum):
    """Where the audit of one miner's work is, for an auditor that was drawn for it."""

    DRAWN = "drawn"
    """A commitment has been heard."""
    ASKED = "asked"
    """The miner was asked to open steps of its trace."""
    CHECKING = "checking"
    """It has opened them."""
    JUDGED = "judged"
    """The verdict is signed."""
    PUBLISHED = "published"
    """The verdict is with everybody."""
    EXPIRED = "expired"
    """The time for the audit passed without a verdict."""


class AuditorEvent(enum.Enum):
    """Events in the life of an audit."""

    ASK = "ask"
    GET_OPENING = "get opening"
    MISS_OPENING = "miss opening"
    JUDGE = "judge"
    PUBLISH = "publish"
    EXPIRE = "expire"


@dataclass(frozen=True)
class Table(Generic[StateT, EventT]):
    """The transitions allowed, for one role.

    :ivar start: where every life begins.
    :ivar transitions: state that follows, by state and event; a pair that is not there is a bug.
    """

    start: StateT
    transitions: Mapping[tuple[StateT, EventT], StateT]

    @property
    def ended(self) -> frozenset[StateT]:
        """States that nothing follows."""
        return frozenset(type(self.start)) - {state for state, _ in self.transitions}


COORDINATOR = Table(
    CoordinatorState.QUEUED,
    {
        (CoordinatorState.QUEUED, CoordinatorEvent.ANNOUNCE): CoordinatorState.ANNOUNCED,
        (CoordinatorState.QUEUED, CoordinatorEvent.CANCEL): CoordinatorState.CANCELLED,
        (CoordinatorState.ANNOUNCED, CoordinatorEvent.ACCEPT): CoordinatorState.RUNNING,
        (CoordinatorState.ANNOUNCED, CoordinatorEvent.EXPIRE): CoordinatorState.EXPIRED,
        (CoordinatorState.ANNOUNCED, CoordinatorEvent.CANCEL): CoordinatorState.CANCELLED,
        (CoordinatorState.RUNNING, CoordinatorEvent.LOSE_MINER): CoordinatorState.FAILED_OVER,
        (CoordinatorState.RUNNING, CoordinatorEvent.COMMIT): CoordinatorState.COMMITTED,
        (CoordinatorState.RUNNING, CoordinatorEvent.EXPIRE): CoordinatorState.EXPIRED,
        (CoordinatorState.RUNNING, CoordinatorEvent.CANCEL): CoordinatorState.CANCELLED,
        (CoordinatorState.FAILED_OVER, CoordinatorEvent.ACCEPT): CoordinatorState.RUNNING,
        (CoordinatorState.FAILED_OVER, CoordinatorEvent.EXPIRE): CoordinatorState.EXPIRED,
        (CoordinatorState.FAILED_OVER, CoordinatorEvent.CANCEL): CoordinatorState.CANCELLED,
        (CoordinatorState.COMMITTED, CoordinatorEvent.DELIVER): CoordinatorState.DELIVERED,
    },
)
MINER = Table(
    MinerState.WAITING,
    {
        (MinerState.WAITING, MinerEvent.ACCEPT): MinerState.ACCEPTED,
        (MinerState.WAITING, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.WAITING, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
        (MinerState.ACCEPTED, MinerEvent.GET_INPUT): MinerState.WORKING,
        (MinerState.ACCEPTED, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.ACCEPTED, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
        (MinerState.WORKING, MinerEvent.COMMIT): MinerState.COMMITTED,
        (MinerState.WORKING, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.WORKING, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
        (MinerState.COMMITTED, MinerEvent.HEAR_RECEIVED): MinerState.DELIVERED,
        (MinerState.COMMITTED, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.COMMITTED, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
    },
)
AUDITOR = Table(
    AuditorState.DRAWN,
    {
        (AuditorState.DRAWN, AuditorEvent.ASK): AuditorState.ASKED,
        (AuditorState.DRAWN, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
        (AuditorState.ASKED, AuditorEvent.GET_OPENING): AuditorState.CHECKING,
        (AuditorState.ASKED, AuditorEvent.MISS_OPENING): AuditorState.JUDGED,
        (AuditorState.ASKED, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
        (AuditorState.CHECKING, AuditorEvent.JUDGE): AuditorState.JUDGED,
        (AuditorState.CHECKING, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
        (AuditorState.JUDGED, AuditorEvent.PUBLISH): AuditorState.PUBLISHED,
    },
)


class IllegalTransition(LocalError):
    """Our own code tried what the table does not have. :ivar state, event: the pair that is missing."""

    def __init__(self, state: enum.Enum, event: enum.Enum) -> None:
        super().__init__(f"a task that is {state.value} cannot {event.value}")
        self.state = state
        self.event = event


def after(table: Table[StateT, EventT], state: StateT, event: EventT) -> StateT:
    """State that follows.

    :raises IllegalTransition: the table has no such pair.
    """
    try:
        return table.transitions[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None


class Life(Generic[StateT, EventT]):
    """One task's place in a table. :ivar state: where it is now."""

    def __init__(self, table: Table[StateT, EventT]) -> None:
        self._table = table
        self.state = table.start

    @property
    def over(self) -> bool:
        """Whether nothing can follow."""
        return self.state in self._table.ended

    def move(self, event: EventT) -> None:
        """Go on to the state that follows.

        :raises IllegalTransition: the table has no such pair.
        """
        self.state = after(self._table, self.state, event)


def mermaid(table: Table[StateT, EventT]) -> str:
    """A table as a Mermaid state diagram; it stands in this folder's README."""
    name = {state: state.value.replace(" ", "_") for state in type(table.start)}
    lines = ["stateDiagram-v2", f"    [*] --> {name[table.start]}"]
    lines += [
        f"    {name[state]} --> {name[target]}: {event.value}"
        for (state, event), target in table.transitions.items()
    ]
    lines += [f"    {name[state]} --> [*]" for state in type(table.start) if state in table.ended]
    return "\n".join(lines)
