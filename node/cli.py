"""The command `cuckoo-peer`: run a node, keep its key, and speak to the staking contract.

Is: flags, their help and their errors. Each value comes from a flag, else from the environment
(`CUCKOO_DATA_DIR`), else from a TOML file (`cuckoo.toml` here, or the one in `CUCKOO_CONFIG`), else from
its default.
Is not: any of the work; that starts in `run`.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts
from cyclopts import App, ArgumentCollection, CycloptsError

from node.commands.audit import audit
from node.commands.chain import chain
from node.commands.deploy import deploy_network
from node.commands.earnings import COMMANDS as EARNINGS_COMMANDS
from node.commands.errors import WRONG_USAGE, show_errors
from node.commands.escrow import escrow
from node.commands.explain import explain
from node.commands.guard import guard
from node.commands.key import key
from node.commands.miner import miner
from node.commands.model import model
from node.commands.model_accusations import accusations
from node.commands.model_names import names
from node.commands.node import node as node_commands
from node.commands.peer import peer
from node.commands.portal import portal
from node.commands.receipt import receipt
from node.commands.stake import COMMANDS
from node.commands.token import token as token_commands
from node.settings import SETTINGS_OF_ROLE, NodeFlags, RoleSettings, roles_with

if TYPE_CHECKING:
    from node.miner.miner import Miner


def only_for_the_role(command: App, path: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse what is said to a node of another role; called when all values have been collected.

    A flag on the command line is for this node. So is one from the same place as its role: an
    environment or a file that names a role is this node's own. Without a role in them they may serve several
    nodes, and each takes its own from them.

    :raises CycloptsError: the role does not know a flag; the text says which roles do.
    """
    del command
    by_name = {argument.field_info.name: argument for argument in arguments}
    role_argument = by_name.get("role")
    if path or role_argument is None or not role_argument.tokens:
        return
    role, said = role_argument.tokens[0].value, role_argument.tokens[0].source
    for name, argument in by_name.items():
        knowing = roles_with(name)
        if not knowing or role in knowing or role not in SETTINGS_OF_ROLE:
            continue
        for token in argument.tokens:
            if token.source in {"cli", said}:
                raise CycloptsError(
                    msg=f"{token.keyword or argument.name} belongs to the role {' or '.join(knowing)}, "
                    f"and this node's role is {role}.",
                    argument=argument,
                )


app = App(
    name="cuckoo-peer",
    help="A peer of Cuckoo, the market for AI inference without a middleman.",
    help_epilogue="""Examples:

cuckoo-peer key new miner/node-key.json --password-file password

cuckoo-peer --role miner --network .devnet/network --data-dir miner --password-file password

cuckoo-peer chain nodes --network .devnet/network""",
    version=lambda: metadata.version("cuckoo-peer"),
    config=[
        cyclopts.config.Env("CUCKOO_", command=False),
        cyclopts.config.Toml(os.environ.get("CUCKOO_CONFIG", "cuckoo.toml")),
        only_for_the_role,
    ],
)
for command in COMMANDS:
    chain.command(command)
chain.command(deploy_network, name="deploy")
chain.command(escrow)
for earnings_command in EARNINGS_COMMANDS:
    miner.command(earnings_command)
model.command(names)
model.command(accusations)
app.command(key)
app.command(chain)
app.command(guard)
app.command(miner)
app.command(model)
app.command(node_commands)
app.command(peer)
app.command(portal)
app.command(receipt)
app.command(token_commands)
app.command(explain)
app.command(audit)


@app.default
def node(flags: NodeFlags) -> None:
    """Run a node until Ctrl-C."""
    start(flags.settings())


def start(settings: RoleSettings, make_miner: type[Miner] | None = None) -> None:
    """Run a node until a signal ends it.

    :param make_miner: the miner's class, where it is not the honest one.
    """
    import trio  # noqa: PLC0415 - `--help` should not wait for the network's libraries

    from node.system.logs import configure_logs  # noqa: PLC0415

    configure_logs(settings.log_level, as_json=settings.log_json)
    if settings.role == "bootstrap":
        # By itself: it has no part in the chain, and stays small without its libraries.
        from node.bootstrap.bootstrap import run_bootstrap  # noqa: PLC0415

        trio.run(run_bootstrap, settings)
    else:
        from node.run import run_node  # noqa: PLC0415

        trio.run(run_node, settings, *([] if make_miner is None else [make_miner]))


def settings_of(arguments: Sequence[str]) -> RoleSettings:
    """Settings of a node from its command line, the environment and the file.

    :raises SystemExit: wrong usage, which was told on standard error.
    """
    _, bound, _ = app.parse_args(arguments)
    flags: NodeFlags = bound.arguments["flags"]
    return flags.settings()


def run_command_line(arguments: Sequence[str]) -> int:
    """Exit status of `cuckoo-peer` with these arguments."""
    if not arguments and not _is_configured():
        app.help_print()
        return 0
    if arguments and not arguments[0].startswith("-") and arguments[0] not in app:
        near = difflib.get_close_matches(arguments[0], [name for name in app if name.isalpha()], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "cuckoo-peer --help lists them"
        print(f"cuckoo-peer: there is no command {arguments[0]!r}; {hint}", file=sys.stderr)  # noqa: T201
        return WRONG_USAGE
    return show_errors(lambda: app(arguments), name="cuckoo-peer")


def _is_configured() -> bool:
    """Whether the environment or a file may say which node to run."""
    return "CUCKOO_ROLE" in os.environ or Path(os.environ.get("CUCKOO_CONFIG", "cuckoo.toml")).exists()


def main() -> None:
    """Entry point of `cuckoo-peer`."""
    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
