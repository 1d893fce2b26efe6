"""Framing of direct streams, sans I/O: bytes in, frames out, and the reverse.

Is: length-prefixed frames with an explicit end marker, under strict limits.
Is not: a stream; `streams` moves these bytes. No clock, no await.

A remote reset reads as a plain end of file on our transport, so a transfer says itself where it ends:

    frame  = length (4 bytes, big-endian, counts type and body) | type (1 byte) | body
    DATA   = type 0, body: 1 to FRAME_PAYLOAD_BYTES_MAX bytes of payload
    END    = type 1, body: number of DATA frames (8 bytes, big-endian) | SHA-256 of all payloads in order
    ERROR  = type 2, body: code (2 bytes, big-endian) | UTF-8 text, at most 256 bytes

After END or ERROR nothing may follow.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocol.errors import DecodeError, LocalError, ProtocolError, Refusal

FRAME_BYTES_MAX: Final = 1024 * 1024
"""Largest value of a frame's length field."""
FRAME_PAYLOAD_BYTES_MAX: Final = FRAME_BYTES_MAX - 1
"""Largest payload of one DATA frame."""
STREAM_BYTES_MAX: Final = 64 * 1024 * 1024
"""Default limit on the payload bytes of one direction of one stream."""
STREAM_FRAMES_MAX: Final = 65_536
"""Limit on the DATA frames of one direction of one stream: nobody is kept busy by crumbs for ever."""
ERROR_TEXT_BYTES_MAX: Final = 256

_LENGTH_BYTES: Final = 4
_COUNT_BYTES: Final = 8
_CODE_BYTES: Final = 2
_END_BODY_BYTES: Final = _COUNT_BYTES + 32
_DATA, _END, _ERROR = 0, 1, 2


class FrameTooLarge(ProtocolError):
    """A frame or the whole transfer exceeds its limit. :ivar bytes_max: the limit that was exceeded."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"more than {bytes_max} bytes")
        self.bytes_max = bytes_max


class TruncatedStream(ProtocolError):
    """The stream ended without its END frame: the remote went away, reset it, or cut it short."""


class CorruptStream(ProtocolError):
    """The END frame's count or hash is not that of the payloads received."""


class RemoteAborted(Refusal):
    """The remote ended the transfer with an ERROR frame.

    :ivar code: 0 to 65535, meaning is the protocol's; :ivar reason: the remote's text, untrusted.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Data:
    """One payload. :ivar payload: 1 to FRAME_PAYLOAD_BYTES_MAX bytes."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The clean end; count and hash have been checked by the reader."""


@dataclass(frozen=True, slots=True)
class Abort:
    """The remote's ERROR frame. :ivar code: 0 to 65535; :ivar text: at most 256 bytes in UTF-8."""

    code: int
    text: str


Frame: TypeAlias = Data | End | Abort


class FrameWriter:
    """Encodes one direction of a stream and keeps its count and hash."""

    def __init__(self, stream_bytes_max: int = STREAM_BYTES_MAX) -> None:
        self._hash = hashlib.sha256()
        self._frames = 0
        self._payload_bytes = 0
        self._stream_bytes_max = stream_bytes_max
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether END or ERROR was encoded: nothing more may be."""
        return self._ended

    def data(self, payload: bytes) -> bytes:
        """One DATA frame.

        :raises LocalError: the payload is empty or too large, the stream's limit is reached, or it ended.
        """
        self._must_be_open()
        if not 1 <= len(payload) <= FRAME_PAYLOAD_BYTES_MAX:
            raise LocalError(f"a payload is 1 to {FRAME_PAYLOAD_BYTES_MAX} bytes")
        if self._frames >= STREAM_FRAMES_MAX or self._payload_bytes + len(payload) > self._stream_bytes_max:
            raise LocalError("the stream's limit of payload is reached")
        self._frames += 1
        self._payload_bytes += len(payload)
        self._hash.update(payload)
        return _frame(_DATA, payload)

    def end(self) -> bytes:
        """The END frame over everything written so far. :raises LocalError: the direction ended already."""
        self._must_be_open()
        self._ended = True
        return _frame(_END, self._frames.to_bytes(_COUNT_BYTES) + self._hash.digest())

    def error(self, code: int, text: str) -> bytes:
        """An ERROR frame; the text is cut to 256 bytes. :raises LocalError: the direction ended already."""
        self._must_be_open()
        self._ended = True
        body = text.encode()[:ERROR_TEXT_BYTES_MAX].decode(errors="ignore").encode()
        return _frame(_ERROR, code.to_bytes(_CODE_BYTES) + body)

    def _must_be_open(self) -> None:
        if self._ended:
            raise LocalError("this direction of the stream has ended")


class FrameReader:
    """Decodes one direction of a stream, however its bytes are cut.

    Holds at most one frame's length of undecoded bytes beyond what the caller fed in one call.
    """

    def __init__(self, stream_bytes_max: int = STREAM_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._hash = hashlib.sha256()
        self._frames = 0
        self._payload_bytes = 0
        self._stream_bytes_max = stream_bytes_max
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether END or ERROR was read."""
        return self._ended

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. Never raises."""
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None until more bytes come.

        :raises FrameTooLarge: a frame, or the sum of payloads, is over its limit.
        :raises CorruptStream: END disagrees with what came.
        :raises DecodeError: unknown type, wrong body length, bad text, or bytes after the end.
        """
        if self._ended:
            if self._buffer:
                raise DecodeError("bytes after the end of the stream")
            return None
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        length = int.from_bytes(self._buffer[:_LENGTH_BYTES])
        if length > FRAME_BYTES_MAX:
            raise FrameTooLarge(FRAME_BYTES_MAX)
        if length == 0:
            raise DecodeError("a frame without a type")
        if len(self._buffer) < _LENGTH_BYTES + length:
            return None
        kind = self._buffer[_LENGTH_BYTES]
        body = bytes(self._buffer[_LENGTH_BYTES + 1 : _LENGTH_BYTES + length])
        del self._buffer[: _LENGTH_BYTES + length]
        return self._frame(kind, body)

    def end_of_file(self) -> None:
        """The transport ended. :raises TruncatedStream: it did so before END or ERROR."""
        if not self._ended:
            raise TruncatedStream("the stream ended without its end marker")

    def _frame(self, kind: int, body: bytes) -> Frame:
        if kind == _DATA:
            return self._data(body)
        if kind == _END:
            self._ended = True
            if len(body) != _END_BODY_BYTES:
                raise DecodeError("an END frame of the wrong length")
            if body != self._frames.to_bytes(_COUNT_BYTES) + self._hash.digest():
                raise CorruptStream("the count or hash at the end is not that of the payloads")
            return End()
        if kind == _ERROR:
            self._ended = True
            if not _CODE_BYTES <= len(body) <= _CODE_BYTES + ERROR_TEXT_BYTES_MAX:
                raise DecodeError("an ERROR frame of the wrong length")
            try:
                text = body[_CODE_BYTES:].decode()
            except UnicodeDecodeError as error:
                raise DecodeError("the text of an ERROR frame is not UTF-8") from error
            return Abort(int.from_bytes(body[:_CODE_BYTES]), text)
        raise DecodeError("an unknown frame type")

    def _data(self, payload: bytes) -> Data:
        if not payload:
            raise DecodeError("a DATA frame without payload")
        self._frames += 1
        self._payload_bytes += len(payload)
        if self._frames > STREAM_FRAMES_MAX or self._payload_bytes > self._stream_bytes_max:
            raise FrameTooLarge(self._stream_bytes_max)
        self._hash.update(payload)
        return Data(payload)


def _frame(kind: int, body: bytes) -> bytes:
    return (1 + len(body)).to_bytes(_LENGTH_BYTES) + bytes((kind,)) + body
