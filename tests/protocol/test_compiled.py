"""The short way gives what the long way gives, on any bytes; it never decides what is wrong."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.compiled import DEVIATIONS, head, uint_reader
from protocol.errors import DecodeError
from protocol.messages import MESSAGE_OF, TaskCall, TaskInput, TaskReply
from protocol.pay import SignedVoucher
from protocol.schema import _reader, from_items
from protocol.statement import Envelope
from tests.protocol.strategies import foreign_encodings, lawful, mutations, structs, values, wide_encodings

STRUCTS = [*MESSAGE_OF.values(), TaskCall, TaskInput, TaskReply, SignedVoucher, Envelope]
EVERY_STRUCT = pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)


def short(struct, data):
    """What the short way gives; None when it leaves the matter to the long way."""
    with suppress(*DEVIATIONS):
        value, end = _reader(struct)(data, 0)
        if end == len(data):
            return value
    return None


def long(struct, data):
    try:
        return from_items(struct, cbor.decode(data))
    except DecodeError:
        return None


@EVERY_STRUCT
def test_both_ways_agree_on_any_bytes(struct):
    encodings = structs(struct).map(struct.encode)

    @lawful
    @given(
        st.one_of(
            encodings,
            mutations(encodings),
            st.binary(max_size=80),
            values.map(cbor.encode),
            foreign_encodings,
            wide_encodings(),
        )
    )
    def law(data):
        assert short(struct, data) == long(struct, data)

    law()


@EVERY_STRUCT
def test_what_is_as_it_should_be_goes_the_short_way(struct):
    @lawful
    @given(structs(struct))
    def law(value):
        assert short(struct, value.encode()) == value

    law()


@pytest.mark.parametrize("argument", [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**64 - 1])
def test_heads_are_the_shortest(argument):
    assert head(0, argument) == cbor.encode(argument)
    assert uint_reader(2**64 - 1)(cbor.encode(argument), 0) == (argument, len(cbor.encode(argument)))
