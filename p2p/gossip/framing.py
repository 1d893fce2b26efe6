"""Gossip's frames: RPCs in a stream, each after its length as an unsigned varint.

Is: an incremental splitter, and its inverse. Is not: aware of what an RPC is (:mod:`p2p.gossip.wire`).
"""

from __future__ import annotations

from typing import Final

from p2p.varints import VARINT_CONTINUES, encode_varint
from protocol.errors import DecodeError

VARINT_BYTES_MAX: Final = 4
"""Bytes of a length prefix: 2^28, beyond any limit here."""


def frame(rpc: bytes) -> bytes:
    """An RPC with its length before it, as an unsigned varint."""
    return encode_varint(len(rpc)) + rpc


class FrameSplitter:
    """Cuts a stream of bytes into RPCs, however the bytes come. After a DecodeError it is useless."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._buffer = bytearray()
        self._needed = 0
        self._frame_bytes_max = frame_bytes_max

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the RPCs they complete, in order.

        :raises DecodeError: a length that is over the limit, or not the shortest spelling of itself.
        """
        if self._buffer:
            # Grown in place: an RPC that comes byte by byte is not copied with every byte.
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            data = bytes(self._buffer)
            self._buffer = bytearray()
        frames: list[bytes] = []
        start, end = 0, len(data)
        self._needed = 0
        while start < end and (header := self._length(data, start)) is not None:
            body, length = header
            if end - body < length:
                self._needed = body + length - start
                break
            frames.append(data[body : body + length])
            start = body + length
        if start < end:
            self._buffer += memoryview(data)[start:]
        return frames

    def _length(self, data: bytes, start: int) -> tuple[int, int] | None:
        """Where the frame that begins here has its body, and how long that is; None if its length is cut."""
        length = 0
        for index in range(start, min(len(data), start + VARINT_BYTES_MAX)):
            byte = data[index]
            length |= (byte & 0x7F) << (7 * (index - start))
            if byte < VARINT_CONTINUES:
                if byte == 0 and index > start:
                    raise DecodeError("a length with a needless byte")
                if length > self._frame_bytes_max:
                    raise DecodeError("a frame over the limit")
                return index + 1, length
        if len(data) - start >= VARINT_BYTES_MAX:
            raise DecodeError("a length without end")
        return None
