"""A million hostile RPCs for one gossip router: no exception, and memory that stays flat.

    python -m tests.bench.gossip_hostile
    python -m tests.bench.gossip_hostile --cases 100000 --seed 7

Is: figures on standard output; status 1 when memory grew past its bound, a table past its limit, or anything
was raised, with the seed that does it again.
Is not: guided by coverage; `python -m tests.fuzz` is.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time

from p2p.gossip.snapshot import limits
from tests.fuzz.gossip import STEP_MS, Besieged
from tests.fuzz.plain import resident_bytes

CASES = 1_000_000
WARM_UP_SHARE = 5
"""One in so many cases comes first, until the tables are as full as they get at this rate."""
CHECK_EVERY = 5_000
GROWTH_BYTES_MAX = 16 * 1024 * 1024
MIB = 1024 * 1024


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(world: Besieged, cases: int) -> None:
    for number in range(cases):
        world.step()
        if number % CHECK_EVERY == 0:
            world.check()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seed", type=int, help="default: another each time")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    say(f"{options.cases:,} hostile RPCs, one each {STEP_MS} ms of the router's time, seed {seed}")
    world = Besieged(seed)
    started = time.process_time()
    run(world, options.cases // WARM_UP_SHARE)
    gc.collect()
    before = resident_bytes()
    run(world, options.cases - options.cases // WARM_UP_SHARE)
    gc.collect()
    growth, seconds = resident_bytes() - before, time.process_time() - started
    for name, highest in world.highest.items():
        say(f"  table {name:12} at most {highest:>10,} of {getattr(limits(world.params), name):>12,}")
    for name, count in sorted(world.router.counts.items()):
        say(f"  {name:24} {count:>10,}")
    for name, count in sorted(world.seen.items()):
        say(f"  {name:24} {count:>13,}")
    flat = growth <= GROWTH_BYTES_MAX
    each_us = seconds / options.cases * 1e6
    say(f"no exception in {options.cases:,} RPCs, {seconds:.0f} s of CPU, {each_us:.0f} us each")
    goal = f"goal <= {GROWTH_BYTES_MAX // MIB} MiB   {'reached' if flat else 'MISSED'}"
    say(f"memory {growth / MIB:+.1f} MiB after the first fifth   {goal}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
