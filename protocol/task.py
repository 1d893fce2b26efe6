"""The life of a task as tables: of the order behind it, of the task at its coordinator, of each drawn miner's
turn there, and of the task at each miner and at each auditor.

Everything that decides what may follow what is in these `Table`s; nothing elsewhere compares states.
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


class OrderState(enum.Enum):
    """Where an app's order is, for its coordinator."""

    QUEUED = "queued"
    """Taken from the app; no task of it is live."""
    LIVE = "live"
    """One task of it is announced."""
    DELIVERED = "delivered"
    """Its result is here."""
    FAILED = "failed"
    """It has ended without a result, for a reason that the app hears."""
    CANCELLED = "cancelled"
    """The app does not want it any more."""


class OrderEvent(enum.Enum):
    """Events in an order's life."""

    DRAW = "draw"
    RETURN = "return"
    DELIVER = "deliver"
    FAIL = "fail"
    CANCEL = "cancel"


class CoordinatorState(enum.Enum):
    """Where a task is, for its coordinator."""

    DRAWN = "drawn"
    """Written down, not signed yet."""
    ANNOUNCED = "announced"
    """Signed and published; waiting for the drawn miner."""
    RUNNING = "running"
    """A miner has accepted and was given the input."""
    FAILED_OVER = "failed over"
    """The miner has ended its turn; waiting for another in the ranking."""
    DELIVERED = "delivered"
    """A miner has committed to a result that fits what it streamed, and all of it is here."""
    EXHAUSTED = "exhausted"
    """Every assigned miner has declined, ended its turn, or not come by its time."""
    EXPIRED = "expired"
    """The deadline passed without a result."""
    CANCELLED = "cancelled"
    """The app went away, or the task cannot be paid."""


class CoordinatorEvent(enum.Enum):
    """Events in the life of a coordinator's task."""

    ANNOUNCE = "announce"
    GIVE_INPUT = "give input"
    END_TURN = "end turn"
    DELIVER = "deliver"
    EXHAUST = "exhaust"
    EXPIRE = "expire"
    CANCEL = "cancel"


class TurnState(enum.Enum):
    """Where an assigned miner is with a task, for its coordinator."""

    AWAITED = "awaited"
    """It has not come, and may."""
    PASSED = "passed"
    """It has not come by its time; it may still come, but nobody waits for it."""
    HERE = "here"
    """It has accepted on a stream, and waits for the input."""
    WORKING = "working"
    """It was given the input."""
    ENDED = "ended"
    """It has declined, was lost or broke the protocol."""
    DELIVERED = "delivered"
    """Its result is the task's."""


class TurnEvent(enum.Enum):
    """Events in an assigned miner's turn."""

    PASS = "pass"  # noqa: S105 - not a password
    COME = "come"
    LEAVE = "leave"
    GIVE_INPUT = "give input"
    INTERRUPT = "interrupt"
    DECLINE = "decline"
    LOSE = "lose"
    DELIVER = "deliver"


class MinerState(enum.Enum):
    """Where a task is, for a miner that was drawn for it."""

    HEARD = "heard"
    """Announced; whether its coordinator can pay is being looked at."""
    WAITING = "waiting"
    """Its rank has not come, or it is on its way to the coordinator."""
    ACCEPTED = "accepted"
    """It has told the coordinator, and waits for the input."""
    WORKING = "working"
    """It has the input, and one of its own slots."""
    COMMITTED = "committed"
    """It has signed what came out; parts and commitment are on their way."""
    DELIVERED = "delivered"
    """The coordinator has everything."""
    NOT_NEEDED = "not needed"
    """Somebody else has finished, or the app went away."""
    DECLINED = "declined"
    """It has told the coordinator that it will not do it."""
    GIVEN_UP = "given up"
    """The deadline passed, or the coordinator cannot be reached or broke the protocol."""


class MinerEvent(enum.Enum):
    """Events in the life of a miner's task."""

    TRUST = "trust"
    ACCEPT = "accept"
    GET_INPUT = "get input"
    COMMIT = "commit"
    LOSE_COORDINATOR = "lose coordinator"
    HEAR_RECEIVED = "hear received"
    HEAR_NOT_NEEDED = "hear not needed"
    DECLINE = "decline"
    GIVE_UP = "give up"


class AuditorState(enum.Enum):
    """Where the audit of one miner's work is, for a node that may be drawn to audit it."""

    HEARD = "heard"
    """A commitment has been heard; the dice are not known yet."""
    DRAWN = "drawn"
    """The dice have drawn this node; the miner is to be asked, or asked once more."""
    ASKED = "asked"
    """The miner was asked to open steps of its trace."""
    CHECKING = "checking"
    """It has opened them."""
    JUDGED = "judged"
    """The verdict is known, and not written down yet."""
    NOTED = "noted"
    """The verdict is written down: from now on it may be signed."""
    PUBLISHED = "published"
    """The verdict is with everybody."""
    PASSED = "passed"
    """The dice have not drawn this node, or do not any more."""
    EXPIRED = "expired"
    """The time for the audit passed without a verdict, or this node cannot make one."""


class AuditorEvent(enum.Enum):
    """Events in the life of an audit."""

    DRAW = "draw"
    PASS = "pass"  # noqa: S105 - not a password
    ASK = "ask"
    GET_OPENING = "get opening"
    MISS_OPENING = "miss opening"
    WANT_MORE = "want more"
    JUDGE = "judge"
    NOTE = "note"
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


ORDER = Table(
    OrderState.QUEUED,
    {
        (OrderState.QUEUED, OrderEvent.DRAW): OrderState.LIVE,
        (OrderState.QUEUED, OrderEvent.FAIL): OrderState.FAILED,
        (OrderState.QUEUED, OrderEvent.CANCEL): OrderState.CANCELLED,
        (OrderState.LIVE, OrderEvent.RETURN): OrderState.QUEUED,
        (OrderState.LIVE, OrderEvent.DELIVER): OrderState.DELIVERED,
        (OrderState.LIVE, OrderEvent.FAIL): OrderState.FAILED,
        (OrderState.LIVE, OrderEvent.CANCEL): OrderState.CANCELLED,
    },
)
COORDINATOR = Table(
    CoordinatorState.DRAWN,
    {
        (CoordinatorState.DRAWN, CoordinatorEvent.ANNOUNCE): CoordinatorState.ANNOUNCED,
        (CoordinatorState.DRAWN, CoordinatorEvent.EXPIRE): CoordinatorState.EXPIRED,
        (CoordinatorState.DRAWN, CoordinatorEvent.CANCEL): CoordinatorState.CANCELLED,
        (CoordinatorState.ANNOUNCED, CoordinatorEvent.GIVE_INPUT): CoordinatorState.RUNNING,
        (CoordinatorState.ANNOUNCED, CoordinatorEvent.EXHAUST): CoordinatorState.EXHAUSTED,
        (CoordinatorState.ANNOUNCED, CoordinatorEvent.EXPIRE): CoordinatorState.EXPIRED,
        (CoordinatorState.ANNOUNCED, CoordinatorEvent.CANCEL): CoordinatorState.CANCELLED,
        (CoordinatorState.RUNNING, CoordinatorEvent.END_TURN): CoordinatorState.FAILED_OVER,
        (CoordinatorState.RUNNING, CoordinatorEvent.DELIVER): CoordinatorState.DELIVERED,
        (CoordinatorState.RUNNING, CoordinatorEvent.EXPIRE): CoordinatorState.EXPIRED,
        (CoordinatorState.RUNNING, CoordinatorEvent.CANCEL): CoordinatorState.CANCELLED,
        (CoordinatorState.FAILED_OVER, CoordinatorEvent.GIVE_INPUT): CoordinatorState.RUNNING,
        (CoordinatorState.FAILED_OVER, CoordinatorEvent.EXHAUST): CoordinatorState.EXHAUSTED,
        (CoordinatorState.FAILED_OVER, CoordinatorEvent.EXPIRE): CoordinatorState.EXPIRED,
        (CoordinatorState.FAILED_OVER, CoordinatorEvent.CANCEL): CoordinatorState.CANCELLED,
    },
)
TURN = Table(
    TurnState.AWAITED,
    {
        (TurnState.AWAITED, TurnEvent.PASS): TurnState.PASSED,
        (TurnState.AWAITED, TurnEvent.COME): TurnState.HERE,
        (TurnState.AWAITED, TurnEvent.DECLINE): TurnState.ENDED,
        (TurnState.PASSED, TurnEvent.COME): TurnState.HERE,
        (TurnState.PASSED, TurnEvent.DECLINE): TurnState.ENDED,
        (TurnState.HERE, TurnEvent.LEAVE): TurnState.AWAITED,
        (TurnState.HERE, TurnEvent.DECLINE): TurnState.ENDED,
        (TurnState.HERE, TurnEvent.GIVE_INPUT): TurnState.WORKING,
        (TurnState.WORKING, TurnEvent.INTERRUPT): TurnState.AWAITED,
        (TurnState.WORKING, TurnEvent.DECLINE): TurnState.ENDED,
        (TurnState.WORKING, TurnEvent.LOSE): TurnState.ENDED,
        (TurnState.WORKING, TurnEvent.DELIVER): TurnState.DELIVERED,
    },
)
MINER = Table(
    MinerState.HEARD,
    {
        (MinerState.HEARD, MinerEvent.TRUST): MinerState.WAITING,
        (MinerState.HEARD, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.HEARD, MinerEvent.DECLINE): MinerState.DECLINED,
        (MinerState.HEARD, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
        (MinerState.WAITING, MinerEvent.ACCEPT): MinerState.ACCEPTED,
        (MinerState.WAITING, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.WAITING, MinerEvent.DECLINE): MinerState.DECLINED,
        (MinerState.WAITING, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
        (MinerState.ACCEPTED, MinerEvent.GET_INPUT): MinerState.WORKING,
        (MinerState.ACCEPTED, MinerEvent.LOSE_COORDINATOR): MinerState.WAITING,
        (MinerState.ACCEPTED, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.ACCEPTED, MinerEvent.DECLINE): MinerState.DECLINED,
        (MinerState.ACCEPTED, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
        (MinerState.WORKING, MinerEvent.COMMIT): MinerState.COMMITTED,
        (MinerState.WORKING, MinerEvent.LOSE_COORDINATOR): MinerState.WAITING,
        (MinerState.WORKING, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.WORKING, MinerEvent.DECLINE): MinerState.DECLINED,
        (MinerState.WORKING, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
        (MinerState.COMMITTED, MinerEvent.HEAR_RECEIVED): MinerState.DELIVERED,
        (MinerState.COMMITTED, MinerEvent.LOSE_COORDINATOR): MinerState.WAITING,
        (MinerState.COMMITTED, MinerEvent.HEAR_NOT_NEEDED): MinerState.NOT_NEEDED,
        (MinerState.COMMITTED, MinerEvent.GIVE_UP): MinerState.GIVEN_UP,
    },
)
AUDITOR = Table(
    AuditorState.HEARD,
    {
        (AuditorState.HEARD, AuditorEvent.DRAW): AuditorState.DRAWN,
        (AuditorState.HEARD, AuditorEvent.PASS): AuditorState.PASSED,
        (AuditorState.HEARD, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
        (AuditorState.DRAWN, AuditorEvent.ASK): AuditorState.ASKED,
        (AuditorState.DRAWN, AuditorEvent.JUDGE): AuditorState.JUDGED,
        (AuditorState.DRAWN, AuditorEvent.PASS): AuditorState.PASSED,
        (AuditorState.DRAWN, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
        (AuditorState.ASKED, AuditorEvent.GET_OPENING): AuditorState.CHECKING,
        (AuditorState.ASKED, AuditorEvent.MISS_OPENING): AuditorState.DRAWN,
        (AuditorState.ASKED, AuditorEvent.PASS): AuditorState.PASSED,
        (AuditorState.ASKED, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
        (AuditorState.CHECKING, AuditorEvent.WANT_MORE): AuditorState.DRAWN,
        (AuditorState.CHECKING, AuditorEvent.JUDGE): AuditorState.JUDGED,
        (AuditorState.CHECKING, AuditorEvent.PASS): AuditorState.PASSED,
        (AuditorState.CHECKING, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
        (AuditorState.JUDGED, AuditorEvent.NOTE): AuditorState.NOTED,
        (AuditorState.JUDGED, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
        (AuditorState.NOTED, AuditorEvent.PUBLISH): AuditorState.PUBLISHED,
        (AuditorState.NOTED, AuditorEvent.EXPIRE): AuditorState.EXPIRED,
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
