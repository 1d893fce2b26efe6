"""A chain with our contracts as the commands see it: a network's folder and the keystore of an account."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from contracts.anvil import Anvil
from contracts.deployment import write_deployment
from contracts.rpc import connect
from node.commands.chain_access import ChainOptions, SignerOptions
from node.signing.keys import SCRYPT_N_LIGHT, create_keystore
from node.system.files import write_private
from tests.contracts.world import visit

PARAMETERS = Path(__file__).parents[3] / "bootstrap" / "devnet" / "params.toml"


@dataclass(frozen=True)
class Town:
    """:ivar signer: for commands that send. :ivar options: for those that look. :ivar do: runs an async
    function of the world, and gives what it returns."""

    signer: SignerOptions
    options: ChainOptions
    folder: Path
    do: object


@contextmanager
def town(chain_process, deployment, folder):
    """The chain as it was deployed; put back afterwards."""
    network = folder / "network"
    network.mkdir()
    ours = PARAMETERS.read_text().replace("chain_id = 31337", f"chain_id = {deployment.chain_id}")
    (network / "params.toml").write_text(ours)
    write_deployment(network / "contracts.json", deployment)
    write_private(folder / "password", b"password\n")
    create_keystore(
        folder / "owner.json", b"password", secret=chain_process.secrets[0], scrypt_n=SCRYPT_N_LIGHT
    )
    where = {"network": str(network), "rpc_url": (chain_process.endpoint,)}
    signer = SignerOptions(key_file=folder / "owner.json", password_file=folder / "password", **where)

    def do(work):
        async def main():
            async with visit(chain_process, deployment, put_back=False) as world:
                return await work(world)

        return trio.run(main)

    async def snapshot(identifier=None):
        async with connect(chain_process.endpoint) as rpc:
            chain = Anvil(rpc, chain_process)
            return await (chain.snapshot() if identifier is None else chain.revert(identifier))

    taken = trio.run(snapshot)
    try:
        yield Town(signer, ChainOptions(**where), folder, do)
    finally:
        trio.run(snapshot, taken)
