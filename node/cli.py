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
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import App, Parameter

from node.chain_cli import chain
from node.key_cli import key
from protocol.errors import CuckooError

RoleChoice = Literal["bootstrap", "coordinator", "miner"]

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
app.command(key)
app.command(chain)


@app.default
def node(
    *,
    role: RoleChoice,
    data_dir: Path,
    network: str = "devnet",
    password_file: Path | None = None,
    rpc_url: str | None = None,
    listen: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    api_port: int = 8420,
    models: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    price_micro_cai: int = 10_000,
    capacity: int = 1,
    threads: int = 1,
    log_level: Literal["debug", "info", "warning", "error"] = "info",
    log_json: bool = False,
) -> None:
    """Run a node until Ctrl-C.

    Parameters
    ----------
    role
        What the node does: *bootstrap* relays and helps newcomers, *coordinator* serves apps, *miner* runs
        models.
    data_dir
        Folder of this node alone: node-key.json, the equivocation guard, evidence, and a coordinator's
        api-token.
    network
        Folder of the network (params.toml, contracts.json, bootnodes.txt), or the name of one that comes with
        the package.
    password_file
        File (mode 0600) with the key's password in its first line; without it, the password is asked for.
    rpc_url
        JSON-RPC URL of a node of the chain; default: the network's.
    listen
        Multiaddrs to listen on, such as /ip4/192.0.2.7/tcp/4001; default: any port of 127.0.0.1.
    api_port
        Port of the coordinator's local API on 127.0.0.1; 0 takes any.
    models
        Folders of model packages; default: those that come with the node.
    price_micro_cai
        Price that a miner asks for one image, in millionths of a CAI.
    capacity
        Tasks that a miner takes at a time.
    threads
        Threads of a miner's inference process; more than one is slower when the cores are busy.
    log_level
        Least level that is logged, on standard error.
    log_json
        Log JSON, one object a line.
    """
    import trio  # noqa: PLC0415 - `--help` should not wait for the network's libraries

    from node.catalogue import embedded_folders  # noqa: PLC0415
    from node.logs import configure_logs  # noqa: PLC0415
    from node.run import NodeSettings, RoleName, run_node  # noqa: PLC0415

    configure_logs(log_level, as_json=log_json)
    settings = NodeSettings(
        role=RoleName(role),
        network=network,
        data_dir=data_dir,
        password_file=password_file,
        rpc_url=rpc_url,
        listen=listen or ["/ip4/127.0.0.1/tcp/0"],
        api_port=api_port,
        models=models or embedded_folders(),
        price_micro_cai=price_micro_cai,
        capacity=capacity,
        threads=threads,
    )
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
