"""A coordinator's end of a call, on real sockets."""

import pytest

from node.coordinator.calling import call_miner
from node.exchange.protocols import CALLS_PROTOCOL
from node.signing.keys import Key
from p2p.host_streams import NotConnected
from protocol.errors import InvalidMessage, Refusal
from protocol.messages import TaskCall
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from tests.node.builders import DOMAIN
from tests.p2p.nodes import connect, open_hosts, secret
from tests.protocol.builders import offer

TASK_ID = b"\x07" * 32
MINER = Key.of(secret(1))


def host_offer(_=None):
    """An offer by the key of the second host."""
    message = offer()
    encoded = seal(DOMAIN, message, lambda statement: sign_digest(MINER.secret, statement.digest))
    return open_statement(DOMAIN, encoded, type(message))


async def called(hosts, answer):
    """Have the first host call the second, which does as `answer` says; what it heard."""
    coordinator, miner = hosts
    heard = []

    async def handle(stream, peer_id):
        heard.append(await stream.receive())
        await answer(stream)

    await connect(miner, coordinator)
    miner.handle_direct_streams(CALLS_PROTOCOL, handle)
    await call_miner(coordinator, host_offer, MINER.address, TASK_ID)
    return heard


async def test_a_call_is_heard():
    async def nothing(stream):
        assert await stream.receive() is None

    async with open_hosts(2) as hosts:
        assert await called(hosts, nothing) == [TaskCall(TASK_ID).encode()]


async def test_a_miner_that_waits_for_no_such_task_says_so():
    async def refuse(stream):
        raise Refusal("no task of yours waits here")

    async with open_hosts(2) as hosts:
        with pytest.raises(Refusal):
            await called(hosts, refuse)


async def test_a_call_has_no_answer():
    async def talk(stream):
        await stream.send(b"coming")

    async with open_hosts(2) as hosts:
        with pytest.raises(InvalidMessage) as caught:
            await called(hosts, talk)
        assert caught.value.reason == "a call has no answer but the stream's end"


async def test_a_miner_without_an_offer_cannot_be_reached():
    async with open_hosts(1) as hosts:
        with pytest.raises(NotConnected):
            await call_miner(hosts[0], lambda _: None, MINER.address, TASK_ID)
