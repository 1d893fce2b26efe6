"""The command `cuckoo-peer`: run a node, keep its key, and speak to the staking contract.

Is: flags, their help and their errors. Each value comes from a flag, else from the environment
(`CUCKOO_DATA_DIR`), else from a TOML file (`cuckoo.toml` here, or the one in `CUCKOO_CONFIG`), else from
its default.
Is not: any of the work; that starts in `run`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import cyclopts
from cyclopts import App

from node.chain_cli import chain
from node.deploy_cli import deploy_network
from node.earnings_cli import COMMANDS as EARNINGS_COMMANDS
from node.escrow_cli import escrow
from node.guard_cli import guard
from node.key_cli import key
from node.miner_cli import miner
from node.model_cli import model
from node.peer_cli import peer
from node.settings import NodeSettings
from node.stake_cli import COMMANDS
from protocol.errors import CuckooError

app = App(
    name="cuckoo-peer",
    help="A peer of Cuckoo, the market for AI inference without a middleman.",
    help_epilogue="""Examples:

cuckoo-peer key new miner/node-key.json --password-file password

cuckoo-peer --role miner --network .devnet/network --data-dir miner --password-file password

cuckoo-peer chain nodes --network .devnet/network""",
    config=[
        cyclopts.config.Env("CUCKOO_", command=False),
        cyclopts.config.Toml(os.environ.get("CUCKOO_CONFIG", "cuckoo.toml")),
    ],
)
for command in COMMANDS:
    chain.command(command)
chain.command(deploy_network, name="deploy")
chain.command(escrow)
for earnings_command in EARNINGS_COMMANDS:
    miner.command(earnings_command)
app.command(key)
app.command(chain)
app.command(guard)
app.command(miner)
app.command(model)
app.command(peer)


@app.default
def node(settings: NodeSettings) -> None:
    """Run a node until Ctrl-C."""
    import trio  # noqa: PLC0415 - `--help` should not wait for the network's libraries

    from node.logs import configure_logs  # noqa: PLC0415

    configure_logs(settings.log_level, as_json=settings.log_json)
    if settings.role == "bootstrap":
        # By itself: it has no part in the chain, and stays small without its libraries.
        from node.roles.bootstrap import run_bootstrap  # noqa: PLC0415

        trio.run(run_bootstrap, settings)
    else:
        from node.run import run_node  # noqa: PLC0415

        trio.run(run_node, settings)


def show_errors(command: Callable[[], object], *, name: str) -> int:
    """Exit status of `command`: 0, or 1 with each of our errors as a line on standard error.

    A bug of ours is not caught: its traceback is what we need to see.
    """
    status = 0
    try:
        command()
    except* CuckooError as failures:
        for error in _leaves(failures):
            print(f"{name}: {error}", file=sys.stderr)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    return status


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def main() -> None:
    """Entry point of `cuckoo-peer`."""
    sys.exit(show_errors(app, name="cuckoo-peer"))


if __name__ == "__main__":
    main()
