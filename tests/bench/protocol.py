"""How fast the protocol is, as ratios measured in one run, so that the machine matters little.

    python -m tests.bench.protocol

Is: figures on standard output, with their goals; status 1 when one is missed.
Is not: a test; a shared machine has moments of its own, so a goal missed once is a reason to run it again.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from coincurve import PublicKey

from protocol.draw import Snapshot, ranking
from protocol.errors import GossipIgnore
from protocol.hashing import keccak256
from protocol.messages import TaskAnnouncement
from protocol.rules.view import Seen
from protocol.statement import read_envelope, unsigned
from tests.protocol import builders
from tests.protocol.builders import (
    AUDITOR,
    COMMITTED,
    COORDINATOR,
    DOMAIN,
    FIRST_RANKED,
    MINERS,
    NOW_MS,
    TASK,
    sealed,
)
from tests.vectors.situations import RULES

ROUND_S = 0.05
ROUNDS = 15
MINERS_COUNT = 100_000
PLACES = 5

RATIO_MIN = 0.5
DUPLICATES_PER_S_MIN = 300_000
DECODES_PER_S_MIN = 120_000
BUILD_MS_MAX = 10.0
DRAW_US_MAX = 100.0

MESSAGES: dict[str, bytes] = {
    "offers": sealed(MINERS["ann"], builders.offer()),
    "tasks": TASK.encoded,
    "results": sealed(FIRST_RANKED, builders.commitment()),
    "verdicts": sealed(AUDITOR, builders.verdict()),
    "evidence": builders.evidence().encode(),
}


def seconds_each(*actions: Callable[[], Any]) -> list[float]:
    """Seconds of one call of each: the best of some rounds, since noise only ever adds.

    Rounds of all actions alternate, so that a slow moment of the machine falls on none of them alone.
    """
    best = [float("inf")] * len(actions)
    counts = [100] * len(actions)
    for _ in range(ROUNDS):
        for place, action in enumerate(actions):
            started = time.perf_counter()
            for _ in range(counts[place]):
                action()
            best[place] = min(best[place], (time.perf_counter() - started) / counts[place])
            counts[place] = max(1, int(ROUND_S / best[place]))
    return best


def raw_recovery() -> Callable[[], bytes]:
    """What no rule can do without: the signer's address from digest and signature."""
    statement = unsigned(DOMAIN, builders.announcement())
    signature = COORDINATOR.sign(statement)
    raw = signature[:64] + bytes([signature[64] - 27])

    def recover() -> bytes:
        public_key = PublicKey.from_signature_and_message(raw, statement.digest, hasher=None)
        return keccak256(public_key.format(compressed=False)[1:])[-20:]

    return recover


def validation(topic: str) -> Callable[[], Any]:
    """A whole judgement by a peer that knows what went before, but not this message."""
    rule, data, view = RULES[topic], MESSAGES[topic], builders.view()
    seen = Seen()
    if topic in {"results", "verdicts"}:
        RULES["tasks"](seen, view, TASK.encoded, NOW_MS)
    if topic == "verdicts":
        RULES["results"](seen, view, COMMITTED.encoded, NOW_MS)

    def judge() -> None:
        for known in (seen.statements, seen.messages, seen.offenders):
            known.clear()
        rule(seen, view, data, NOW_MS)

    return judge


def duplicate(topic: str) -> Callable[[], None]:
    rule, data, view = RULES[topic], MESSAGES[topic], builders.view()
    seen = Seen()
    rule(seen, view, data, NOW_MS)

    def drop() -> None:
        with suppress(GossipIgnore):
            rule(seen, view, data, NOW_MS)

    return drop


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def report(name: str, figure: str, goal: str, reached: bool) -> bool:
    say(f"{name:34} {figure:>22}   goal {goal:16} {'reached' if reached else 'MISSED'}")
    return reached


def main() -> int:
    reached = []
    recover = raw_recovery()
    (recovery_s,) = seconds_each(recover)
    say(f"raw recovery to an address: {1 / recovery_s:,.0f}/s\n")
    for topic in RULES:
        signatures = 2 if topic == "evidence" else 1
        recovery_s, each_s = seconds_each(recover, validation(topic))
        ratio = signatures * recovery_s / each_s
        name = f"validate {topic}" + (", two signatures" if signatures == 2 else "")
        figure = f"{1 / each_s:,.0f}/s = {ratio:.0%}"
        reached.append(report(name, figure, f">= {RATIO_MIN:.0%} of raw", ratio >= RATIO_MIN))
    (each_s,) = seconds_each(duplicate("tasks"))
    figure, goal = f"{1 / each_s:,.0f}/s", f">= {DUPLICATES_PER_S_MIN:,}/s"
    reached.append(report("duplicate dropped", figure, goal, 1 / each_s >= DUPLICATES_PER_S_MIN))
    reached += [decoding(), *drawing()]
    return 0 if all(reached) else 1


def decoding() -> bool:
    announcement = builders.announcement(multiaddrs=(bytes(8),))
    body = announcement.encode()
    (body_s,) = seconds_each(lambda: TaskAnnouncement.decode(body))
    say(f"decode a body of {len(body)} B: {1 / body_s:,.0f}/s")
    envelope = sealed(FIRST_RANKED, builders.commitment())
    (each_s,) = seconds_each(lambda: read_envelope(envelope))
    name = f"decode envelope and body, {len(envelope)} B"
    figure, goal = f"{1 / each_s:,.0f}/s", f">= {DECODES_PER_S_MIN:,}/s"
    return report(name, figure, goal, 1 / each_s >= DECODES_PER_S_MIN)


def drawing() -> tuple[bool, bool]:
    miners = [keccak256(number.to_bytes(4, "big"))[:20] for number in range(MINERS_COUNT)]
    addresses, weights = b"".join(miners), np.arange(MINERS_COUNT, dtype=np.uint64) + 20_000 * 10**6
    build_s = min(_timed(lambda: Snapshot.of_arrays(addresses, weights)) for _ in range(9))
    stakes = [(miner, int(weight) * 10**12) for miner, weight in zip(miners, weights, strict=True)]
    pairs_s = min(_timed(lambda: Snapshot.of(stakes)) for _ in range(3))
    say(f"snapshot of {MINERS_COUNT:,} Python pairs: {pairs_s * 1e3:.0f} ms")
    snapshot, numbers = Snapshot.of_arrays(addresses, weights), itertools.count()

    def draw() -> list[bytes]:
        return list(itertools.islice(ranking(snapshot, keccak256(next(numbers).to_bytes(8, "big"))), PLACES))

    (draw_s,) = seconds_each(draw)
    built = report(
        f"snapshot of {MINERS_COUNT:,}, arrays",
        f"{build_s * 1e3:.1f} ms",
        f"<= {BUILD_MS_MAX:.0f} ms",
        build_s * 1e3 <= BUILD_MS_MAX,
    )
    drawn = report(
        f"draw of {PLACES} from {MINERS_COUNT:,}",
        f"{draw_s * 1e6:.1f} us",
        f"<= {DRAW_US_MAX:.0f} us",
        draw_s * 1e6 <= DRAW_US_MAX,
    )
    return built, drawn


def _timed(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
