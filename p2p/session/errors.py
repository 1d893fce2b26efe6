"""The errors of a session; nothing else comes out of one, whatever a peer sends.

Is: errors that are both ours (:mod:`protocol.errors`) and the library's, whose protocols run on our streams.
Is not: the names of violations; those are counted where they are found.
"""

from __future__ import annotations

from libp2p.io.exceptions import IOException
from libp2p.security.exceptions import HandshakeFailure
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamClosed, MuxedStreamReset

from protocol.errors import LocalError, ProtocolError, Refusal


class HandshakeRefused(ProtocolError, HandshakeFailure):  # type: ignore[misc, unused-ignore] # untyped
    """The remote is not who it must be, or speaks no noise. :ivar name: of the violation, as counted."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the handshake failed: {name}")
        self.name = name


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
