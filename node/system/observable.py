"""How a node is, as typed values: each part registers a snapshot of itself under a name.

Is: the one place from which status, the miner's file, the pages and the commands read.
Is not: a history, or a format for machines that collect numbers; they read the same values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Look: TypeAlias = "Callable[[], DataclassInstance]"
"""Takes a snapshot: synchronous, quick, without input or output. A dataclass that counts on is copied."""


class Observable:
    """All snapshots of one node. Bounded by what registers at the start: nothing from outside does."""

    def __init__(self) -> None:
        self._looks: dict[str, Look] = {}

    def register(self, name: str, look: Look) -> None:
        """Show `look`'s snapshots under `name` from now on.

        :raises ValueError: the name is taken.
        """
        if name in self._looks:
            raise ValueError(f"there is a snapshot named {name} already")
        self._looks[name] = look

    def snapshot(self) -> dict[str, DataclassInstance]:
        """All of them now, by name, in the order of their registration."""
        return {name: _held_still(look()) for name, look in self._looks.items()}

    def find(self, name: str) -> DataclassInstance | None:
        """The one of that name now; ``None`` if nothing is registered under it."""
        look = self._looks.get(name)
        return None if look is None else _held_still(look())

    def document(self) -> dict[str, Any]:
        """The same as JSON can say it; see :func:`to_document`."""
        return {name: to_document(value) for name, value in self.snapshot().items()}


def to_document(value: object) -> Any:
    """A value of dataclasses, mappings and sequences as JSON can say it.

    Bytes become ``0x`` and hexadecimal digits. Amounts in wei, which other languages' numbers do not hold,
    become decimal text: these are the fields whose name ends in ``_wei``.

    :raises TypeError: there is a value of another type in it.
    """
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case bytes() | Path():
            return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
        case Mapping():
            return {_key(name): _member(_key(name), item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [to_document(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _member(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    raise TypeError(f"a snapshot holds a {type(value).__name__}, which has no form in JSON")


def _member(name: str, value: object) -> Any:
    if name.endswith("_wei") and isinstance(value, int):
        return str(value)
    return to_document(value)


def _key(name: object) -> str:
    return str(to_document(name))


def _held_still(value: DataclassInstance) -> DataclassInstance:
    frozen: bool = value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return value if frozen else dataclasses.replace(value)
