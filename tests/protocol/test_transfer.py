"""The request for a model's file: its bounds."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.transfer import PATH_BYTES_MAX, ModelRequest
from tests.protocol.strategies import lawful, mutations, structs

REQUEST = ModelRequest(bytes(32), "unet/config.json", 0)


@lawful
@given(structs(ModelRequest))
def test_round_trip(request_):
    assert ModelRequest.decode(request_.encode()) == request_


@lawful
@given(mutations(st.just(REQUEST.encode())))
def test_any_bytes_give_a_request_or_a_decode_error(data):
    with suppress(DecodeError):
        assert ModelRequest.decode(data).encode() == data


@pytest.mark.parametrize(
    "changes", [{"path": "a" * (PATH_BYTES_MAX + 1)}, {"offset": 1 << 64}, {"model_id": bytes(31)}]
)
def test_out_of_bounds(changes):
    fields = {name: getattr(REQUEST, name) for name in REQUEST.__dataclass_fields__}
    with pytest.raises(ValueError, match="cannot be encoded"):
        ModelRequest(**fields | changes).encode()
