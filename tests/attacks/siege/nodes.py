"""The market under siege: `python -m tests.attacks.siege.nodes up`, or a role's usual flags.

Is: honest nodes that also write down how long their event loop stands still, and when they begin to decode
logs; and keys with stake of which nothing runs, for those who attack with them.
Is not: part of a node.
"""

from __future__ import annotations

import functools
import signal
import sys
import time
from pathlib import Path

import trio

from contracts.logs import LogDecoder
from contracts.records import Role
from node import cli
from node.devnet import __main__ as devnet
from node.devnet.market import NodePlan
from tests.market.rogues import data_dir, stand_still

MODULE = "tests.attacks.siege.nodes"
LAG_FILE = "lag.txt"
"""Of each long step of a task: when it ended, seconds by the clock and by the processor, the task."""
DECODING_FILE = "decoding"
"""There as soon as a node decodes logs in earnest."""
LONG_STEP_S = 0.02
DECODED_IN_EARNEST = 1_000
HOSTILE = ("announcer", "liar-1", "liar-2")
"""Staked as coordinators, so that the market waits for no offers of theirs."""
IDLE = "idle"
"""A coordinator that the siege runs by itself."""
PLAN = (
    *(NodePlan(name, Role.COORDINATOR, 2_500_000, MODULE) for name in (*HOSTILE, IDLE)),
    # The last coordinator is the one whose API the market names.
    NodePlan("coordinator", Role.COORDINATOR, 2_500_000, MODULE),
    NodePlan("miner-1", Role.MINER, 50_000, MODULE),
    NodePlan("miner-2", Role.MINER, 100_000, MODULE),
)


class LagRecorder(trio.abc.Instrument):
    """Writes down each step of a task that is longer than `LONG_STEP_S`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._began = (0.0, 0.0)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.monotonic(), time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        began_s, cpu_began_s = self._began
        took_s = time.monotonic() - began_s
        if took_s >= LONG_STEP_S:
            cpu_s = time.thread_time() - cpu_began_s
            self._file.write(f"{time.time():.3f} {took_s:.4f} {cpu_s:.4f} {task.name}\n")


def tell_of_decoding() -> None:
    """Have a file written when the node has decoded so many logs that it is in the midst of it."""
    honest, count = LogDecoder.decode, 0

    def decode(decoder: LogDecoder, log: object) -> object:
        nonlocal count
        count += 1
        if count == DECODED_IN_EARNEST:
            (data_dir() / DECODING_FILE).touch()
        return honest(decoder, log)

    LogDecoder.decode = decode


def run_node() -> None:
    if data_dir().name in (*HOSTILE, IDLE):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        stand_still()
        return
    recorder = LagRecorder(data_dir() / LAG_FILE)
    trio.run = functools.partial(trio.run, instruments=[recorder])
    tell_of_decoding()
    cli.main()


def run_market() -> None:
    devnet.DEFAULT_PLAN = PLAN
    devnet.main()


if __name__ == "__main__":
    run_node() if "--role" in sys.argv else run_market()
