"""A fast reader for each struct, made once from its annotations: bytes to fields in one pass.

Is: the short way for bytes that are as they should be. A reader gives exactly what `schema.from_items` gives
of what `cbor.decode` gives, or raises `Deviation`; then `schema` takes the slow path, which produces the
error message.
Is not: another definition. Tests hold the two against each other on any bytes.

Slices beyond the end of the bytes come out short and move the offset past the end, which the caller sees.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

Reader: TypeAlias = Callable[[bytes, int], tuple[Any, int]]
"""From bytes and an offset to a value and the offset behind it."""

_INLINE_MAX = 23
_BYTES, _TEXT, _ARRAY = 2 << 5, 3 << 5, 4 << 5
_FIXED: WeakKeyDictionary[Reader, int] = WeakKeyDictionary()
_MAXIMUM: WeakKeyDictionary[Reader, int] = WeakKeyDictionary()
"""Readers of byte strings of one length, and of integers, with that length or maximum: to be written out."""


_UNPACK = {
    24: (struct.Struct(">B").unpack_from, 1, 24),
    25: (struct.Struct(">H").unpack_from, 2, 1 << 8),
    26: (struct.Struct(">I").unpack_from, 4, 1 << 16),
    27: (struct.Struct(">Q").unpack_from, 8, 1 << 32),
}
"""By additional information: how an argument is read, how many bytes it has, the least that needs so many."""


class Deviation(Exception):
    """The bytes are not what the short way is for."""


DEVIATIONS = (Deviation, IndexError, KeyError, struct.error, ValueError)
"""All that a reader raises: no such byte, no such head, bytes that end too soon, text that is not UTF-8."""


def head(major: int, argument: int) -> bytes:
    """Initial byte and argument of an item, in their shortest form; `major` is shifted to its place."""
    if argument <= _INLINE_MAX:
        return bytes([major | argument])
    additional, width = next(
        (key, wide) for key, (_, wide, _) in _UNPACK.items() if argument < 1 << (8 * wide)
    )
    return bytes([major | additional]) + argument.to_bytes(width, "big")


def uint_reader(maximum: int) -> Reader:
    """Reads an unsigned integer of at most `maximum`."""

    def read(data: bytes, at: int) -> tuple[int, int]:
        value = data[at]
        at += 1
        if value > _INLINE_MAX:
            value, at = _wide(data, at, value)
        if value > maximum:
            raise Deviation
        return value, at

    _MAXIMUM[read] = maximum
    return read


def _wide(data: bytes, at: int, additional: int) -> tuple[int, int]:
    """An argument of its own bytes, and the offset behind it."""
    unpack, width, least = _UNPACK[additional]
    value: int = unpack(data, at)[0]
    if value < least:
        raise Deviation
    return value, at + width


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

    _FIXED[read] = maximum
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
    return (length, at) if 0 <= length <= _INLINE_MAX else _wide(data, at, length)


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


def struct_reader(struct: type[Any], readers: tuple[Reader, ...]) -> Reader:
    """Reads the array of the fields of `struct`, a frozen dataclass with slots.

    The function is written out field by field, as the standard library writes a dataclass's ``__init__``:
    a call for each number and each hash would cost more than reading them. For the same reason the fields
    are set on a mutable twin with the same slots, which then becomes the struct: the constructor of a frozen
    dataclass goes through ``object.__setattr__``, at seven times the cost.
    """
    slots: tuple[str, ...] = struct.__slots__
    if len(slots) != len(readers) or hasattr(struct, "__post_init__"):
        message = f"{struct.__name__} is more than its fields; its own constructor has to make it"
        raise TypeError(message)
    twin = type(f"{struct.__name__}Twin", struct.__bases__, {"__slots__": slots})
    names = [f"field_{place}" for place in range(len(readers))]
    known: dict[str, Any] = {"struct": struct, "new": object.__new__, "twin": twin}
    known |= {"Deviation": Deviation, "wide": _wide}
    expected = known["expected"] = head(_ARRAY, len(readers))
    lines = ["if not data.startswith(expected, at): raise Deviation", f"at += {len(expected)}"]
    for name, reader in zip(names, readers, strict=True):
        fixed, maximum = _FIXED.get(reader), _MAXIMUM.get(reader)
        if fixed is not None:
            known[f"{name}_head"] = fixed_head = head(_BYTES, fixed)
            start, end = len(fixed_head), len(fixed_head) + fixed
            lines.append(f"if not data.startswith({name}_head, at): raise Deviation")
            lines.append(f"{name} = data[at + {start} : at + {end}]; at += {end}")
        elif maximum is not None:
            lines.append(f"{name} = data[at]; at += 1")
            lines.append(f"if {name} > {_INLINE_MAX}: {name}, at = wide(data, at, {name})")
            lines.append(f"if {name} > {maximum}: raise Deviation")
        else:
            known[f"{name}_reader"] = reader
            lines.append(f"{name}, at = {name}_reader(data, at)")
    lines.append("made = new(twin)")
    lines += [f"made.{slot} = {name}" for slot, name in zip(slots, names, strict=True)]
    lines += ["made.__class__ = struct", "return made, at"]
    source = "def read(data, at):\n" + "\n".join(f"    {line}" for line in lines)
    exec(source, known)  # noqa: S102 - made of names and numbers of ours alone
    read: Reader = known["read"]
    return read
