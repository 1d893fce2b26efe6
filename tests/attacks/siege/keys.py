"""(c) One key in two nodes that start at once, again and again, and (d) a guard that was moved away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.signing.guard_file import GUARD_FILE
from node.signing.history import export_history
from protocol.messages import Kind
from tests.attacks.siege import nodes
from tests.attacks.siege.field import Node, contradictions, copied, killed, node, wait_for
from tests.attacks.siege.table import Row
from tests.limits import CHILD_TIMEOUT_S
from tests.market.conftest import RunningMarket

TWICE, MOVED = "one key twice at once", "guard moved away"
TOGETHER_S_MAX = 0.1
SETTLED_S = 6.0
"""After one has stopped: three offers' time, in which the other may say something."""
STOPS_S_MAX = 2 * CHILD_TIMEOUT_S
MUST_STOP = 2


@dataclass(slots=True)
class Pairs:
    """What came of some pairs of one key.

    :ivar stopped: of how many pairs one node ended, or both. :ivar both: of how many both.
    :ivar others: statuses other than 2, of nodes that ended. :ivar slots_twice: with two bodies.
    :ivar signed: statements in all guards. :ivar apart_s: the longest between the two starts.
    """

    pairs: int = 0
    stopped: int = 0
    both: int = 0
    others: int = 0
    slots_twice: int = 0
    signed: int = 0
    apart_s: float = 0.0


def attack(market: RunningMarket, pairs: int) -> list[Row]:
    """Half of the pairs are miners, half idle coordinators, side by side, since most of each is waiting.

    A miner of the market dies of it.
    """
    with ThreadPoolExecutor(2) as threads:
        source = killed(market, "miner-1")
        miners = threads.submit(_pairs, market, source, "miner", pairs - pairs // 2)
        idle = threads.submit(_pairs, market, market.folder / nodes.IDLE, "coordinator", pairs // 2)
        return [*_rows("miners", miners.result()), *_rows("idle coordinators", idle.result())]


def _rows(name: str, found: Pairs) -> Iterator[Row]:
    apart = f"{found.pairs} pairs, {1000 * found.apart_s:.0f} ms apart at most"
    yield Row(TWICE, f"{name} started", "", apart, "within 100 ms", found.apart_s <= TOGETHER_S_MAX)
    stopped = f"{found.stopped} of {found.pairs}, both in {found.both}"
    yield Row(TWICE, f"{name}: one stops", "", stopped, "in all", found.stopped == found.pairs)
    yield Row(TWICE, f"{name}: other statuses than 2", "", str(found.others), "0", not found.others)
    twice = f"{found.slots_twice} of {found.signed}"
    yield Row(TWICE, f"{name}: slots with two bodies", "", twice, "0", not found.slots_twice)


def _pairs(market: RunningMarket, source: Path, role: str, count: int) -> Pairs:
    """So many pairs, one after the other; each begins with what the one before it has signed."""
    found, name = Pairs(), source.name
    for number in range(count):
        folders = [copied(source, market.folder / f"{name}-{number}{side}") for side in "ab"]
        _pair(market, folders, role, found)
        bodies: dict[tuple[str, str], set[str]] = {}
        for folder in folders:
            for statement in _statements(folder):
                bodies.setdefault((statement["kind"], statement["slot"]), set()).add(statement["body"])
        found.signed = len(bodies)
        found.slots_twice += sum(len(each) > 1 for each in bodies.values())
        source = max(folders, key=lambda folder: len(_statements(folder)))
    return found


def _pair(market: RunningMarket, folders: list[Path], role: str, found: Pairs) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(len(folders)) as threads:
        running = list(threads.map(lambda folder: Node(market, folder, role), folders))
        for each in running:
            stack.callback(each.stop)
        found.pairs += 1
        found.apart_s = max(found.apart_s, abs(running[1].began_s - running[0].began_s))
        said = " / ".join(str(folder) for folder in folders)
        wait_for(lambda: any(_ended(each) for each in running), STOPS_S_MAX, f"one of {said} stops")
        found.stopped += 1
        deadline_s = time.monotonic() + SETTLED_S
        while time.monotonic() < deadline_s and not all(_ended(each) for each in running):
            time.sleep(0.1)
        found.both += all(_ended(each) for each in running)
        ended = [each.process.returncode for each in running if _ended(each)]
        found.others += sum(status != MUST_STOP for status in ended)


def _ended(running: Node) -> bool:
    return running.process.poll() is not None


def _statements(folder: Path) -> list[dict[str, Any]]:
    """All that the guard of a stopped node has signed."""
    return [
        statement
        for signer in export_history(folder / GUARD_FILE)["data"]
        for statement in signer["signed_statements"]
    ]


class MovedGuard:
    """A miner of the market whose guard was moved away. It is refused, and goes on with an empty one."""

    def __init__(self, market: RunningMarket) -> None:
        """Returns when it is up again."""
        self._folder = killed(market, "miner-2")
        self._market = market
        self._signed_before = len(_statements(self._folder))
        kept = self._folder / "moved"
        kept.mkdir()
        for path in self._folder.glob(f"{GUARD_FILE}*"):
            path.rename(kept / path.name)
        with node(market, self._folder, "miner") as refused:
            wait_for(lambda: _ended(refused), CHILD_TIMEOUT_S, "a node without its guard stops")
            self._status = refused.process.returncode
        self._made_one = (self._folder / GUARD_FILE).exists()
        command = [sys.executable, "-m", "node.cli", "guard", "init", str(self._folder), "--never-signed"]
        command += ["--password-file", str(market.folder / "password")]
        subprocess.run(command, check=True, capture_output=True, timeout=CHILD_TIMEOUT_S)
        self._node = Node(market, self._folder, "miner")
        self._node.wait_until_up()
        self._began_s = time.monotonic()

    def stop(self) -> None:
        """Whatever has come of it."""
        self._node.stop()

    def rows(self, offers_s: float) -> list[Row]:
        """What came of it when it has been up for so long. :raises SiegeFailed: it has stopped by itself."""
        while time.monotonic() - self._began_s < offers_s and not _ended(self._node):
            time.sleep(1)
        ended = _ended(self._node)
        self.stop()
        offered = [each for each in _statements(self._folder) if int(each["kind"]) == Kind.OFFER]
        heard = len(contradictions(self._market, "miner-2"))
        lived = f"{len(offered)} offers in {time.monotonic() - self._began_s:.0f} s"
        goal = f"none in {offers_s:.0f} s"
        return [
            Row(MOVED, "status without a guard", "", str(self._status), "2", self._status == MUST_STOP),
            Row(MOVED, "it made a guard to sign with", "", str(self._made_one), "False", not self._made_one),
            Row(MOVED, "signed with --never-signed", str(self._signed_before), lived, "some", bool(offered)),
            Row(MOVED, "it stopped by itself", "", str(ended), "False", not ended),
            Row(MOVED, "of it, anybody heard contradictions", "", str(heard), goal, not heard),
        ]


@contextmanager
def moved_guard(market: RunningMarket) -> Iterator[MovedGuard]:
    """The attack, until the context ends."""
    attacked = MovedGuard(market)
    try:
        yield attacked
    finally:
        attacked.stop()
