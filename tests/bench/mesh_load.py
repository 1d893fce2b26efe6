"""The load of the mesh benchmark, for the contestants that are in Python.

Is: pacing, and the measuring of CPU and latency, the same for every contestant;
``tests/interop/js/mesh.js`` is its twin in JavaScript.
Is not: a mesh; a contestant brings its nodes and says how one publishes.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

QUIET_S = 2.0
"""A phase is over when everything has come, or nothing more for so long,"""
DRAIN_S = 10.0
"""or this long after its last message was published."""


@dataclass(frozen=True, slots=True)
class Load:
    """What `tests/bench/mesh.py` hands to each contestant in its one argument."""

    nodes: int
    d: int
    d_low: int
    d_high: int
    heartbeat_ms: int
    message_bytes: int
    settle_ms: int
    phases: Sequence[dict[str, Any]]

    @property
    def messages(self) -> int:
        """All messages of all phases."""
        return sum(phase["messages"] for phase in self.phases)


def load_of_command() -> Load:
    """The load in the command's argument."""
    return Load(**json.loads(sys.argv[1]))


@dataclass(slots=True)
class Deliveries:
    """When messages were sent, and how long each took to each of the others."""

    sent_s: dict[bytes, float] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    last_s: float = 0.0

    def note(self, data: bytes) -> None:
        """A node has `data`."""
        self.last_s = time.perf_counter()
        sent_s = self.sent_s.get(data)
        if sent_s is not None:
            self.latencies_s.append(self.last_s - sent_s)

    def latency_ms(self, share: float) -> float | None:
        """The latency below which `share` of the deliveries stay."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else None


async def run_phases(
    load: Load,
    messages: Sequence[bytes],
    deliveries: Deliveries,
    publish: Callable[[int, bytes], Awaitable[None]],
) -> None:
    """Send each phase's share of `messages`, and print a line of JSON for each.

    :param publish: sends from the node of that index.
    """
    remaining = iter(messages)
    for phase in load.phases:
        batch = [next(remaining) for _ in range(phase["messages"])]
        deliveries.sent_s, deliveries.latencies_s = {}, []
        gc.collect()  # not in the middle, for what another phase left
        expected = len(batch) * (load.nodes - 1)
        cpu_s, started_s = time.process_time(), time.perf_counter()
        for index, data in enumerate(batch):
            if phase["rate"]:
                wait_s = started_s + index / phase["rate"] - time.perf_counter()
                if wait_s > 0:
                    await trio.sleep(wait_s)
            deliveries.sent_s[data] = time.perf_counter()
            await publish(index % load.nodes, data)
        published_s = deliveries.last_s = time.perf_counter()
        while len(deliveries.latencies_s) < expected:
            now_s = time.perf_counter()
            if now_s - deliveries.last_s > QUIET_S or now_s - published_s > DRAIN_S:
                break
            await trio.sleep(0.005)
        cpu_s = time.process_time() - cpu_s
        result = {
            "phase": phase["name"],
            "delivered": len(deliveries.latencies_s),
            "expected": expected,
            "cpu_ms": cpu_s * 1000,
            "published_ms": (published_s - started_s) * 1000,
            "taken_ms": (deliveries.last_s - started_s) * 1000,
            "p50_ms": deliveries.latency_ms(0.5),
            "p99_ms": deliveries.latency_ms(0.99),
        }
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
        if len(deliveries.latencies_s) < expected / 2:
            return  # it does not recover from that
