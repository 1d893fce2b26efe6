"""A js-libp2p peer as a process of its own, driven over JSON lines: ``js/peer.js`` is the other end."""

from __future__ import annotations

import itertools
import json
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from p2p.identity import PeerId, peer_id_from_text
from tests.limits import HANG_S

FOLDER = Path(__file__).parent
ECHO = "/cuckoo/interop-echo/1"
ANSWER_TIMEOUT_S = 60
STOP_TIMEOUT_S = 5


class CommandFailed(Exception):
    """The peer could not do what it was told; its own words."""


class JsPeer:
    """The running peer.

    :ivar peer_id: its identity; :ivar address: the chain address that *it* says this is;
    :ivar multiaddr: where it listens.
    """

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._answers: dict[int, Any] = {}
        self._waiting: dict[int, trio.Event] = {}
        self._numbers = itertools.count()
        self.peer_id: PeerId
        self.address: bytes
        self.multiaddr: str

    async def do(self, name: str, **arguments: Any) -> Any:
        """Give a command and wait for its result. :raises CommandFailed: it has none."""
        number = next(self._numbers)
        answered = self._waiting[number] = trio.Event()
        line = json.dumps({"id": number, "name": name, **arguments}) + "\n"
        assert self._process.stdin is not None
        await self._process.stdin.send_all(line.encode())
        with trio.fail_after(ANSWER_TIMEOUT_S):
            await answered.wait()
        answer = self._answers.pop(number)
        if "error" in answer:
            raise CommandFailed(answer["error"])
        return answer["result"]

    async def received(self, topic: str) -> list[bytes]:
        """What came on a topic, since it was subscribed."""
        return [bytes.fromhex(data) for data in await self.do("received", topic=topic)]

    async def until_received(self, topic: str, *expected: bytes) -> None:
        """Wait until each of `expected` has come; then each must have come once."""
        await until_async(lambda: self._has(topic, expected))
        found = await self.received(topic)
        assert [found.count(data) for data in expected] == [1] * len(expected)

    async def until_meshed(self, topic: str, *peers: PeerId) -> None:
        """Wait until its mesh of `topic` is just these peers."""

        async def meshed() -> bool:
            state = await self.do("state", topic=topic)
            return set(state["mesh"]) == set(map(str, peers))

        await until_async(meshed)

    async def _has(self, topic: str, expected: tuple[bytes, ...]) -> bool:
        return set(expected) <= set(await self.received(topic))

    async def listen(self) -> None:
        """Take answers, until the process ends."""
        assert self._process.stdout is not None
        buffer = b""
        async for data in self._process.stdout:
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                answer = json.loads(line)
                self._answers[answer["id"]] = answer
                self._waiting.pop(answer["id"]).set()


async def until_async(condition, timeout_s: float = HANG_S) -> None:
    """As `tests.p2p.nodes.until`, for a condition that must ask another process."""
    with trio.fail_after(timeout_s):
        while not await condition():
            await trio.sleep(0.02)


@asynccontextmanager
async def js_peer(
    secret: bytes, *, plain: bool = False, relay: bool = False, listen: list[str] | None = None, **gossip: Any
):
    """A started peer with this key.

    :param relay: whether it relays for others.
    :param listen: where it listens, if not at any port of this machine.
    :param gossip: options of its gossipsub, by their names there.
    """
    assert (FOLDER / "node_modules").is_dir(), "the npm packages are not installed: make setup"
    command = ["node", str(FOLDER / "js" / "peer.js")]
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        peer = JsPeer(process)
        nursery.start_soon(peer.listen)
        try:
            options = {"heartbeatInterval": 200, **gossip}
            where = {} if listen is None else {"listen": listen}
            started = await peer.do(
                "start", secret=secret.hex(), gossip=options, plain=plain, relay=relay, **where
            )
            peer.peer_id = peer_id_from_text(started["peer_id"])
            peer.address = bytes.fromhex(started["address"])
            peer.multiaddr = started.get("multiaddr", "")
            yield peer
        finally:
            with trio.CancelScope(shield=True):
                await process.stdin.aclose()
                with trio.move_on_after(STOP_TIMEOUT_S):
                    await process.wait()
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            nursery.cancel_scope.cancel()
