import enum
import time

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import DecodeError
from tests.protocol.strategies import foreign_encodings, lawful, mutations, values, wide_encodings

any_bytes = st.one_of(
    st.binary(max_size=64), mutations(values.map(cbor.encode)), foreign_encodings, wide_encodings()
)


def decodes_or_refuses(data: bytes) -> None:
    """The one law of the decoder; anything but a DecodeError fails the test by itself."""
    try:
        value = cbor.decode(data)
    except DecodeError:
        return
    assert cbor.encode(value) == data


@lawful
@given(values)
def test_what_is_encoded_decodes_to_the_same(value):
    assert cbor.decode(cbor.encode(value)) == value


@lawful
@given(values)
def test_encoding_is_what_a_general_library_reads_and_writes(value):
    encoded = cbor.encode(value)
    as_tuples = cbor2.loads(encoded)
    assert cbor2.dumps(as_tuples, canonical=True) == encoded


@lawful
@given(any_bytes)
def test_any_bytes_decode_to_what_encodes_to_them_or_are_refused(data):
    decodes_or_refuses(data)


def test_every_short_input_obeys_the_law():
    """All inputs of one and two bytes, and all heads before a plausible rest: the whole alphabet."""
    for first in range(256):
        decodes_or_refuses(bytes([first]))
        for rest in (b"\x00" * 8, b"\x00\x18" + b"a" * 30, b"\xff" * 8, b"\x01" + b"\x00" * 300, b"\x81" * 6):
            for length in (1, 2, 4, 8, len(rest)):
                decodes_or_refuses(bytes([first]) + rest[:length])
    for both in range(1 << 16):
        decodes_or_refuses(both.to_bytes(2, "big"))


@lawful
@given(values.map(cbor.encode), st.data())
def test_no_prefix_and_no_extension_of_an_encoding_decodes(encoded, data):
    cut = data.draw(st.integers(0, len(encoded) - 1))
    for other in (encoded[:cut], encoded + b"\x00"):
        with pytest.raises(DecodeError):
            cbor.decode(other)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65_535, "19ffff"),
        (65_536, "1a00010000"),
        (2**32 - 1, "1affffffff"),
        (2**32, "1b0000000100000000"),
        (2**64 - 1, "1bffffffffffffffff"),
        (b"", "40"),
        (b"a" * 24, "5818" + "61" * 24),
        ("", "60"),
        ("ü", "62c3bc"),
        ((), "80"),
        ((1, b"\x02", "3", ()), "84014102613380"),
        (tuple(range(24)), "9818" + bytes(range(24)).hex().replace("18", "1818")),
    ],
)
def test_examples(value, encoded):
    assert cbor.encode(value).hex() == encoded
    assert cbor.decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("", "truncated"),
        ("18", "truncated"),
        ("4161ff", "1 bytes after the value"),
        ("1817", "integer or length is not minimal"),
        ("5800", "integer or length is not minimal"),
        ("9800", "integer or length is not minimal"),
        ("1900ff", "integer or length is not minimal"),
        ("1a0000ffff", "integer or length is not minimal"),
        ("1b00000000ffffffff", "integer or length is not minimal"),
        ("1c", "indefinite or reserved length"),
        ("9fff", "indefinite or reserved length"),
        ("5f4101ff", "indefinite or reserved length"),
        ("20", "major type 1 is not in the canonical subset"),
        ("a0", "major type 5 is not in the canonical subset"),
        ("c000", "major type 6 is not in the canonical subset"),
        ("d8238161", "major type 6 is not in the canonical subset"),
        ("f4", "major type 7 is not in the canonical subset"),
        ("f93c00", "major type 7 is not in the canonical subset"),
        ("62ff00", "text is not UTF-8"),
        ("63eda080", "text is not UTF-8"),
        ("62c080", "text is not UTF-8"),
        ("81818181818180", "arrays nest deeper than 6"),
        ("9a7fffffff", "truncated"),
        ("5bffffffffffffffff", "truncated"),
    ],
)
def test_refusals(encoded, why):
    with pytest.raises(DecodeError, match=f"^{why}$"):
        cbor.decode(bytes.fromhex(encoded))


def test_length_limit():
    longest = cbor.encode(bytes(cbor.BYTES_MAX - 5))
    assert len(longest) == cbor.BYTES_MAX
    assert cbor.decode(longest) == bytes(cbor.BYTES_MAX - 5)
    with pytest.raises(DecodeError, match="1048577 bytes where at most 1048576 are allowed"):
        cbor.decode(cbor.encode(bytes(cbor.BYTES_MAX - 4)))
    with pytest.raises(DecodeError, match="2 bytes where at most 1 are allowed"):
        cbor.decode(b"\x18\x18", bytes_max=1)


def test_depth_limit():
    assert cbor.decode(bytes.fromhex("818181818180")) == ((((((),),),),),)
    assert cbor.encode(((((((),),),),),)).hex() == "818181818180"
    with pytest.raises(ValueError, match="arrays nest deeper than 6"):
        cbor.encode((((((((),),),),),),))
    with pytest.raises(DecodeError, match="arrays nest deeper than 6"):
        cbor.decode(bytes.fromhex("81818181818180"))
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="arrays nest deeper than 6"):
        cbor.encode(endless)


@pytest.mark.parametrize(
    "value", [-1, 2**64, True, None, 1.0, {}, {1: 2}, bytearray(), "\ud800", (1, (2, -3)), [None]]
)
def test_only_the_subset_is_encoded(value):
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        cbor.encode(value)


def test_integer_enums_are_integers():
    class Colour(enum.IntEnum):
        RED = 24

    assert cbor.encode((Colour.RED,)).hex() == "811818"


def test_hostile_lengths_and_nesting_cost_no_more_than_their_bytes():
    """A liar's length must not be allocated, and a megabyte of small items is read in linear time."""
    started = time.process_time()
    for data in (b"\x9b" + b"\xff" * 8, b"\x9a\x00\x10\x00\x00" + b"\x80" * 100, b"\x81" * cbor.BYTES_MAX):
        with pytest.raises(DecodeError):
            cbor.decode(data)
    assert time.process_time() - started < 0.5
