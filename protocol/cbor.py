"""Canonical CBOR: the strict subset of RFC 8949 §4.2 that travels between peers.

Is: `encode` (cbor2 does the work) and `decode`, a decoder of our own with one law: *what decodes,
re-encodes to the same bytes; anything else raises one `DecodeError`*, in time linear in the input.
Is not: general CBOR. There are unsigned integers below 2^64, byte strings, UTF-8 text and arrays of
these; no maps, no tags, no floats, no negative numbers, no indefinite lengths. Bodies are arrays in the
order of their fields, so a key can be neither duplicated, nor missing, nor out of order.

cbor2's decoder is not used on peers' bytes: it accepts trailing bytes, non-minimal integers and tags
that compile regular expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cbor2

from protocol.errors import DecodeError

Value: TypeAlias = "int | bytes | str | Sequence[Value]"
"""Values that can be encoded; `decode` gives arrays back as tuples."""

BYTES_MAX = 1 << 20
"""Longest encoding, 1 MiB: one frame of a direct stream."""
DEPTH_MAX = 6
"""Deepest nesting of arrays."""
UINT_MAX = (1 << 64) - 1

_UINT, _BYTES, _TEXT, _ARRAY = 0, 2, 3, 4
_FOLLOWING = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}
_INLINE_MAX = 23


def encode(value: Value) -> bytes:
    """Canonical bytes of `value`.

    :raises ValueError: a value outside the subset; that is the caller's bug, never a peer's.
    """
    _check_encodable(value, 0)
    return cbor2.dumps(value, canonical=True)


def _check_encodable(value: Value, depth: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | bytes | str | list | tuple):
        message = f"{type(value).__name__} is not in the canonical subset"
        raise ValueError(message)  # noqa: TRY004 - the caller's value is wrong, whatever its type
    if isinstance(value, int) and not 0 <= value <= UINT_MAX:
        message = f"integer {value} is outside 0..2^64-1"
        raise ValueError(message)
    if isinstance(value, list | tuple):
        if depth == DEPTH_MAX:
            message = f"arrays nest deeper than {DEPTH_MAX}"
            raise ValueError(message)
        for item in value:
            _check_encodable(item, depth + 1)


def decode(data: bytes, bytes_max: int = BYTES_MAX) -> Value:
    """The one value that `data` canonically encodes.

    :param bytes_max: longest input that is looked at.
    :raises DecodeError: too long, truncated, trailing bytes, not minimal, not in the subset.
    """
    if len(data) > bytes_max:
        message = f"{len(data)} bytes where at most {bytes_max} are allowed"
        raise DecodeError(message)
    value, end = _decode_item(data, 0, 0)
    if end != len(data):
        message = f"{len(data) - end} bytes after the value"
        raise DecodeError(message)
    return value


def _decode_head(data: bytes, offset: int) -> tuple[int, int, int]:
    """Major type, argument and the offset behind the head; the argument is minimal."""
    if offset >= len(data):
        message = "truncated"
        raise DecodeError(message)
    initial = data[offset]
    major, additional = initial >> 5, initial & 0x1F
    offset += 1
    if additional <= _INLINE_MAX:
        return major, additional, offset
    width = _FOLLOWING.get(additional)
    if width is None:
        message = "indefinite or reserved length"
        raise DecodeError(message)
    end = offset + width
    if end > len(data):
        message = "truncated"
        raise DecodeError(message)
    argument = int.from_bytes(data[offset:end], "big")
    if argument < _LEAST[width]:
        message = "integer or length is not minimal"
        raise DecodeError(message)
    return major, argument, end


def _decode_item(data: bytes, offset: int, depth: int) -> tuple[Value, int]:
    major, argument, offset = _decode_head(data, offset)
    if major == _UINT:
        return argument, offset
    if major in {_BYTES, _TEXT}:
        return _decode_string(data, major, offset, offset + argument)
    if major == _ARRAY:
        if depth == DEPTH_MAX:
            message = f"arrays nest deeper than {DEPTH_MAX}"
            raise DecodeError(message)
        # Each item needs a byte at least: a length that lies costs nothing.
        if argument > len(data) - offset:
            message = "truncated"
            raise DecodeError(message)
        items = []
        for _ in range(argument):
            item, offset = _decode_item(data, offset, depth + 1)
            items.append(item)
        return tuple(items), offset
    message = f"major type {major} is not in the canonical subset"
    raise DecodeError(message)


def _decode_string(data: bytes, major: int, offset: int, end: int) -> tuple[Value, int]:
    if end > len(data):
        message = "truncated"
        raise DecodeError(message)
    raw = bytes(data[offset:end])
    if major == _BYTES:
        return raw, end
    try:
        return raw.decode(), end
    except UnicodeDecodeError as error:
        message = "text is not UTF-8"
        raise DecodeError(message) from error
