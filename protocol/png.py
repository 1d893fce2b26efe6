"""Whether bytes are a picture that anybody may decode: a PNG of the announced size, and nothing but that.

Is: the form of PNG that travels here (PNG, third edition: 5, 10, 11.2), checked to its last byte without
keeping what it inflates to. So an app that decodes it knows beforehand how much memory that takes.
Is not: a decoder. Pixels are nobody's business here; the rows' filters are looked at and not undone.

Plain PNGs alone: 8-bit RGB, not interlaced, in the chunks IHDR, IDAT (one or more) and IEND. No further chunk
is allowed, since those that decoders inflate by themselves (texts, profiles) have a length of their own.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from protocol.errors import InvalidMessage
from protocol.messages import OUTPUT_BYTES_MAX

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PNG_HEADER_BYTES: Final = 29
"""Signature, length and name of IHDR, and what it holds; its checksum follows."""
IDAT_CHUNKS_MAX: Final = 4_096
"""Most parts of the compressed rows: `OUTPUT_BYTES_MAX` bytes in parts of 4 kB; those of libpng have 8 kB."""
_HEADER_LENGTH_AND_NAME: Final = b"\x00\x00\x00\x0dIHDR"
_EIGHT_BIT_RGB: Final = bytes([8, 2, 0, 0, 0])
"""Bit depth 8, colour type 2, deflate, adaptive filters, not interlaced (11.2.1)."""
_CHANNELS: Final = 3
_FILTER_TYPE_MAX: Final = 4
"""None, Sub, Up, Average, Paeth (9.2)."""
_CHUNK_FRAME_BYTES: Final = 12
"""Length, name and checksum of a chunk."""
_COMPRESSED_PIECE_BYTES: Final = 64 * 1024
_INFLATED_PIECE_BYTES: Final = 256 * 1024
"""Most of the rows that is held at a time."""


def is_plain_png(data: bytes, width: int, height: int) -> bool:
    """Whether `data` begins as a plain PNG of so many pixels; cheap, and no word about what follows.

    :param width: pixels, below 2^32, as `height`.
    """
    return data[:PNG_HEADER_BYTES] == _header(width, height)


def require_picture(data: bytes, width: int, height: int) -> None:
    """Hold a delivered picture against its announcement, to the last byte. Takes some 10 ms a megapixel.

    :param width: pixels, at least 1, as `height`.
    :raises InvalidMessage: not a whole plain PNG of exactly so many pixels; the text says what is wrong.
    """
    if len(data) > OUTPUT_BYTES_MAX:
        raise InvalidMessage(f"picture is longer than {OUTPUT_BYTES_MAX} bytes")
    if not data.startswith(PNG_SIGNATURE):
        raise InvalidMessage("picture is not a PNG")
    if not is_plain_png(data, width, height):
        raise InvalidMessage("picture is not an 8-bit RGB PNG of the announced size, not interlaced")
    rows = _Rows(width, height)
    for part in _compressed_parts(data):
        rows.take(part)
    rows.end()


def picture_bytes_max(width: int, height: int) -> int:
    """Longest file that an encoder makes of so many pixels: stored without compression, in small chunks."""
    rows = height * (1 + 3 * width)
    return rows + rows // 64 + 64 * 1024


def require_preview(data: bytes, width: int, height: int) -> None:
    """As `require_picture`, for the unfinished picture, which may also be smaller than the announced size.

    :raises InvalidMessage: not a whole plain PNG of at most so many pixels either way.
    """
    shown_width, shown_height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
    if not (1 <= shown_width <= width and 1 <= shown_height <= height):
        # Said of the announced size, whatever these bytes are: a preview of no size, or of none, is neither.
        shown_width, shown_height = width, height
    require_picture(data, shown_width, shown_height)


def _header(width: int, height: int) -> bytes:
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return PNG_SIGNATURE + _HEADER_LENGTH_AND_NAME + size + _EIGHT_BIT_RGB


def _compressed_parts(data: bytes) -> Iterator[memoryview]:
    """The content of the IDAT chunks. :raises InvalidMessage: another chunk, order, checksum or end."""
    view = memoryview(data)
    position = len(PNG_SIGNATURE)
    for number in range(IDAT_CHUNKS_MAX + 2):
        name, content, position = _chunk(view, position)
        if number == 0:
            continue  # IHDR, compared as a whole before
        if name == b"IEND":
            if content or position != len(view):
                raise InvalidMessage("picture goes on after its end")
            return
        if name != b"IDAT":
            raise InvalidMessage("picture has a chunk other than IHDR, IDAT and IEND")
        if not content:
            raise InvalidMessage("picture has an empty IDAT chunk")
        yield content
    raise InvalidMessage(f"picture has more than {IDAT_CHUNKS_MAX} IDAT chunks")


def _chunk(view: memoryview, position: int) -> tuple[bytes, memoryview, int]:
    """Name and content of the chunk at `position`, and where the next one begins."""
    length = int.from_bytes(view[position : position + 4], "big")
    end = position + _CHUNK_FRAME_BYTES + length
    if end > len(view):
        raise InvalidMessage("picture ends within a chunk")
    if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
        raise InvalidMessage("picture has a chunk with a wrong checksum")
    return bytes(view[position + 4 : position + 8]), view[position + 8 : end - 4], end


class _Rows:
    """The rows of a picture as they are inflated: counted, their filters looked at, then forgotten."""

    def __init__(self, width: int, height: int) -> None:
        self._row_bytes = 1 + _CHANNELS * width
        self._expected_bytes = height * self._row_bytes
        self._inflated_bytes = 0
        self._inflater = zlib.decompressobj()

    def take(self, compressed: memoryview) -> None:
        """:raises InvalidMessage: not deflate's, more than the rows, or a row with an unknown filter."""
        for start in range(0, len(compressed), _COMPRESSED_PIECE_BYTES):
            if self._inflater.eof:
                raise InvalidMessage("picture has data after its rows")
            self._inflate(compressed[start : start + _COMPRESSED_PIECE_BYTES])

    def _inflate(self, piece: memoryview | bytes) -> None:
        while not self._inflater.eof:
            # One byte beyond what there may be: its coming is what tells too long from just right.
            wanted = min(_INFLATED_PIECE_BYTES, self._expected_bytes + 1 - self._inflated_bytes)
            try:
                made = self._inflater.decompress(piece, wanted)
            except zlib.error as error:
                raise InvalidMessage("picture does not inflate") from error
            self._look_at(made)
            piece = self._inflater.unconsumed_tail
            # A full piece may have more behind it, even when all compressed bytes were taken.
            if not piece and len(made) < wanted:
                break
        if self._inflater.unused_data:
            raise InvalidMessage("picture has data after its rows")

    def _look_at(self, made: bytes) -> None:
        first_filter = -self._inflated_bytes % self._row_bytes
        self._inflated_bytes += len(made)
        if self._inflated_bytes > self._expected_bytes:
            raise InvalidMessage("picture inflates to more than its size has")
        if max(made[first_filter :: self._row_bytes], default=0) > _FILTER_TYPE_MAX:
            raise InvalidMessage("picture has a row with an unknown filter")

    def end(self) -> None:
        """:raises InvalidMessage: the rows are not all there, or without deflate's own end and checksum."""
        if self._inflated_bytes != self._expected_bytes or not self._inflater.eof:
            raise InvalidMessage("picture inflates to less than its size has")
