"""Nodes that go wrong about time, turns and models: `python -m tests.market.rogues up`, or a role's flags.

Is: honest nodes with one function replaced, which reads what to do from a file in the node's data directory;
and one coordinator that does nothing, so that a test can speak with its key.
Is not: part of a node.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from contracts.records import Role
from node import cli
from node.api.gate import load_token
from node.devnet import __main__ as devnet
from node.devnet.market import NodePlan
from node.inference.packages.package import Settings, load, pack
from node.miner.actions import Action
from node.miner.engine import MinerEngine
from node.miner.terms import ModelTerms
from node.pay.payee import Payee
from node.settings import embedded_folders
from node.system.files import write_private
from node.system.lifetime import NODE_FILE
from protocol.messages import ModelOffer, TaskAnnouncement
from protocol.statement import Statement
from protocol.terms import TaskTerms

MODULE = "tests.market.rogues"
ORDERS_FILE = "orders"
"""One phrase: what to do wrong at the moment; no file means honest."""
FAST_CLOCK, COME_AT_ONCE, PAUSED, OFFER_IMITATION = "fast clock", "come at once", "paused", "offer imitation"
FAST_MS = 3_000
PACKAGES_FOLDER = "packages"
"""Beside the market's folder."""
TINY_NAME, TINY_STEPS_MAX = "tiny-icons", 40
LARGE_NAME, LARGE_SIDE = "large-icons", 160
ATTACKER, EAGER, OWNER, IMITATOR = "attacker", "miner-1", "miner-2", "miner-3"
honest_heard, honest_models = MinerEngine.heard, ModelTerms.models
honest_starts_at_ms, honest_why_no_credit = TaskTerms.starts_at_ms, Payee.why_no_credit


def plan(packages: Path) -> tuple[NodePlan, ...]:
    """Two coordinators, one of which does nothing, and three miners.

    All miners have what the node comes with and its large variant; one has a package of its own, and another
    one a package of the same name.
    """

    def miner(name: str, stake_cai: int, *own: str) -> NodePlan:
        folders = [*embedded_folders(), *(packages / item for item in ("large", *own))]
        return NodePlan(name, Role.MINER, stake_cai, MODULE, ("--models", *map(str, folders)))

    return (
        NodePlan(ATTACKER, Role.COORDINATOR, 2_500_000, MODULE),
        NodePlan("coordinator", Role.COORDINATOR, 2_500_000, MODULE),
        miner(EAGER, 25_000),
        miner(OWNER, 100_000, "tiny"),
        miner(IMITATOR, 100_000, "imitation"),
    )


def make_packages(folder: Path) -> None:
    """Variants of the embedded model: two that claim one name, and one that draws larger pictures, slowly."""
    (embedded,) = embedded_folders()
    settings = Settings.of(load(embedded).card)
    for name, variant in {
        "tiny": replace(settings, name=TINY_NAME, steps_max=TINY_STEPS_MAX, default_steps=4),
        "imitation": replace(settings, name=TINY_NAME, steps_max=TINY_STEPS_MAX + 1, default_steps=5),
        "large": replace(settings, name=LARGE_NAME, sizes=((LARGE_SIDE, LARGE_SIDE),), default_steps=2),
    }.items():
        shutil.copytree(embedded, folder / name)
        pack(folder / name, variant)


def data_dir() -> Path:
    """Of the node in this process."""
    return Path(sys.argv[sys.argv.index("--data-dir") + 1])


def orders() -> str:
    """What the node in this process shall do now."""
    path = data_dir() / ORDERS_FILE
    return path.read_text() if path.exists() else ""


def be_fast() -> None:
    """Let the time of day be ahead, if so ordered."""
    true_ns = time.time_ns

    def time_ns() -> int:
        return true_ns() + (FAST_MS * 1_000_000 if orders() == FAST_CLOCK else 0)

    time.time_ns = time_ns


def heard(engine: MinerEngine, task: Statement[TaskAnnouncement], now_ms: int) -> list[Action]:
    """Be paused though on offer, if so ordered."""
    engine.policy("outside its hours" if orders() == PAUSED else "")
    return honest_heard(engine, task, now_ms)


def starts_at_ms(terms: TaskTerms, task: TaskAnnouncement, rank: int) -> int:
    """Know no head start of others, if so ordered."""
    return task.announced_at_ms if orders() == COME_AT_ONCE else honest_starts_at_ms(terms, task, rank)


async def why_no_credit(payee: Payee, task: TaskAnnouncement) -> str | None:
    """Look at no deposit before dialling, if so ordered."""
    return None if orders() == COME_AT_ONCE else await honest_why_no_credit(payee, task)


def models(terms: ModelTerms, typical_ms: Mapping[bytes, int]) -> tuple[ModelOffer, ...]:
    """Leave the package of another's name out of the offers until it is ordered in."""
    ordered = orders()
    return tuple(
        offered
        for offered in honest_models(terms, typical_ms)
        if ordered == OFFER_IMITATION or terms.packages[offered.model_id].folder.name != "imitation"
    )


def stand_still() -> None:
    """Be started, and nothing else, until SIGTERM."""
    document = {"process": os.getpid(), "api_url": "", "multiaddrs": []}
    load_token(data_dir())
    write_private(data_dir() / NODE_FILE, json.dumps(document).encode())
    signal.sigwait({signal.SIGTERM})


def run_node() -> None:
    if data_dir().name == ATTACKER:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        stand_still()
        return
    be_fast()
    MinerEngine.heard, ModelTerms.models = heard, models
    TaskTerms.starts_at_ms, Payee.why_no_credit = starts_at_ms, why_no_credit
    cli.main()


def run_market() -> None:
    packages = Path(sys.argv[sys.argv.index("--folder") + 1]).absolute().parent / PACKAGES_FOLDER
    make_packages(packages)
    devnet.DEFAULT_PLAN = plan(packages)
    devnet.main()


if __name__ == "__main__":
    run_node() if "--role" in sys.argv else run_market()
