"""`cuckoo-peer chain deploy`: put a network's contracts on its chain.

Is: a folder with `params.toml` in, `contracts.json` out.
Is not: repeatable: what is deployed stays, and another set of contracts is another network.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from node.commands.chain_access import KeyOptions, parse_address
from protocol.errors import LocalError

if TYPE_CHECKING:
    from contracts.deploy import DeployParameters

CONTRACTS_FILE = "contracts.json"


def deploy_network(
    folder: Path,
    /,
    *,
    token: str,
    key: KeyOptions,
    rpc_url: str | None = None,
    unbonding_days: float = 14,
    epoch_blocks: int = 300,
    seed_delay_blocks: Annotated[
        int, Parameter(help="More blocks than the chain's usual reorganisation.")
    ] = 16,
    priority_blocks: int = 256,
) -> None:
    """Deploy a network's contracts, and write their addresses to FOLDER/contracts.json.

    The account that pays the gas has no rights afterwards.

    Disputes are not among them: no node votes as a juror yet, so nothing may slash for not voting.

    Parameters
    ----------
    folder
        Folder of the network, with params.toml.
    token
        What is staked: `wrapped` where the chain's own coin is CAI, `development` for a token with a faucet,
        `supply` for one whose supply is the deployer's, or the address of an existing one.
    rpc_url
        JSON-RPC URL of a node of the chain; default: the network's.
    unbonding_days
        How long stake takes to leave; all other delays are fractions of it.
    epoch_blocks
        Blocks of an epoch.
    priority_blocks
        For how many blocks a commitment to evidence counts, and for which a reporter's reward waits.
    """
    from contracts.deploy import DeployParameters, TokenKind  # noqa: PLC0415

    if (folder / CONTRACTS_FILE).exists():
        raise LocalError(f"{folder} is deployed already: another network needs another folder")
    parameters = DeployParameters.for_delay(
        int(unbonding_days * 24 * 3600),
        token=TokenKind(token) if token in set(TokenKind) else parse_address(token),
        epoch_blocks=epoch_blocks,
        seed_delay_blocks=seed_delay_blocks,
        priority_blocks=priority_blocks,
    )
    _deploy(folder, parameters, key, rpc_url)


def _deploy(
    folder: Path,
    parameters: DeployParameters,
    key: KeyOptions,
    rpc_url: str | None,
) -> None:
    import trio  # noqa: PLC0415

    from contracts.deploy import deploy  # noqa: PLC0415
    from contracts.deployment import write_deployment  # noqa: PLC0415
    from contracts.rpc import connect  # noqa: PLC0415
    from contracts.transactions import Sender  # noqa: PLC0415
    from node.peer.network import read_parameters  # noqa: PLC0415

    network = read_parameters(folder / "params.toml")
    deployer = key.account()

    async def work() -> None:
        async with connect(rpc_url or network.default_rpc_url, chain_id=network.chain_id) as rpc:
            print(f"deploying on chain {rpc.chain_id} from 0x{deployer.address.hex()}")
            deployment = await deploy(rpc, Sender(rpc, deployer), parameters)
        write_deployment(folder / CONTRACTS_FILE, deployment)
        for name, address in deployment.contracts().items():
            print(f"{name:<11} 0x{address.hex()}")
        print(f"written: {folder / CONTRACTS_FILE}")

    trio.run(work)
