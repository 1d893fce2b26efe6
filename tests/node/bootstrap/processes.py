"""A bootstrap peer as a process, and those who call it."""

from __future__ import annotations

import json
import random
import secrets
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from multiaddr import Multiaddr

from contracts.deployment import CONTRACTS, Deployment, write_deployment
from node.devnet.processes import NodeProcess, node_process
from node.signing.keys import SCRYPT_N_LIGHT, create_keystore
from node.system.files import write_private
from node.system.lifetime import KEY_FILE
from p2p.discovery import PeerExchange
from p2p.host import open_host
from p2p.record_store import PeerRecords
from protocol.errors import Refusal

REPOSITORY = Path(__file__).parents[3]
LISTEN = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
PARALLEL = 8
MIB = 1 << 20


@dataclass(frozen=True)
class Running:
    """A bootstrap peer in a process of its own, which needs no chain."""

    process: NodeProcess
    address: Multiaddr
    health_url: str

    @property
    def resident_mib(self) -> float:
        pages = Path(f"/proc/{self.process.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096 / MIB

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.health_url}/status", timeout=20) as answer:
            return json.load(answer)


@asynccontextmanager
async def running_bootstrap(folder: Path, *arguments: str, bootnodes: tuple[str, ...] = ()):
    """`cuckoo-peer --role bootstrap` on a network of nobody else; its folder may hold an earlier life."""
    network = folder / "network"
    if not network.exists():
        network.mkdir(parents=True)
        parameters = (REPOSITORY / "bootstrap" / "devnet" / "params.toml").read_text()
        (network / "params.toml").write_text(parameters)
        zero = bytes(20)
        write_deployment(
            network / "contracts.json",
            Deployment(
                chain_id=31337,
                **dict.fromkeys(CONTRACTS, zero),
                disputes=None,
                deployed_at_block=0,
                deployed_at_ms=0,
            ),
        )
        write_private(folder / "password", b"password\n")
        create_keystore(folder / "node" / KEY_FILE, b"password", scrypt_n=SCRYPT_N_LIGHT)
    (network / "bootnodes.txt").write_text("\n".join(bootnodes))
    flags = ["--role", "bootstrap", "--data-dir", str(folder / "node"), "--network", str(network)]
    flags += ["--password-file", str(folder / "password"), "--health-address", "127.0.0.1:0", *arguments]
    async with node_process("bootstrap", folder / "node", flags) as process:
        document = await process.ready()
        yield Running(process, Multiaddr(document["multiaddrs"][0]), document["health_url"])


async def ask_once(address: Multiaddr, *, listening: bool = False) -> int:
    """Call under a new key, ask for peers, hang up. Returns how many peers were named."""
    secret = secrets.token_bytes(32)
    async with open_host(secret, LISTEN if listening else []) as host:
        records = PeerRecords(secret)
        records.renew_own(host.addresses() if listening else (), 1)
        peer = await host.connect(address, timeout_ms=20_000)
        await PeerExchange(host, records, random.Random()).ask(peer)
        return len(records)


async def say_little(address: Multiaddr, words: bytes) -> None:
    """Call and say something that is no handshake, or nothing."""
    port = int(address.value_for_protocol("tcp"))
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        if words:
            await stream.send_all(words)
            with trio.move_on_after(0.05):
                await stream.receive_some(64)


async def call_many(address: Multiaddr, calls: int, rng: random.Random) -> int:
    """So many short calls, half of them whole; how many of those were answered."""
    answered = 0
    limiter = trio.CapacityLimiter(PARALLEL)
    words = (b"", b"GET / HTTP/1.1\r\n\r\n", rng.randbytes(200), b"\x13/multistream/1.0.0\n")

    async def call(number: int) -> None:
        nonlocal answered
        async with limiter:
            try:
                if number % 2:
                    await ask_once(address, listening=number % 4 == 1)
                    answered += 1
                else:
                    await say_little(address, words[number // 2 % len(words)])
            except (Refusal, OSError, trio.BrokenResourceError):
                return

    async with trio.open_nursery() as nursery:
        for number in range(calls):
            nursery.start_soon(call, number)
    return answered
