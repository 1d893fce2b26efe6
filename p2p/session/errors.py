"""The errors of a session; nothing else comes out of one, whatever a peer sends.

Is: errors that are both ours (:mod:`protocol.errors`) and the library's, whose protocols run on our streams.
Is not: the names of violations (:mod:`p2p.session.counts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libp2p.io.exceptions import IOException
from libp2p.security.exceptions import HandshakeFailure
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamClosed, MuxedStreamReset

from protocol.errors import LocalError, ProtocolError, Refusal

if TYPE_CHECKING:
    from p2p.session.counts import Violation


class HandshakeRefused(ProtocolError, HandshakeFailure):  # type: ignore[misc, unused-ignore] # untyped
    """The remote is not who it must be, or speaks no noise. :ivar violation: what it did wrong."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"the handshake failed: {violation}")
        self.violation = violation


class ConnectionLost(
    Refusal,
    MuxedStreamReset,  # type: ignore[misc, unused-ignore] # as above
    MuxedConnUnavailable,  # type: ignore[misc, unused-ignore] # as above
    IOException,  # type: ignore[misc, unused-ignore] # as above
):
    """The connection below is gone. :ivar reason: why, in few words."""


class StreamWasReset(Refusal, MuxedStreamReset):  # type: ignore[misc, unused-ignore] # as above
    """The stream was reset, by the remote or by ourselves."""


class StreamIsClosed(LocalError, MuxedStreamClosed):  # type: ignore[misc, unused-ignore] # as above
    """We have ended this direction ourselves, and use it still."""


class TooManyStreams(Refusal, MuxedConnUnavailable):  # type: ignore[misc, unused-ignore] # as above
    """We have as many streams open on this connection as one may."""
