"""Attacks on a market of real nodes and a real chain, one after the other, and a table of what came of each.

    python -m tests.attacks.siege [--small] [--only announcements evidence chain keys stop guard]

Is: figures on standard output; status 1 when something does not hold. `--small` takes some minutes and judges
what a busy machine cannot distort.
Is not: the attacks on whole networks in the simulator; `python -m tests.attacks` runs those.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from protocol.errors import LocalError
from tests.attacks.siege import announcements, chain_news, hostile_evidence, keys
from tests.attacks.siege.field import SiegeFailed
from tests.attacks.siege.nodes import MODULE
from tests.attacks.siege.table import Row, table
from tests.market.conftest import RunningMarket, running_market


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each.

    :ivar by_clock: whether standstills are taken by the clock, or by the processor's time.
    """

    events: int
    long_events: int
    registrations: int
    pieces: int
    pairs: int
    offers_s: float
    requests: int
    by_clock: bool


WHOLE = Sizes(1_100_000, 42_000, 200_000, 10_000, 50, 600.0, 6, by_clock=True)
SMALL = Sizes(20_000, 2_000, 20_000, 500, 3, 30.0, 2, by_clock=False)
ATTACKS: dict[str, Callable[[RunningMarket, Sizes], list[Row]]] = {
    "announcements": lambda market, sizes: announcements.attack(market, sizes.requests),
    "evidence": lambda market, sizes: hostile_evidence.attack(market, sizes.pieces, by_clock=sizes.by_clock),
    "chain": lambda market, sizes: chain_news.attack(
        market, sizes.events, sizes.long_events, by_clock=sizes.by_clock
    ),
    "keys": lambda market, sizes: keys.attack(market, sizes.pairs),
    "stop": lambda market, sizes: chain_news.stop_while_decoding(market, sizes.registrations),
}
"""In this order: the last two take a miner away, and make all nodes busy."""
REASON_CHARACTERS = 100
"""Of why an attack was not carried out."""
GUARD, LAST = "guard", "stop"
"""The one begins before all others and ends before the last, since it is ten minutes of waiting."""


def _tried(name: str, attack: Callable[[], list[Row]]) -> list[Row]:
    """Its rows, or one that says why it was not carried out."""
    began_s = time.monotonic()
    try:
        rows = attack()
    except (SiegeFailed, LocalError, trio.TooSlowError) as failure:
        rows = [Row(name, "carried out", "", str(failure)[:REASON_CHARACTERS], "to its end", holds=False)]
    failed = [f"{row.figure}: {row.during}" for row in rows if not row.holds]
    sys.stderr.write(f"{name}: {time.monotonic() - began_s:.0f} s, failed: {'; '.join(failed) or 'none'}\n")
    sys.stderr.flush()
    return rows


def main(arguments: list[str]) -> int:
    """Run what is asked for. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.attacks.siege", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--small", action="store_true", help="a small form of each")
    parser.add_argument("--only", choices=[*ATTACKS, GUARD], nargs="+", default=[*ATTACKS, GUARD])
    options = parser.parse_args(arguments)
    sizes = SMALL if options.small else WHOLE
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="cuckoo-siege-") as folder,
        running_market(Path(folder) / "market", module=MODULE) as market,
        ExitStack() as stack,
    ):
        moved: keys.MovedGuard | None = None
        if GUARD in options.only:
            moved = stack.enter_context(keys.moved_guard(market))
        for name, attack in ATTACKS.items():
            if name == LAST and moved is not None:
                rows += _tried(GUARD, partial(moved.rows, sizes.offers_s))
            if name in options.only:
                rows += _tried(name, partial(attack, market, sizes))
    sys.stdout.write(table(rows) + "\n")
    sys.stdout.flush()
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
