"""Real hosts on loopback, for tests."""

import math
import random
from contextlib import AsyncExitStack, asynccontextmanager

import trio
import trio.testing
from multiaddr import Multiaddr

from p2p.gossip.params import GossipParams
from p2p.gossip.service import GossipService
from p2p.host import Host, open_host
from p2p.mesh import Validation
from tests.limits import HANG_S

LOOPBACK = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
SETTLED_S = 0.01


def secret(number: int) -> bytes:
    """A node secret; the same number is the same node."""
    return (number + 1).to_bytes(32)


def port_of(host: Host) -> int:
    """The first port that a host listens at."""
    return int(host.listen_addresses()[0].value_for_protocol("tcp"))


@asynccontextmanager
async def open_hosts(count: int, **changes):
    """Hosts that do not know each other yet. All are on one machine, and may be."""
    options = {"loopback_exempt": True, **changes}
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(open_host(secret(number), LOOPBACK, **options))
            for number in range(count)
        ]


async def connect(dialler: Host, listener: Host):
    """Connect two hosts, and wait until both know."""
    peer_id = await dialler.connect(listener.listen_addresses()[0])
    await until(lambda: listener.is_connected(dialler.peer_id))
    return peer_id


@asynccontextmanager
async def open_gossip(count: int, **changes):
    """Hosts with gossip services that run, in one nursery."""
    async with open_hosts(count) as hosts, trio.open_nursery() as nursery:
        services = [
            GossipService(host, random.Random(number), params=GossipParams(**changes))
            for number, host in enumerate(hosts)
        ]
        for service in services:
            await nursery.start(service.run)
        yield hosts, services
        nursery.cancel_scope.cancel()


async def settled() -> None:
    """Wait until nothing in this process has run for a moment: what was sent on loopback has come."""
    await trio.testing.wait_all_tasks_blocked(SETTLED_S)


def hear(mesh, topic, validator=lambda *_: Validation.ACCEPT):
    """Join a topic; what its validator accepts comes out of a channel."""
    send, receive = trio.open_memory_channel(math.inf)

    def judge(data, forwarder):
        verdict = validator(data, forwarder)
        if verdict is Validation.ACCEPT:
            send.send_nowait(data)
        return verdict

    mesh.join(topic, judge)
    return receive


async def until(condition, timeout_s: float = HANG_S) -> None:
    """Wait for a condition on real sockets; looks every few milliseconds."""
    with trio.fail_after(timeout_s):
        while not condition():
            await trio.sleep(0.005)
