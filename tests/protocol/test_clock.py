"""The question for the time and its answer: their bounds."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import CLOCK_PAYLOAD_BYTES_MAX, NONCE_BYTES, ClockAnswer, ClockQuestion
from protocol.errors import DecodeError
from tests.protocol.strategies import lawful, mutations, structs

QUESTION = ClockQuestion(bytes(range(NONCE_BYTES)))
ANSWER = ClockAnswer(QUESTION.nonce, 1_800_000_000_000)


@lawful
@given(structs(ClockQuestion) | structs(ClockAnswer))
def test_round_trip_within_the_payload(message):
    encoded = message.encode()
    assert type(message).decode(encoded) == message
    assert len(encoded) <= CLOCK_PAYLOAD_BYTES_MAX


@lawful
@given(mutations(st.sampled_from([QUESTION.encode(), ANSWER.encode()])))
def test_any_bytes_give_a_message_or_a_decode_error(data):
    for kind in (ClockQuestion, ClockAnswer):
        with suppress(DecodeError):
            assert kind.decode(data).encode() == data


@pytest.mark.parametrize(
    "message",
    [
        ClockQuestion(bytes(NONCE_BYTES - 1)),
        ClockAnswer(bytes(NONCE_BYTES + 1), 0),
        ClockAnswer(bytes(NONCE_BYTES), 1 << 64),
    ],
)
def test_out_of_bounds(message):
    with pytest.raises(ValueError, match="cannot be encoded"):
        message.encode()
