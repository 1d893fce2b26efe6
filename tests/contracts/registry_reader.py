"""A process that reads a chain's registrations as a node does: `registry_reader.py URL FILE [END]`.

Says `reading` when it has begun, and at the end, as JSON, the longest time of CPU that its event loop has
given to one piece of work since, its nodes and its memory. With END it ends then, else when it is told to.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import trio

from contracts.registry import Registry
from contracts.rpc import connect
from node.system.lifetime import stopped_by_signals
from tests.contracts.log_server import STAKING


class LongestPiece(trio.abc.Instrument):
    """:ivar seconds: of CPU, between two tasks."""

    def __init__(self):
        self.seconds, self._began = 0.0, time.thread_time()

    def before_task_step(self, task):
        self._began = time.thread_time()

    def after_task_step(self, task):
        self.seconds = max(self.seconds, time.thread_time() - self._began)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def main(url: str, file: str, *end: str) -> None:
    piece = LongestPiece()
    async with stopped_by_signals(), connect(url) as rpc:
        registry = Registry(rpc, STAKING, 1, Path(file))
        trio.lowlevel.add_instrument(piece)
        say("reading")
        await registry.sync()
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        say(json.dumps({"piece_s": piece.seconds, "nodes": len(registry), "peak_kib": peak_kib}))
        if not end:
            await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
