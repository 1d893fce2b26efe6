"""The miner's end of a call: who calls for what, and the words of a refusal."""

import pytest

from node.exchange.calls import Callee
from node.signing.keys import Key
from p2p.identity import peer_id_from_public_key
from protocol.errors import DecodeError, Refusal
from protocol.messages import TaskCall
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from tests.node.builders import DOMAIN
from tests.protocol.builders import offer

CALLER = Key.of(b"\x01" * 32)
TASK_ID = b"\x07" * 32


class Stream:
    """Gives one payload."""

    def __init__(self, payload):
        self.payload = payload

    async def receive(self, *, timeout_ms):
        assert timeout_ms > 0
        return self.payload


def caller_id():
    message = offer()
    encoded = seal(DOMAIN, message, lambda statement: sign_digest(CALLER.secret, statement.digest))
    return peer_id_from_public_key(open_statement(DOMAIN, encoded, type(message)).signer.public_key)


async def handled(payload, take):
    await Callee(take).handle(Stream(payload), caller_id())


async def test_a_call_is_taken_with_its_callers_address():
    taken = []
    await handled(TaskCall(TASK_ID).encode(), lambda *call: taken.append(call))
    assert taken == [(TASK_ID, CALLER.address)]


async def test_a_call_for_which_nothing_waits_is_refused_in_words():
    with pytest.raises(Refusal) as caught:
        await handled(TaskCall(TASK_ID).encode(), lambda *_: "no task of yours waits here")
    assert caught.value.reason == "no task of yours waits here"


@pytest.mark.parametrize("payload", [None, b"\xff", TaskCall(TASK_ID).encode() + b"\0"])
async def test_bytes_that_are_not_a_call(payload):
    with pytest.raises(DecodeError):
        await handled(payload, lambda *_: pytest.fail("it is not a call"))
