"""Pictures as miners deliver them, made without an image library; and chunks for those that are none."""

from __future__ import annotations

import zlib

from protocol.png import PNG_SIGNATURE

RGB_8 = bytes([8, 2, 0, 0, 0])


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def header(width: int, height: int, form: bytes = RGB_8) -> bytes:
    return chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + form)


END = chunk(b"IEND")


def plain_picture(width: int, height: int, level: int = 6, *, row: bytes = b"") -> bytes:
    """A picture of one colour, or of one row again and again. :param row: with its filter byte."""
    rows = (row or bytes(1 + 3 * width)) * height
    return PNG_SIGNATURE + header(width, height) + chunk(b"IDAT", zlib.compress(rows, level)) + END
