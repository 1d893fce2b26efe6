"""A market of three miners that cheat and one node that only audits: `python -m tests.market.false_work up`.

Is: real nodes; a cheat has its worker's program or one function replaced, and its look at its own work, which
would keep it from signing. Tasks are short, so that their dice are thrown within half a minute.
Is not: part of a node.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.records import Role
from node import cli
from node.devnet import __main__ as devnet
from node.devnet import market as devnet_market
from node.devnet.market import NodePlan
from node.inference.audit.own import TraceEnds
from node.inference.pool import process
from node.inference.traces.trace_file import TraceFile
from node.miner import jobs
from node.peer.peer import Peer
from protocol.messages import Message, ResultCommitment, TaskAnnouncement
from protocol.statement import Statement
from protocol.trace import steps_root

MODULE = "tests.market.false_work"
GUIDANCE, SEED, COUNT = "guidance", "seed", "count"
CHEATS = (GUIDANCE, SEED, COUNT)
"""Names of the nodes, each after what it does otherwise than it was asked."""
AUDITOR = "auditor"
TIMES = {"task_life_ms": 15_000, "audit_window_ms": 60_000}
PLAN = (
    # Which pays auditors: it looks at some work itself, and so can tell what their verdicts are worth.
    NodePlan("coordinator", Role.COORDINATOR, 2_500_000, arguments=("--audit-percent", "1")),
    *(NodePlan(name, Role.MINER, 50_000, MODULE) for name in CHEATS),
    NodePlan(AUDITOR, Role.MINER, 200_000, only_audits=True),
)
honest_seal = Peer.seal


def unchecked(_package: object, _job: object, _picture: bytes, path: Path) -> TraceEnds:
    """Sign whatever there is."""
    with TraceFile(path) as trace:
        return TraceEnds(steps_root(trace.leaves), trace.final_latent, trace.source_latent)


def seal_false_count(peer: Peer, message: Message, task: TaskAnnouncement | None = None) -> Statement[Any]:
    """Commit to a step less than there are."""
    if isinstance(message, ResultCommitment):
        message = replace(message, units_done=message.units_done - 1)
    return honest_seal(peer, message, task)


def run_node() -> None:
    cheat = Path(sys.argv[sys.argv.index("--data-dir") + 1]).name
    if cheat == COUNT:
        Peer.seal = seal_false_count  # type: ignore[method-assign]
    else:
        # For the worker alone; only this process reads the names of modules.
        os.environ["CHEAT_OF_A_TEST"] = cheat
        process.WORKER_MODULE = "tests.cheats.worker"  # type: ignore[misc]
        jobs.require_own_work = unchecked
    cli.main()


def run_market() -> None:
    folder = Path(sys.argv[sys.argv.index("--folder") + 1]).absolute().parent
    text = devnet_market.PARAMETERS_FILE.read_text()
    for name, value in TIMES.items():
        text, times = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert times == 1, name
    devnet_market.PARAMETERS_FILE = folder / "params.toml"  # type: ignore[misc]
    devnet_market.PARAMETERS_FILE.write_text(text)
    devnet.DEFAULT_PLAN = PLAN
    devnet.main()


if __name__ == "__main__":
    run_node() if "--role" in sys.argv else run_market()
