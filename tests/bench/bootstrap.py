"""What a bootstrap peer weighs, and what thousands of short connections do to it.

    python -m tests.bench.bootstrap --calls 3000

Starts `cuckoo-peer --role bootstrap` as a process and calls it on real sockets, each time under a new key:
half of the calls shake hands, ask for peers and hang up; the others say nothing, garbage, half a handshake.
Prints the process's resident memory as it goes. Status 1 if a whole call is not answered, the process weighs
more than it may, or what it weighs grows.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import trio

from tests.node.bootstrap.processes import ask_once, call_many, running_bootstrap

RESIDENT_MIB_MAX = 120.0
GROWTH_MIB_MAX = 4.0
"""From the first step on."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(calls: int, step: int) -> int:
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        async with running_bootstrap(Path(folder)) as running:
            say(f"at rest            {running.resident_mib:6.1f} MiB")
            first, missed = 0.0, 0
            for done in range(step, calls + 1, step):
                started = trio.current_time()
                answered = await call_many(running.address, step, rng)
                seconds = trio.current_time() - started
                missed += step // 2 - answered
                first = first or running.resident_mib
                say(
                    f"after {done:>6,} calls  {running.resident_mib:6.1f} MiB"
                    f"   {answered} of {step // 2} answered, {step / seconds:.0f} calls/s"
                )
            await ask_once(running.address)
            health = await trio.to_thread.run_sync(running.health)
            records = health["network"]["records"]
            say(f"a newcomer is answered; ready: {health['readiness']['ready']}, {records} records")
            growth = running.resident_mib - first
            say(f"growth after the first {step}: {growth:+.1f} MiB")
            good = missed == 0 and running.resident_mib <= RESIDENT_MIB_MAX and growth <= GROWTH_MIB_MAX
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--step", type=int, default=500)
    options = parser.parse_args()
    sys.exit(trio.run(main, options.calls, options.step))
