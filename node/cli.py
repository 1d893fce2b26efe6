"""The command `cuckoo-peer`: run a node, keep its key, and speak to the staking contract.

Is: flags, their help and their errors. Each value comes from a flag, else from the environment
(`CUCKOO_DATA_DIR`), else from a TOML file (`cuckoo.toml` here, or the one in `CUCKOO_CONFIG`), else from
its default.
Is not: any of the work; that starts in `run`.
"""

from __future__ import annotations

import os
import sys

import cyclopts
from cyclopts import App

from node.commands.chain import chain
from node.commands.deploy import deploy_network
from node.commands.earnings import COMMANDS as EARNINGS_COMMANDS
from node.commands.errors import show_errors
from node.commands.escrow import escrow
from node.commands.guard import guard
from node.commands.key import key
from node.commands.miner import miner
from node.commands.model import model
from node.commands.peer import peer
from node.commands.stake import COMMANDS
from node.settings import NodeSettings

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

    from node.system.logs import configure_logs  # noqa: PLC0415

    configure_logs(settings.log_level, as_json=settings.log_json)
    if settings.role == "bootstrap":
        # By itself: it has no part in the chain, and stays small without its libraries.
        from node.bootstrap.bootstrap import run_bootstrap  # noqa: PLC0415

        trio.run(run_bootstrap, settings)
    else:
        from node.run import run_node  # noqa: PLC0415

        trio.run(run_node, settings)


def main() -> None:
    """Entry point of `cuckoo-peer`."""
    sys.exit(show_errors(app, name="cuckoo-peer"))


if __name__ == "__main__":
    main()
