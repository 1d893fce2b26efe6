"""Frames of direct streams: their form and their limits.

Is: length-prefixed frames with credit and an explicit end.
Is not: their coding (:mod:`p2p.framing`), nor a stream (:mod:`p2p.streams`).

A remote reset may read as a plain end of file, so a transfer says itself where it ends:

    frame  = length (4 bytes, big-endian, counts type and body) | type (1 byte) | body
    DATA   = type 0, body: the last or only piece of a payload, 1 to PIECE_BYTES_MAX bytes
    END    = type 1, body: payloads (8 bytes, big-endian) | their bytes (8 bytes) | SHA-256 of all in order
    ERROR  = type 2, body: code (2 bytes, big-endian) | UTF-8 text, at most 256 bytes
    CREDIT = type 3, body: bytes (8 bytes, big-endian)
    PART   = type 4, body: a piece of a payload, 1 to PIECE_BYTES_MAX bytes, of which more follow

A direction may carry CREDIT_BYTES of PART and DATA frames, headers included, from the start, and then as
many in all as the last CREDIT of the other direction says; each CREDIT says more than the one before. So a
reader that is slow holds up one writer in one stream, and neither the muxer's window nor other streams.

After END only CREDIT may follow, after ERROR nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

PIECE_BYTES_MAX: Final = 32 * 1024
"""Largest piece of a payload in one frame: small, so that frames of both directions get their turn."""
PAYLOAD_BYTES_MAX: Final = 1024 * 1024
"""Default limit on one payload; a protocol with smaller ones says so."""
STREAM_BYTES_MAX: Final = 64 * 1024 * 1024
"""Default limit on the payload bytes of one direction of one stream."""
STREAM_FRAMES_MAX: Final = 65_536
"""Limit on the frames of one direction of one stream: nobody is kept busy by crumbs for ever."""
CREDIT_BYTES: Final = 128 * 1024
"""Bytes that a writer may send and the reader has not taken. Half of the muxer's window of 256 KiB."""
ERROR_TEXT_BYTES_MAX: Final = 256

FRAME_BYTES_MAX: Final = 1 + PIECE_BYTES_MAX
"""Largest value of a frame's length field."""


@dataclass(frozen=True, slots=True)
class Data:
    """One whole payload. :ivar payload: at least 1 byte, at most the reader's limit."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a payload came; the payload follows as Data when it is whole."""


@dataclass(frozen=True, slots=True)
class Credit:
    """Bytes that we may send in all. :ivar total_bytes: of PART and DATA frames, headers included."""

    total_bytes: int


@dataclass(frozen=True, slots=True)
class End:
    """The clean end; counts and hash have been checked by the reader."""


@dataclass(frozen=True, slots=True)
class Abort:
    """The remote's ERROR frame. :ivar code: 0 to 65535; :ivar text: at most 256 bytes in UTF-8."""

    code: int
    text: str


Frame: TypeAlias = Data | Part | Credit | End | Abort
