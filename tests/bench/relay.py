"""What a bootstrap peer's relay carries, and what it weighs with all circuits taken.

    python -m tests.bench.relay

Starts `cuckoo-peer --role bootstrap` as a process. As many pairs of peers as it may have circuits talk
through it, all at once, and then as many pairs without it; then as many circuits are filled with bytes that
nobody takes. Prints throughput, its ratio to that without a relay, and the process's resident memory.
Status 1 if the process weighs more than it may.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from node.bootstrap.bootstrap import RELAY_LIMITS
from p2p.host import open_host
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.relay.circuit_messages import HOP_PROTOCOL, STOP_PROTOCOL, HopMessage, Status, StopMessage
from p2p.relay.client import RelayClient
from p2p.small_messages import encode_message, read_message
from protocol.errors import ProtocolError, Refusal
from tests.bench.bootstrap import RESIDENT_MIB_MAX, say
from tests.node.bootstrap.processes import running_bootstrap
from tests.p2p.nodes import LOOPBACK
from tests.p2p.relay.circuits import echo

if TYPE_CHECKING:
    from tests.node.bootstrap.processes import Running

CIRCUITS = RELAY_LIMITS.circuits_max
CALLERS = 4
PIECES, PIECE_BYTES = 8, 64 * 1024
STALLED_S = 5
ECHO = "/bench/1"
MIB = 1 << 20


@asynccontextmanager
async def pairs_of(listen):
    """CALLERS hosts and as many called ones as make CIRCUITS pairs, not connected."""
    async with AsyncExitStack() as stack:

        async def some(count, where):
            return [
                await stack.enter_async_context(
                    open_host(secrets.token_bytes(32), where, loopback_exempt=True)
                )
                for _ in range(count)
            ]

        callers, called = await some(CALLERS, []), await some(CIRCUITS // CALLERS, listen)
        yield [(caller, host) for host in called for caller in callers], callers, called


@asynccontextmanager
async def circuits_through(running: Running):
    """CIRCUITS pairs, the called ones to be reached through the relay alone."""
    async with pairs_of([]) as (pairs, callers, called), trio.open_nursery() as nursery:
        for host in called:
            client = RelayClient(host, is_wanted=lambda: True)
            await host.connect(running.address, timeout_ms=20_000)
            await nursery.start(client.run)
            while not client.addresses():
                await trio.sleep(0.05)
        for caller in callers:
            RelayClient(caller, is_wanted=lambda: False)
            await caller.connect(running.address, timeout_ms=20_000)
        yield pairs
        nursery.cancel_scope.cancel()


async def carry(pairs, running: Running) -> tuple[float, float]:
    """All pairs talk at once; MiB/s, and what the relay weighs at most meanwhile."""
    heaviest = 0.0
    for caller, host in pairs:
        host.handle_direct_streams(ECHO, echo)
        await caller.connect(host.addresses()[0], timeout_ms=20_000)

    async def talk(caller, host):
        nonlocal heaviest
        async with caller.open_direct_stream(host.peer_id, ECHO) as stream:
            for _ in range(PIECES):
                await stream.send(bytes(PIECE_BYTES))
                await stream.receive()
                heaviest = max(heaviest, running.resident_mib)

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for caller, host in pairs:
            nursery.start_soon(talk, caller, host)
    carried_mib = 2 * len(pairs) * PIECES * PIECE_BYTES / MIB
    return carried_mib / (trio.current_time() - started), heaviest


async def stall(pairs, running: Running) -> float:
    """All pairs have circuits that are filled and not emptied; what the relay weighs at most, in MiB."""

    async def take_and_keep(stream, _peer):
        await stream.write(encode_message(StopMessage(type=StopMessage.STATUS, status=Status.OK)))
        await trio.sleep_forever()

    async def fill(caller, host, relay):
        request = HopMessage(type=HopMessage.CONNECT)
        request.peer.id = host.peer_id.to_bytes()
        with suppress(Refusal, ProtocolError, *TRANSPORT_ERRORS):
            stream = await caller.open_stream(relay, [HOP_PROTOCOL])
            await stream.write(encode_message(request))
            assert (await read_message(stream, HopMessage)).status == Status.OK
            while True:
                await stream.write(bytes(PIECE_BYTES))

    heaviest = 0.0
    async with trio.open_nursery() as nursery:
        for caller, host in pairs:
            host.handle_streams(STOP_PROTOCOL, take_and_keep)
            relay = next(iter(caller.connected_peers()))
            nursery.start_soon(fill, caller, host, relay)
        with trio.move_on_after(STALLED_S):
            while True:
                heaviest = max(heaviest, running.resident_mib)
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()
    return heaviest


async def main() -> int:
    """Measure and print. Returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_bootstrap(Path(folder)) as running:
            at_rest = running.resident_mib
            async with circuits_through(running) as pairs:
                relayed, heaviest = await carry(pairs, running)
            async with pairs_of(LOOPBACK) as (pairs, *_):
                direct, _ = await carry(pairs, running)
            async with circuits_through(running) as pairs:
                stalled = await stall(pairs, running)
            relaying = (await trio.to_thread.run_sync(running.health))["relay"]["relaying"]
    say(f"at rest                     {at_rest:6.1f} MiB")
    say(f"{CIRCUITS} circuits that carry      {heaviest:6.1f} MiB at most, {relayed:.1f} MiB/s,")
    say(f"                            {relayed / direct:.2f} of what the same pairs do without a relay")
    say(f"{CIRCUITS} circuits that stall      {stalled:6.1f} MiB at most")
    say(f"the relay says: {relaying}")
    all_opened = relaying["counts"]["circuits"] >= 2 * CIRCUITS
    return 0 if max(heaviest, stalled) <= RESIDENT_MIB_MAX and all_opened else 1


if __name__ == "__main__":
    sys.exit(trio.run(main))
