"""Structs as canonical CBOR arrays: fields in order, each with its type and bounds.

Is: what turns a frozen dataclass, whose annotations carry bounds, into bytes and back.
Is not: a general serialiser; four kinds of field are all that messages need.

A struct's encoding is the array of its fields. Decoding is total: any value of another shape, any
bound broken, raises `DecodeError`.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, Self, TypeVar

from protocol import cbor
from protocol.compiled import (
    DEVIATIONS,
    Reader,
    bytes_reader,
    items_reader,
    struct_reader,
    text_reader,
    uint_reader,
)
from protocol.errors import DecodeError


@dataclass(frozen=True, slots=True)
class Uint:
    """An unsigned integer of 0 to `maximum`."""

    maximum: int


@dataclass(frozen=True, slots=True)
class Bytes:
    """A byte string of `minimum` to `maximum` bytes."""

    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8 text of at most `maximum` bytes."""

    maximum: int


@dataclass(frozen=True, slots=True)
class Items:
    """An array of `minimum` to `maximum` items of one kind (a kind above, or a struct class)."""

    of: Any
    minimum: int
    maximum: int


class Dataclass(Protocol):
    """Any dataclass; the bound of what can be encoded."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


Struct = TypeVar("Struct", bound=Dataclass)

Uint8 = Annotated[int, Uint((1 << 8) - 1)]
Uint16 = Annotated[int, Uint((1 << 16) - 1)]
Uint32 = Annotated[int, Uint((1 << 32) - 1)]
Uint64 = Annotated[int, Uint((1 << 64) - 1)]
Address = Annotated[bytes, Bytes(20, 20)]
Hash = Annotated[bytes, Bytes(32, 32)]


class Encoded:
    """Mixin of every struct: its bytes and how it is read from them."""

    __slots__ = ()

    def encode(self: Dataclass) -> bytes:
        """Canonical bytes.

        :raises ValueError: a field outside its bounds; the caller's bug.
        """
        return cbor.encode(checked_items(self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The struct that `data` canonically encodes.

        :raises DecodeError: not canonical, of another shape, or a bound broken.
        """
        struct: Any = cls
        try:
            value, end = _reader(struct)(data, 0)
        except DEVIATIONS:
            end = -1
        if end != len(data) or end > cbor.BYTES_MAX:
            value = from_items(struct, cbor.decode(data))
        decoded: Self = value
        return decoded


@functools.cache
def _kinds(struct: type[Dataclass]) -> tuple[tuple[str, Any], ...]:
    """Name and kind of each field of `struct`, in order."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return tuple((field.name, _kind_of(hints[field.name])) for field in dataclasses.fields(struct))


@functools.cache
def _reader(struct: type[Dataclass]) -> Reader:
    """The short way to a struct's bytes; see `compiled`."""
    return struct_reader(struct, tuple(_reader_of(kind) for _, kind in _kinds(struct)))


def _reader_of(kind: Any) -> Reader:
    match kind:
        case Uint(maximum):
            return uint_reader(maximum)
        case Bytes(minimum, maximum):
            return bytes_reader(minimum, maximum)
        case Text(maximum):
            return text_reader(maximum)
        case Items(of, minimum, maximum):
            return items_reader(_reader_of(_kind_of(of)), minimum, maximum)
        case _:
            return _reader(kind)


def _kind_of(hint: Any) -> Any:
    return hint.__metadata__[0] if typing.get_origin(hint) is Annotated else hint


def to_items(value: Any) -> cbor.Value:
    """A struct, or a tuple of structs, as nested arrays."""
    if dataclasses.is_dataclass(value):
        struct: Any = type(value)
        return tuple(to_items(getattr(value, name)) for name, _ in _kinds(struct))
    if isinstance(value, tuple | list):
        return tuple(to_items(item) for item in value)
    return typing.cast("cbor.Value", value)


def checked_items(value: Dataclass) -> tuple[cbor.Value, ...]:
    """The fields of a struct as nested arrays.

    :raises ValueError: a field outside its bounds; the caller's bug.
    """
    items = to_items(value)
    try:
        from_items(type(value), items)
    except DecodeError as error:
        message = f"{type(value).__name__} cannot be encoded: {error}"
        raise ValueError(message) from error
    return typing.cast("tuple[cbor.Value, ...]", items)


def from_items(struct: type[Struct], items: cbor.Value) -> Struct:
    """A struct of class `struct` from the array of its fields.

    :raises DecodeError: not an array of that length, or a field of another type or out of bounds.
    """
    kinds = _kinds(struct)
    if not isinstance(items, tuple) or len(items) != len(kinds):
        message = f"{struct.__name__} is an array of {len(kinds)}"
        raise DecodeError(message)
    fields = [_read(kind, item, name) for (name, kind), item in zip(kinds, items, strict=True)]
    return struct(*fields)


def _read(kind: Any, item: cbor.Value, name: str) -> Any:
    match kind:
        case Uint(maximum):
            fits = isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= maximum
        case Bytes(minimum, maximum):
            fits = isinstance(item, bytes) and minimum <= len(item) <= maximum
        case Text(maximum):
            fits = isinstance(item, str) and len(item.encode()) <= maximum
        case Items(of, minimum, maximum):
            return _read_items(of, minimum, maximum, item, name)
        case _:
            return from_items(kind, item)
    if not fits:
        message = f"{name} is not {kind}"
        raise DecodeError(message)
    return item


def _read_items(of: Any, minimum: int, maximum: int, item: cbor.Value, name: str) -> tuple[Any, ...]:
    if not isinstance(item, tuple) or not minimum <= len(item) <= maximum:
        message = f"{name} is not an array of {minimum} to {maximum}"
        raise DecodeError(message)
    kind = _kind_of(of)
    return tuple(_read(kind, part, name) for part in typing.cast("Sequence[cbor.Value]", item))
