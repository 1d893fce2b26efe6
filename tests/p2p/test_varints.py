"""p2p/varints.py: the writer, against protobuf's."""

from google.protobuf.internal.encoder import _VarintBytes
from hypothesis import example, given
from hypothesis import strategies as st

from p2p.varints import encode_varint


@given(st.integers(0, 2**64 - 1))
@example(0)
@example(127)
@example(128)
def test_law_a_number__is_written_as_protobuf_writes_it(number):
    assert encode_varint(number) == _VarintBytes(number)
