"""Yamux's streams: the state of one, and the events that come of what a remote sends.

Is: values. Is not: a rule (:mod:`p2p.session.yamux`).
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

WINDOW_BYTES: Final = 256 * 1024
"""Bytes of a new stream's window, by the specification."""


class Opened(NamedTuple):
    """The remote has opened a stream."""

    stream_id: int


class Data(NamedTuple):
    """Bytes have come on a stream, at least one."""

    stream_id: int
    data: bytes


class Finished(NamedTuple):
    """The remote will send no more on a stream."""

    stream_id: int


class Reset(NamedTuple):
    """The remote has reset a stream."""

    stream_id: int


class Writable(NamedTuple):
    """A stream's window was shut and is open."""

    stream_id: int


class Pong(NamedTuple):
    """A ping of ours was answered. :ivar value: what it said."""

    value: int


class GoneAway(NamedTuple):
    """The remote ends the connection. :ivar code: 0 normal, 1 protocol error, 2 internal error."""

    code: int


Event: TypeAlias = Opened | Data | Finished | Reset | Writable | Pong | GoneAway


class StreamState:
    """Where a stream is.

    :ivar send_window: bytes that we may send; :ivar receive_window: bytes that the remote may.
    :ivar window_bytes: bytes of our window now; :ivar consumed: those read and not yet granted again.
    """

    __slots__ = (
        "abandoned",
        "consumed",
        "granted_ms",
        "local_finished",
        "receive_window",
        "remote_finished",
        "send_window",
        "window_bytes",
    )

    def __init__(self) -> None:
        self.send_window = WINDOW_BYTES
        self.receive_window = WINDOW_BYTES
        self.window_bytes = WINDOW_BYTES
        self.consumed = 0
        self.granted_ms = 0
        self.local_finished = False
        self.remote_finished = False
        self.abandoned = False
