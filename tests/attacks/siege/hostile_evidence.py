"""(b) Ten thousand hostile pieces of evidence, then a real one: it is stored, gossiped and slashed.

Is: pieces that a node must look at and that cost their sender nothing: false parts of tasks that nobody
announced, contradictions of keys without stake, and one registered coordinator's wrong
rankings over and over.
Is not: pieces that prove nothing; who sends those is shown the door.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import trio

from node.signing.keys import Key, open_keystore, read_password
from node.system.control_client import ask as ask_node
from node.system.lifetime import KEY_FILE
from p2p.mesh import Validation
from protocol.evidence import Evidence, FalsePart, TwoStatements, WrongRanking
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import ChunkKind, ModelOffer, Offer, ResultChunk, ResultCommitment, WorkOffer, parts_of
from protocol.rules import evidence
from protocol.work import WorkKind
from tests.attacks.siege.field import SiegeFailed, longest_step
from tests.attacks.siege.nodes import HOSTILE
from tests.attacks.siege.table import Row, at_most
from tests.limits import CHILD_TIMEOUT_S
from tests.market.conftest import RunningMarket
from tests.market.test_bad_peers import Stranger, stranger_in

ATTACK = "hostile evidence"
HONEST = ("coordinator", "miner-1", "miner-2")
BATCH, BATCH_PAUSE_S = 50, 0.05
LATER_S_MAX = 10.0
BLOCKED_MS_MAX = 250.0
OUTPUT = b"an output"
OFFER_LIFE_MS = 60_000


def attack(market: RunningMarket, pieces: int, *, by_clock: bool) -> list[Row]:
    """:param by_clock: as for the events on the chain."""
    return trio.run(_attack, market, pieces, by_clock)


async def _attack(market: RunningMarket, pieces: int, by_clock: bool) -> list[Row]:
    password = read_password(market.folder / "password")
    announcer, *liars = [open_keystore(market.data_dir(name) / KEY_FILE, password) for name in HOSTILE]
    async with stranger_in(market, announcer) as stranger:
        topic = stranger.network.topic(evidence.TOPIC)
        stranger.gossip.join(topic, lambda _data, _peer: Validation.ACCEPT)
        with trio.fail_after(CHILD_TIMEOUT_S):
            while not stranger.gossip.peers(topic):
                await trio.sleep(0.05)
        before_s = await _real(market, stranger, liars[0])
        began_s, began_at_s = time.monotonic(), time.time()
        sent_bytes = 0
        for number, piece in enumerate(_pieces(stranger, pieces)):
            encoded = piece.encode()
            sent_bytes += len(encoded)
            await stranger.gossip.publish(topic, encoded)
            if number % BATCH == 0:
                await trio.sleep(BATCH_PAUSE_S)
        flooding_s = time.monotonic() - began_s
        during_s = await _real(market, stranger, liars[1])
        still_here = len(stranger.host.connected_peers())
    steps = [longest_step(market.data_dir(name), began_at_s) for name in HONEST]
    blocked_ms = 1000 * max(step[0 if by_clock else 1] for step in steps)
    states = [ask_node(market.data_dir(name), "status")["evidence"] for name in HONEST]
    said = await trio.to_thread.run_sync(_slash, market, _file(market, HONEST[0], liars[1]))
    return [
        Row(ATTACK, "pieces sent", "0", f"{pieces:,}, {sent_bytes / 1e6:.1f} MB in {flooding_s:.0f} s"),
        Row(ATTACK, "connections it was left with", "", str(still_here)),
        at_most(ATTACK, "a real one at all nodes after", before_s, during_s, before_s + LATER_S_MAX, "s"),
        at_most(ATTACK, "loop blocked", 0, blocked_ms, BLOCKED_MS_MAX, "ms"),
        Row(ATTACK, "files a node keeps at most", "", str(max(state["files"] for state in states))),
        Row(ATTACK, "slashed by what a node kept", "", said, "lost 2,500,000", "lost 2,500,000 CAI" in said),
    ]


def _file(market: RunningMarket, name: str, liar: Key) -> Path:
    return market.data_dir(name) / "evidence" / f"equivocation-{liar.address.hex()}.json"


async def _real(market: RunningMarket, stranger: Stranger, liar: Key) -> float:
    """Publish a contradiction that the contract can judge; seconds until every honest node keeps it."""
    pair = [stranger.sealed(_offer(liar.address, capacity), liar) for capacity in (1, 2)]
    began_s = time.monotonic()
    await stranger.gossip.publish(stranger.network.topic(evidence.TOPIC), TwoStatements.pair(*pair).encode())
    missing = list(HONEST)
    while missing:
        missing = [name for name in missing if not _file(market, name, liar).exists()]
        if time.monotonic() - began_s > CHILD_TIMEOUT_S:
            raise SiegeFailed(f"not kept by {', '.join(missing)}")
        await trio.sleep(0.02)
    return time.monotonic() - began_s


def _offer(seed: bytes, capacity: int) -> Offer:
    """One of a slot's two: all of a seed have the same time and number."""
    works = (WorkOffer(int(WorkKind.TEXT_TO_IMAGE), (1,)),)
    made_ms = int.from_bytes(seed[:4], "big")
    return Offer(made_ms, made_ms, made_ms + OFFER_LIFE_MS, capacity, (ModelOffer(bytes(32), works),))


def _pieces(stranger: Stranger, count: int) -> Iterator[Evidence]:
    """Three kinds in turn."""
    for number in range(count):
        match number % 3:
            case 0:
                yield _false_part(stranger, sha256(b"no task %d" % number))
            case 1:
                nobody = Key.of(os.urandom(32))
                yield TwoStatements.pair(
                    *(stranger.sealed(_offer(nobody.address, n), nobody) for n in (1, 2))
                )
            case _:
                task = stranger.announcement(stranger.key, number)
                wrong = dataclasses.replace(task, ranking=tuple(reversed(task.ranking)))
                yield WrongRanking(stranger.sealed(wrong))


def _false_part(stranger: Stranger, task_id: bytes) -> FalsePart:
    root = merkle_root(parts_of(OUTPUT))
    commitment = ResultCommitment(task_id, root, len(OUTPUT), sha256(OUTPUT), bytes(32), 1)
    chunk = ResultChunk(task_id, 0, int(ChunkKind.OUTPUT_PART), 0, 1, b"another")
    return FalsePart.of(stranger.sealed(chunk), stranger.sealed(commitment), OUTPUT, 0)


def _slash(market: RunningMarket, file: Path) -> str:
    """What `cuckoo-slash` said last of what was lost."""
    command = [sys.executable, "-m", "node.commands.slash", "submit", str(file), "--in-the-clear"]
    command += [
        "--network",
        market.description["network"],
        "--reporter-key",
        market.description["staker_key"],
    ]
    command += ["--password-file", market.description["password_file"]]
    run = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=False)
    lines = [line for line in run.stdout.splitlines() if "lost" in line]
    return lines[-1].strip() if lines else f"status {run.returncode}: {run.stderr.strip()[-200:]}"
