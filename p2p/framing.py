"""Framing of direct streams, sans I/O: bytes in, frames out, and the reverse.

Is: a writer and a reader of one direction, under the limits of :mod:`p2p.frames`, which has the format.
Is not: a stream; :mod:`p2p.streams` moves these bytes. No clock, no await.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from p2p.frames import (
    CREDIT_BYTES,
    ERROR_TEXT_BYTES_MAX,
    FRAME_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PIECE_BYTES_MAX,
    STREAM_BYTES_MAX,
    STREAM_FRAMES_MAX,
    Abort,
    Credit,
    Data,
    End,
    Part,
)
from p2p.stream_errors import CorruptStream, CreditExceeded, FrameTooLarge, TruncatedStream
from protocol.errors import DecodeError, LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2p.frames import Frame

_LENGTH_BYTES: Final = 4
_HEADER_BYTES: Final = _LENGTH_BYTES + 1
_COUNT_BYTES: Final = 8
_CODE_BYTES: Final = 2
_END_BODY_BYTES: Final = 2 * _COUNT_BYTES + 32
_DATA, _END, _ERROR, _CREDIT, _PART = range(5)


class FrameWriter:
    """Encodes one direction of a stream and keeps its counts and hash.

    :ivar sent_bytes: of PART and DATA frames so far, headers included.
    """

    def __init__(self, stream_bytes_max: int = STREAM_BYTES_MAX) -> None:
        self.sent_bytes = 0
        self._hash = hashlib.sha256()
        self._frames = 0
        self._payloads = 0
        self._payload_bytes = 0
        self._stream_bytes_max = stream_bytes_max
        self._credited = CREDIT_BYTES
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether END or ERROR was encoded: no more payload may be."""
        return self._ended

    def payload(self, payload: bytes) -> Iterator[bytes]:
        """The frames of one payload, in order; all of them must be sent before anything else but CREDIT.

        :raises LocalError: the payload is empty or too large, the stream's limit is reached, or it ended.
        """
        self._must_be_open()
        if not payload:
            raise LocalError("a payload has at least 1 byte")
        pieces = range(0, len(payload), PIECE_BYTES_MAX)
        if (
            self._frames + len(pieces) > STREAM_FRAMES_MAX
            or self._payload_bytes + len(payload) > self._stream_bytes_max
        ):
            raise LocalError("the stream's limit of payload is reached")
        self._frames += len(pieces)
        self._payloads += 1
        self._payload_bytes += len(payload)
        self._hash.update(payload)
        return (self._piece(payload, start) for start in pieces)

    def credit(self, total_bytes: int) -> bytes:
        """A CREDIT frame. :raises LocalError: it says no more than the last one."""
        if total_bytes <= self._credited:
            raise LocalError("credit only grows")
        self._credited = total_bytes
        return _frame(_CREDIT, total_bytes.to_bytes(_COUNT_BYTES))

    def end(self) -> bytes:
        """The END frame over everything written so far. :raises LocalError: the direction ended already."""
        self._must_be_open()
        self._ended = True
        counts = self._payloads.to_bytes(_COUNT_BYTES) + self._payload_bytes.to_bytes(_COUNT_BYTES)
        return _frame(_END, counts + self._hash.digest())

    def error(self, code: int, text: str) -> bytes:
        """An ERROR frame; the text is cut to 256 bytes. :raises LocalError: the direction ended already."""
        self._must_be_open()
        self._ended = True
        body = text.encode()[:ERROR_TEXT_BYTES_MAX].decode(errors="ignore").encode()
        return _frame(_ERROR, code.to_bytes(_CODE_BYTES) + body)

    def _piece(self, payload: bytes, start: int) -> bytes:
        piece = payload[start : start + PIECE_BYTES_MAX]
        frame = _frame(_DATA if start + len(piece) == len(payload) else _PART, piece)
        self.sent_bytes += len(frame)
        return frame

    def _must_be_open(self) -> None:
        if self._ended:
            raise LocalError("this direction of the stream has ended")


class FrameReader:
    """Decodes one direction of a stream, however its bytes are cut.

    Holds at most one payload's length beyond what the caller fed in one call.

    :ivar data_bytes: of PART and DATA frames decoded so far, headers included.
    :ivar allowed_bytes: what the remote may send of them; raise it when you grant credit.
    """

    def __init__(
        self, stream_bytes_max: int = STREAM_BYTES_MAX, payload_bytes_max: int = PAYLOAD_BYTES_MAX
    ) -> None:
        self.data_bytes = 0
        self.allowed_bytes = CREDIT_BYTES
        self._buffer = bytearray()
        self._parts = bytearray()
        self._hash = hashlib.sha256()
        self._frames = self._payloads = self._payload_bytes = self._credits = 0
        self._credited = CREDIT_BYTES
        self._stream_bytes_max = stream_bytes_max
        self._payload_bytes_max = payload_bytes_max
        self._ended = self._aborted = False

    @property
    def ended(self) -> bool:
        """Whether END or ERROR was read."""
        return self._ended

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. Never raises."""
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """The next frame, or None until more bytes come.

        :raises FrameTooLarge: a frame, a payload, or the sum of payloads is over its limit.
        :raises CreditExceeded: more came than we had allowed, or credit shrank.
        :raises CorruptStream: END disagrees with what came.
        :raises DecodeError: unknown type, wrong body length, bad text, or bytes after the end.
        """
        if self._aborted and self._buffer:
            raise DecodeError("bytes after the end of the stream")
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
        body = bytes(self._buffer[_HEADER_BYTES : _LENGTH_BYTES + length])
        del self._buffer[: _LENGTH_BYTES + length]
        return self._frame(kind, body)

    def end_of_file(self) -> None:
        """The transport ended.

        :raises TruncatedStream: it did so before END or ERROR.
        :raises DecodeError: it did so within a frame after them.
        """
        if not self._ended:
            raise TruncatedStream("the stream ended without its end marker")
        if self._buffer:
            raise DecodeError("bytes after the end of the stream")

    def _frame(self, kind: int, body: bytes) -> Frame:
        if kind == _CREDIT:
            return self._credit(body)
        if self._ended:
            raise DecodeError("a frame after the end of the stream")
        if kind in (_DATA, _PART):
            return self._piece(body, last=kind == _DATA)
        if kind == _END:
            return self._end(body)
        if kind == _ERROR:
            return self._error(body)
        raise DecodeError("an unknown frame type")

    def _piece(self, piece: bytes, *, last: bool) -> Data | Part:
        if not piece:
            raise DecodeError("a frame without payload")
        self.data_bytes += _HEADER_BYTES + len(piece)
        if self.data_bytes > self.allowed_bytes:
            raise CreditExceeded("more than there was credit for")
        self._frames += 1
        self._payload_bytes += len(piece)
        if self._frames > STREAM_FRAMES_MAX or self._payload_bytes > self._stream_bytes_max:
            raise FrameTooLarge(self._stream_bytes_max)
        if len(self._parts) + len(piece) > self._payload_bytes_max:
            raise FrameTooLarge(self._payload_bytes_max)
        self._hash.update(piece)
        self._parts += piece
        if not last:
            return Part()
        payload = bytes(self._parts)
        self._parts.clear()
        self._payloads += 1
        return Data(payload)

    def _credit(self, body: bytes) -> Credit:
        if len(body) != _COUNT_BYTES:
            raise DecodeError("a CREDIT frame of the wrong length")
        total_bytes = int.from_bytes(body)
        if total_bytes <= self._credited:
            raise CreditExceeded("credit that does not grow")
        self._credited = total_bytes
        self._credits += 1
        if self._credits > STREAM_FRAMES_MAX:
            raise FrameTooLarge(STREAM_FRAMES_MAX)
        return Credit(total_bytes)

    def _end(self, body: bytes) -> End:
        self._ended = True
        if len(body) != _END_BODY_BYTES:
            raise DecodeError("an END frame of the wrong length")
        counts = self._payloads.to_bytes(_COUNT_BYTES) + self._payload_bytes.to_bytes(_COUNT_BYTES)
        if body != counts + self._hash.digest() or self._parts:
            raise CorruptStream("the counts or hash at the end are not those of the payloads")
        return End()

    def _error(self, body: bytes) -> Abort:
        self._ended = self._aborted = True
        if not _CODE_BYTES <= len(body) <= _CODE_BYTES + ERROR_TEXT_BYTES_MAX:
            raise DecodeError("an ERROR frame of the wrong length")
        try:
            text = body[_CODE_BYTES:].decode()
        except UnicodeDecodeError as error:
            raise DecodeError("the text of an ERROR frame is not UTF-8") from error
        return Abort(int.from_bytes(body[:_CODE_BYTES]), text)


def _frame(kind: int, body: bytes) -> bytes:
    return (1 + len(body)).to_bytes(_LENGTH_BYTES) + bytes((kind,)) + body
