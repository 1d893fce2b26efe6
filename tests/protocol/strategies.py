"""What hypothesis draws: messages within their bounds, and bytes that are almost valid."""

from __future__ import annotations

from typing import Any

import cbor2
from hypothesis import settings
from hypothesis import strategies as st

from protocol import cbor
from protocol.schema import Bytes, Items, Text, Uint, _kind_of, _kinds

lawful = settings(deadline=None, max_examples=60)
"""How often a law is tried; no deadline, since a shared machine has pauses of its own."""

DRAWN_BYTES_MAX = 96
DRAWN_ITEMS_MAX = 5


def fields_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of one field's kind, within its bounds; large bounds are not exhausted."""
    match kind:
        case Uint(maximum):
            return st.integers(0, maximum) | st.sampled_from([0, maximum])
        case Bytes(minimum, maximum):
            return st.binary(min_size=minimum, max_size=max(minimum, min(maximum, DRAWN_BYTES_MAX)))
        case Text(maximum):
            return st.text(max_size=min(maximum, DRAWN_BYTES_MAX) // 4)
        case Items(of, minimum, maximum):
            most = max(minimum, min(maximum, DRAWN_ITEMS_MAX))
            return st.lists(fields_of(_kind_of(of)), min_size=minimum, max_size=most).map(tuple)
        case _:
            return structs(kind)


def structs(struct: type[Any]) -> st.SearchStrategy[Any]:
    """Structs of a class, each field anywhere within its bounds."""
    return st.tuples(*(fields_of(kind) for _, kind in _kinds(struct))).map(lambda fields: struct(*fields))


def _nested(depth: int) -> st.SearchStrategy[Any]:
    leaves = (
        st.integers(0, cbor.UINT_MAX) | st.integers(0, 300) | st.binary(max_size=300) | st.text(max_size=30)
    )
    return leaves | st.lists(_nested(depth - 1), max_size=30).map(tuple) if depth else leaves


values = _nested(4)
"""Anything in the canonical subset, but for the deepest arrays, whose search takes too long."""

foreign_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=30) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers() | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
"""Anything that CBOR or JSON can say, most of it outside the subset."""

foreign_encodings = st.builds(
    lambda value, canonical: cbor2.dumps(value, canonical=canonical), foreign_values, st.booleans()
)
"""Valid CBOR of any kind: maps, floats, negative numbers, bignums, tags."""


@st.composite
def wide_encodings(draw: st.DrawFn) -> bytes:
    """Encodings of values in the subset in which every head may be wider than it need be, or indefinite."""

    def head(major: int, argument: int) -> bytes:
        width = draw(st.sampled_from([0, 0, 0, 1, 2, 4, 8]))
        if width == 0 and argument <= 23:
            return bytes([major << 5 | argument])
        width = next(wide for wide in (1, 2, 4, 8) if wide >= width and argument < 1 << (8 * wide))
        return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + argument.to_bytes(width, "big")

    def item(value: Any) -> bytes:
        if isinstance(value, int):
            return head(0, value)
        if isinstance(value, tuple):
            inner = b"".join(map(item, value))
            return b"\x9f" + inner + b"\xff" if draw(st.integers(0, 9)) == 0 else head(4, len(value)) + inner
        raw = value.encode() if isinstance(value, str) else value
        return head(3 if isinstance(value, str) else 2, len(raw)) + raw

    return item(draw(_nested(2)))


@st.composite
def mutations(draw: st.DrawFn, valid: st.SearchStrategy[bytes]) -> bytes:
    """Bytes a few edits away from valid ones: flips, cuts, insertions, repetitions."""
    data = bytearray(draw(valid))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 8)))
        match draw(st.sampled_from(["replace", "insert", "cut", "repeat", "truncate"])):
            case "replace" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=4))
            case "cut":
                del data[at:end]
            case "repeat":
                data[at:at] = data[at:end]
            case _:
                del data[at:]
    return bytes(data)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["0x", "0x00", "zz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated_documents(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document with one value, at any depth, replaced or removed."""
    if isinstance(document, dict) and document and draw(st.integers(0, 7)):
        name = draw(st.sampled_from(sorted(document)))
        if draw(st.integers(0, 5)) == 0:
            return {other: value for other, value in document.items() if other != name}
        return document | {name: draw(mutated_documents(document[name]))}
    if isinstance(document, list) and document and draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(document) - 1))
        return [*document[:at], draw(mutated_documents(document[at])), *document[at + 1 :]]
    if isinstance(document, str) and document and draw(st.booleans()):
        at = draw(st.integers(0, len(document) - 1))
        return document[:at] + draw(st.sampled_from(["", "0", "f", "g", " ", "00", "é"])) + document[at + 1 :]
    return draw(json_values)
