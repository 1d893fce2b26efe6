"""(a) A million introductions on the chain, and (f) a node that is stopped while it decodes logs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import trio

from contracts.contract import LOG_BLOCKS_MAX
from contracts.rpc import connect
from node.peer.chain_watcher import REGISTRY_FILE
from node.peer.network import load_network
from tests.attacks.siege import nodes
from tests.attacks.siege.field import copied, longest_step, node, peak_memory, wait_for
from tests.attacks.siege.flood import Flooder, registered_topic
from tests.attacks.siege.table import Row, at_most
from tests.limits import CHILD_TIMEOUT_S
from tests.market.asking import ask, undisturbed_s
from tests.market.conftest import RunningMarket

FLOOD, STOP = "events on the chain", "SIGTERM at decoding"
LONG_TEXT = "x" * 512
BLOCKED_S_MAX = 0.25
LATER_S_MAX = 30.0
MEMORY_MIB_MAX = 64.0
"""More than undisturbed."""
STOPPED_S_MAX = 5.0
FIRST_INVENTED = 1 << 128
RPC_TIMEOUT_S = 600.0
WATCHED = ("coordinator", "miner-1")


@dataclass(frozen=True, slots=True)
class Start:
    """A fresh node.

    :ivar up_s: until it is up. :ivar peak_mib: of its memory. :ivar stopped_s: from SIGTERM to its end.
    """

    up_s: float
    peak_mib: float
    stopped_s: float


def _start(market: RunningMarket, name: str) -> Start:
    """Start a coordinator that knows nothing of the chain, and stop it."""
    folder = copied(market.folder / nodes.IDLE, market.folder / name)
    with node(market, folder, "coordinator") as fresh:
        up_s = fresh.wait_until_up()
        peak_mib = peak_memory(fresh.process.pid)
        return Start(up_s, peak_mib, fresh.stop())


async def _flood(market: RunningMarket, order: Callable[[Flooder, bytes], Awaitable[None]]) -> None:
    """Have the chain flooded."""
    network = load_network(str(market.folder / "network"))
    async with connect(market.description["rpc_url"], timeout_s=RPC_TIMEOUT_S) as rpc:
        flooder = Flooder(rpc, network.deployment.staking)
        await flooder.open()
        await order(flooder, bytes.fromhex(market.description["addresses"]["miner-1"][2:]))


async def _own_time(market: RunningMarket) -> float:
    """How long the chain takes to serve all that a fresh node asks for, seconds."""
    deployment = load_network(str(market.folder / "network")).deployment
    async with connect(market.description["rpc_url"], timeout_s=RPC_TIMEOUT_S) as rpc:
        began_s = time.monotonic()
        head = await rpc.block_number()
        for first in range(deployment.deployed_at_block, head + 1, LOG_BLOCKS_MAX):
            query = {"address": "0x" + deployment.staking.hex(), "topics": [[registered_topic()]]}
            query |= {"fromBlock": hex(first), "toBlock": hex(min(head, first + LOG_BLOCKS_MAX - 1))}
            await rpc.request("eth_getLogs", query)
        return time.monotonic() - began_s


def _blocked(market: RunningMarket, since_s: float, *, by_clock: bool) -> float:
    """The longest that any watched node's loop stood still, milliseconds."""
    steps = [longest_step(market.data_dir(name), since_s) for name in WATCHED]
    return 1000 * max(step[0 if by_clock else 1] for step in steps)


def attack(market: RunningMarket, events: int, long_events: int, *, by_clock: bool) -> list[Row]:
    """:param by_clock: whether standstills of the loop are taken by the clock, or by the processor's time."""
    began_s = time.time()
    before = _start(market, "fresh-before")
    answer_s = undisturbed_s(market, steps=2)
    blocked_before_ms = _blocked(market, began_s, by_clock=by_clock)
    peaks_before = [peak_memory(market.process_of(name)) for name in WATCHED]

    async def order(flooder: Flooder, address: bytes) -> None:
        await flooder.metadata(address, events, "")
        await flooder.metadata(address, long_events, LONG_TEXT)

    flooded_at_s = time.time()
    with ThreadPoolExecutor(1) as threads:
        flood = threads.submit(trio.run, _flood, market, order)
        answers = [ask(market, steps=2)]
        while not flood.done():
            answers.append(ask(market, steps=2))
        flood.result()
    chain_s = trio.run(_own_time, market)
    flooding_s = time.time() - flooded_at_s
    after = _start(market, "fresh-after")
    peaks = [peak_memory(market.process_of(name)) for name in WATCHED]
    grown = max(late - early for early, late in zip(peaks_before, peaks, strict=True))
    served = sum(answer.status == 200 for answer in answers)
    blocked_ms = _blocked(market, flooded_at_s, by_clock=by_clock)
    clock = "clock" if by_clock else "processor"
    return [
        Row(
            FLOOD,
            "events of 0 and of 512 bytes",
            "0",
            f"{events:,} and {long_events:,} in {flooding_s:.0f} s",
        ),
        at_most(
            FLOOD, f"loop blocked, by the {clock}", blocked_before_ms, blocked_ms, 1000 * BLOCKED_S_MAX, "ms"
        ),
        Row(
            FLOOD, "slowest answer", f"{answer_s:.2f} s", f"{max(answer.seconds for answer in answers):.2f} s"
        ),
        Row(FLOOD, "requests served", "", f"{served} of {len(answers)}", "all", served == len(answers)),
        Row(FLOOD, "the chain's own time to serve", "", f"{chain_s:.2f} s"),
        at_most(
            FLOOD,
            "fresh node is up",
            before.up_s,
            after.up_s,
            round(before.up_s + chain_s + LATER_S_MAX),
            "s",
        ),
        at_most(
            FLOOD,
            "its memory at most",
            before.peak_mib,
            after.peak_mib,
            round(before.peak_mib + MEMORY_MIB_MAX),
            "MiB",
        ),
        at_most(FLOOD, "growth of nodes that run", 0, grown, MEMORY_MIB_MAX, "MiB"),
    ]


def _registrations_kept(registry: Path) -> int:
    """How many a node has read and kept; it was stopped in the midst of them if those are not all."""
    if not registry.exists():
        return 0
    with closing(sqlite3.connect(registry)) as connection:
        found: int = connection.execute("SELECT count(*) FROM nodes").fetchone()[0]
    return found


def stop_while_decoding(market: RunningMarket, registrations: int) -> list[Row]:
    """Invent so many registrations, and stop a fresh node in the midst of them; others read them, too."""
    before = _start(market, "fresh-before-decoding")

    async def order(flooder: Flooder, _address: bytes) -> None:
        await flooder.registrations(FIRST_INVENTED, registrations)

    trio.run(_flood, market, order)
    folder = copied(market.folder / nodes.IDLE, market.folder / "fresh-decoding")
    with node(market, folder, "coordinator") as fresh:
        wait_for((folder / nodes.DECODING_FILE).exists, CHILD_TIMEOUT_S, "a node decodes")
        stopped_s = fresh.stop()
        status = fresh.process.returncode
    kept = _registrations_kept(folder / REGISTRY_FILE)
    return [
        Row(STOP, "registrations to decode", "", f"{registrations:,}"),
        at_most(STOP, "from SIGTERM to the end", before.stopped_s, stopped_s, STOPPED_S_MAX, "s"),
        Row(
            STOP,
            "status, and registrations read by then",
            "",
            f"{status}, {kept:,}",
            f"0, fewer than {registrations:,}",
            status == 0 and kept < registrations,
        ),
    ]
