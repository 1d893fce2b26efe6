from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import DecodeError
from protocol.schema import Address, Bytes, Encoded, Hash, Items, Text, Uint8, from_items, to_items
from tests.protocol.strategies import lawful, mutations, structs, values


@dataclass(frozen=True, slots=True)
class Leaf(Encoded):
    number: Uint8
    name: Annotated[str, Text(4)]


@dataclass(frozen=True, slots=True)
class Tree(Encoded):
    root: Hash
    data: Annotated[bytes, Bytes(1, 3)]
    leaves: Annotated[tuple[Leaf, ...], Items(Leaf, 1, 2)]
    owners: Annotated[tuple[bytes, ...], Items(Address, 0, 2)]
    crown: Leaf


LEAF = Leaf(7, "ok")
TREE = Tree(bytes(32), b"x", (LEAF,), (bytes(20),), LEAF)


@lawful
@given(structs(Tree))
def test_what_is_encoded_decodes_to_the_same(tree):
    assert Tree.decode(tree.encode()) == tree
    assert from_items(Tree, to_items(tree)) == tree


@lawful
@given(st.one_of(st.binary(max_size=80), values.map(cbor.encode), mutations(structs(Tree).map(Tree.encode))))
def test_any_bytes_decode_or_are_refused(data):
    try:
        tree = Tree.decode(data)
    except DecodeError:
        return
    assert tree.encode() == data


def test_a_struct_is_the_array_of_its_fields():
    assert LEAF.encode().hex() == "8207626f6b"
    assert to_items(TREE) == (bytes(32), b"x", ((7, "ok"),), (bytes(20),), (7, "ok"))


VALID = to_items(TREE)


@pytest.mark.parametrize(
    ("place", "item", "why"),
    [
        (0, bytes(31), "root is not Bytes"),
        (0, bytes(33), "root is not Bytes"),
        (0, "a" * 32, "root is not Bytes"),
        (0, 0, "root is not Bytes"),
        (1, b"", "data is not Bytes"),
        (1, b"four", "data is not Bytes"),
        (2, (), "leaves is not an array of 1 to 2"),
        (2, ((7, "ok"),) * 3, "leaves is not an array of 1 to 2"),
        (2, b"\x01", "leaves is not an array of 1 to 2"),
        (2, ((7,),), "Leaf is an array of 2"),
        (2, (7,), "Leaf is an array of 2"),
        (2, ((256, "ok"),), "number is not Uint"),
        (2, ((b"7", "ok"),), "number is not Uint"),
        (3, (bytes(20),) * 3, "owners is not an array of 0 to 2"),
        (3, (bytes(19),), "owners is not Bytes"),
        (4, (7, "fives"), "name is not Text"),
        (4, (7, "ééé"), "name is not Text"),
        (4, (7, b"ok"), "name is not Text"),
        (4, (7, "ok", 1), "Leaf is an array of 2"),
    ],
)
def test_bounds(place, item, why):
    items = (*VALID[:place], item, *VALID[place + 1 :])
    with pytest.raises(DecodeError, match=why):
        Tree.decode(cbor.encode(items))


@pytest.mark.parametrize("items", [(), VALID[:-1], (*VALID, 0), 5, b"", "text"])
def test_shape(items):
    with pytest.raises(DecodeError, match="Tree is an array of 5"):
        Tree.decode(cbor.encode(items))


@pytest.mark.parametrize(
    "leaf",
    [Leaf(256, "ok"), Leaf(-1, "ok"), Leaf(True, "ok"), Leaf(1, "fives"), Leaf(1, "\ud800"), Leaf(b"", "ok")],
)
def test_a_struct_outside_its_bounds_is_our_own_bug(leaf):
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        leaf.encode()


def test_a_mutable_stand_in_is_not_encoded():
    with pytest.raises(ValueError, match="Tree cannot be encoded: data is not Bytes"):
        Tree(bytes(32), bytearray(b"x"), (LEAF,), (), LEAF).encode()
