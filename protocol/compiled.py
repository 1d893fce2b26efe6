"""A fast reader for each struct, made once from its annotations: bytes to fields in one pass.

Is: the short way for bytes that are as they should be. A reader gives exactly what `schema.from_items` gives
of what `cbor.decode` gives, or raises `Deviation`; then `schema` goes the long way, which finds the words.
Is not: another definition. Tests hold the two against each other on any bytes.

Slices beyond the end of the bytes come out short and move the offset past the end, which the caller sees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Reader: TypeAlias = Callable[[bytes, int], tuple[Any, int]]
"""From bytes and an offset to a value and the offset behind it."""

_INLINE_MAX = 23
_WIDTHS = {24: (1, 24), 25: (2, 1 << 8), 26: (4, 1 << 16), 27: (8, 1 << 32)}
"""By additional information: how many bytes the argument has, and the least that needs so many."""
_BYTES, _TEXT, _ARRAY = 2 << 5, 3 << 5, 4 << 5


class Deviation(Exception):
    """The bytes are not what the short way is for."""


def head(major: int, argument: int) -> bytes:
    """Initial byte and argument of an item, in their shortest form; `major` is shifted to its place."""
    if argument <= _INLINE_MAX:
        return bytes([major | argument])
    additional, width = next((key, wide) for key, (wide, _) in _WIDTHS.items() if argument < 1 << (8 * wide))
    return bytes([major | additional]) + argument.to_bytes(width, "big")


def uint_reader(maximum: int) -> Reader:
    """Reads an unsigned integer of at most `maximum`."""

    def read(data: bytes, at: int) -> tuple[int, int]:
        value = data[at]
        at += 1
        if value > _INLINE_MAX:
            width, least = _WIDTHS[value]
            value = int.from_bytes(data[at : at + width], "big")
            at += width
            if value < least:
                raise Deviation
        if value > maximum:
            raise Deviation
        return value, at

    return read


def bytes_reader(minimum: int, maximum: int) -> Reader:
    """Reads a byte string; the usual one has a fixed length, so its head is known beforehand."""
    if minimum != maximum:
        return _string_reader(_BYTES, minimum, maximum)
    expected = head(_BYTES, maximum)
    head_bytes = len(expected)
    whole = head_bytes + maximum

    def read(data: bytes, at: int) -> tuple[bytes, int]:
        if not data.startswith(expected, at):
            raise Deviation
        end = at + whole
        return data[at + head_bytes : end], end

    return read


def text_reader(maximum: int) -> Reader:
    """Reads UTF-8 text of at most `maximum` bytes; what is not UTF-8 raises ValueError."""
    read_raw = _string_reader(_TEXT, 0, maximum)

    def read(data: bytes, at: int) -> tuple[str, int]:
        raw, at = read_raw(data, at)
        return raw.decode(), at

    return read


def _argument(data: bytes, at: int, major: int) -> tuple[int, int]:
    """Length of a string or an array of type `major`, and the offset behind its head."""
    length = data[at] - major
    at += 1
    if 0 <= length <= _INLINE_MAX:
        return length, at
    width, least = _WIDTHS[length]
    length = int.from_bytes(data[at : at + width], "big")
    if length < least:
        raise Deviation
    return length, at + width


def _string_reader(major: int, minimum: int, maximum: int) -> Reader:
    def read(data: bytes, at: int) -> tuple[bytes, int]:
        length, at = _argument(data, at, major)
        if not minimum <= length <= maximum:
            raise Deviation
        end = at + length
        return data[at:end], end

    return read


def items_reader(read_item: Reader, minimum: int, maximum: int) -> Reader:
    """Reads an array of items of one kind; its length is checked before the first of them."""

    def read(data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        length, at = _argument(data, at, _ARRAY)
        if not minimum <= length <= maximum:
            raise Deviation
        items = []
        for _ in range(length):
            item, at = read_item(data, at)
            items.append(item)
        return tuple(items), at

    return read


def struct_reader(struct: Callable[..., Any], readers: tuple[Reader, ...]) -> Reader:
    """Reads the array of a struct's fields."""
    expected = head(_ARRAY, len(readers))
    head_bytes = len(expected)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if not data.startswith(expected, at):
            raise Deviation
        at += head_bytes
        fields = []
        for read_field in readers:
            field, at = read_field(data, at)
            fields.append(field)
        return struct(*fields), at

    return read
