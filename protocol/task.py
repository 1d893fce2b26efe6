"""The life of a task, as its coordinator sees it: one transition table.

Everything that decides what may follow what is in `TRANSITIONS`; nothing elsewhere compares states.
Deadlines are data of the announcement, never sleeps in here.
"""

from __future__ import annotations

import enum

from protocol.errors import LocalError


class State(enum.Enum):
    """Where a task is."""

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


class Event(enum.Enum):
    """What can happen to a task."""

    ANNOUNCE = "announce"
    ACCEPT = "accept"
    LOSE_MINER = "lose miner"
    COMMIT = "commit"
    DELIVER = "deliver"
    EXPIRE = "expire"
    CANCEL = "cancel"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.QUEUED, Event.ANNOUNCE): State.ANNOUNCED,
    (State.QUEUED, Event.CANCEL): State.CANCELLED,
    (State.ANNOUNCED, Event.ACCEPT): State.RUNNING,
    (State.ANNOUNCED, Event.EXPIRE): State.EXPIRED,
    (State.ANNOUNCED, Event.CANCEL): State.CANCELLED,
    (State.RUNNING, Event.LOSE_MINER): State.FAILED_OVER,
    (State.RUNNING, Event.COMMIT): State.COMMITTED,
    (State.RUNNING, Event.EXPIRE): State.EXPIRED,
    (State.RUNNING, Event.CANCEL): State.CANCELLED,
    (State.FAILED_OVER, Event.ACCEPT): State.RUNNING,
    (State.FAILED_OVER, Event.EXPIRE): State.EXPIRED,
    (State.FAILED_OVER, Event.CANCEL): State.CANCELLED,
    (State.COMMITTED, Event.DELIVER): State.DELIVERED,
}
ENDED = frozenset(State) - {state for state, _ in TRANSITIONS}
"""States that nothing follows."""


class IllegalTransition(LocalError):
    """Our own code tried what the table does not have. :ivar state, event: the pair that is missing."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a task that is {state.value} cannot {event.value}")
        self.state = state
        self.event = event


def after(state: State, event: Event) -> State:
    """State that follows.

    :raises IllegalTransition: the table has no such pair.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None


def mermaid() -> str:
    """The table as a Mermaid state diagram; it stands in this folder's README."""
    lines = ["stateDiagram-v2", "    [*] --> queued"]
    name = {state: state.value.replace(" ", "_") for state in State}
    lines += [
        f"    {name[state]} --> {name[target]}: {event.value}"
        for (state, event), target in TRANSITIONS.items()
    ]
    lines += [f"    {name[state]} --> [*]" for state in State if state in ENDED]
    return "\n".join(lines)
