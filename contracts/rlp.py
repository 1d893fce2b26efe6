"""Recursive Length Prefix, encoding only: the form of transactions (Yellow Paper, appendix B).

Is: what signing a transaction and foreseeing a contract's address need.
Is not: a decoder; nothing here reads RLP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

Item: TypeAlias = "bytes | Sequence[Item]"

_BYTES: Final = 0x80
_LIST: Final = 0xC0
_SHORT_MAX: Final = 55
"""Longest payload whose length fits into the first byte."""


def encode(item: Item) -> bytes:
    """RLP of bytes, or of a list of items."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _BYTES:
            return item
        return _header(_BYTES, len(item)) + item
    payload = b"".join(map(encode, item))
    return _header(_LIST, len(payload)) + payload


def number(value: int) -> bytes:
    """RLP's form of an integer from zero on: big-endian without leading zeros; zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _header(kind: int, length: int) -> bytes:
    if length <= _SHORT_MAX:
        return bytes([kind + length])
    size = number(length)
    return bytes([kind + _SHORT_MAX + len(size)]) + size
