"""How a peer is asked for its time, to compare clocks by round trips.

Is: the question and the answer on a stream of `/cuckoo/clock/1`, and how many one stream holds.
Is not: what a node makes of the answers (`node/peer/clocks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from protocol.schema import Bytes, Encoded, Uint64

NONCE_BYTES: Final = 16
QUESTIONS_PER_STREAM_MAX: Final = 4
"""The quickest of a few round trips is the one that tells most."""
CLOCK_PAYLOAD_BYTES_MAX: Final = 64
"""Longest payload of the protocol, either way."""

Nonce = Annotated[bytes, Bytes(NONCE_BYTES, NONCE_BYTES)]


@dataclass(frozen=True, slots=True)
class ClockQuestion(Encoded):
    """Anybody: "what time is it with you?".

    :ivar nonce: random, so that nobody can answer before it is asked.
    """

    nonce: Nonce


@dataclass(frozen=True, slots=True)
class ClockAnswer(Encoded):
    """The peer that was asked.

    :ivar nonce: of the question.
    :ivar time_ms: Unix time in milliseconds, as the peer's clock shows it.
    """

    nonce: Nonce
    time_ms: Uint64
