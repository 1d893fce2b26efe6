"""The command `cuckoo-slash`: check evidence of cheating offline, and send it to the chain."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts
from cyclopts import App, Parameter

from node.commands.errors import show_errors

if TYPE_CHECKING:
    from contracts.account import Account
    from contracts.deployment import Deployment
    from contracts.rpc import Rpc

app = App(
    name="cuckoo-slash",
    help="Check evidence of equivocation, and send it to the Slashing contract.",
    help_epilogue="""Examples:

cuckoo-slash verify evidence.json

cuckoo-slash submit evidence.json --network .devnet/network --reporter-key staker.json

cuckoo-slash claim evidence.json --network .devnet/network --reporter-key staker.json""",
    version=lambda: metadata.version("cuckoo-peer"),
    config=cyclopts.config.Env("CUCKOO_", command=False),
)


@app.command
def verify(file: Path, /) -> None:
    """Check an evidence file, offline: needs neither a chain nor a key.

    Parameters
    ----------
    file
        Evidence that a peer has written to the folder `evidence` of its data directory.
    """
    from node.commands.evidence_reports import read_evidence  # noqa: PLC0415 - `--help` should not wait for it
    from protocol.evidence import Fault  # noqa: PLC0415

    domain, _, offence = read_evidence(file)
    if offence.pair:
        print(f"valid: 0x{offence.signer.hex()} signed two different statements")
    else:
        print(f"valid: {offence.fault.name.lower().replace('_', ' ')} by 0x{offence.signer.hex()}")
    print(f"  kind  {offence.kind.name.lower()} ({int(offence.kind)})")
    print(f"  slot  0x{offence.slot.hex()}")
    if offence.pair:
        print(f"  first  body 0x{offence.pair.first_body_hash.hex()}")
        print(f"  second body 0x{offence.pair.second_body_hash.hex()}")
    else:
        print("  the contract cannot judge this offence; people can")
    if offence.fault is Fault.WRONG_RANKING:
        print("  judged by the epoch in the file; compare its seed and stakes with the chain")
    print(f"  for chain {domain.chain_id}, Slashing contract 0x{domain.verifying_contract.hex()}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reporter:
    """The account that reports, and the chain it reports to."""

    network: str
    """Folder of the network, or the name of one that comes with the package."""
    reporter_key: Path
    """Keystore of the account that pays the gas, and whose reward it is when it submits."""
    password_file: Path | None = None
    """File (mode 0600) with the key's password in its first line; without it, the password is asked for."""
    rpc_url: str | None = None
    """JSON-RPC URL of a node of the chain; default: the network's."""


def _on_chain(reporter: Reporter, work: Callable[[Rpc, Deployment, Account], Awaitable[None]]) -> None:
    """Do one command's work on an open chain."""
    import trio  # noqa: PLC0415

    from contracts.account import Account  # noqa: PLC0415
    from contracts.rpc import connect  # noqa: PLC0415
    from node.peer.network import load_network  # noqa: PLC0415
    from node.signing.keys import open_keystore, read_password  # noqa: PLC0415

    joined = load_network(reporter.network)
    account = Account(open_keystore(reporter.reporter_key, read_password(reporter.password_file)).secret)

    async def main() -> None:
        url = reporter.rpc_url or joined.parameters.default_rpc_url
        async with connect(url, chain_id=joined.deployment.chain_id) as rpc:
            await work(rpc, joined.deployment, account)

    trio.run(main)


@app.command
def submit(file: Path, /, *, reporter: Reporter) -> None:
    """Send evidence to the chain. The contract checks both signatures by itself and slashes at once.

    Parameters
    ----------
    file
        Evidence that a peer has written to the folder `evidence` of its data directory.
    """
    from contracts.records import WEI_PER_CAI  # noqa: PLC0415
    from node.commands.evidence_reports import read_evidence, submit_evidence  # noqa: PLC0415

    domain, evidence, _ = read_evidence(file)

    async def send(rpc: Rpc, deployment: Deployment, account: Account) -> None:
        done = await submit_evidence(rpc, deployment, account, domain, evidence)
        print(f"slashed: 0x{done.signer.hex()} lost {done.taken_wei / WEI_PER_CAI:,.2f} CAI")
        print(f"  of which unbonding {done.unbonding_taken_wei / WEI_PER_CAI:,.2f} CAI")
        print(f"  yours              {done.reward_wei / WEI_PER_CAI:,.2f} CAI")
        print(f"  burned             {done.burned_wei / WEI_PER_CAI:,.2f} CAI")
        print(f"  transaction        0x{done.transaction_hash.hex()}")
        print(f"next: cuckoo-slash claim {file}")

    _on_chain(reporter, send)


@app.command
def claim(file: Path, /, *, reporter: Reporter) -> None:
    """Take the reward for evidence that was submitted, when nobody can show an earlier commitment any more.

    Waits for that block; the reward goes to whoever reported, whoever asks for it.

    Parameters
    ----------
    file
        The evidence.
    """
    from contracts.records import WEI_PER_CAI  # noqa: PLC0415
    from node.commands.evidence_reports import claim_reward, read_evidence  # noqa: PLC0415

    _, _, offence = read_evidence(file)

    async def take(rpc: Rpc, deployment: Deployment, account: Account) -> None:
        reward_wei = await claim_reward(rpc, deployment, account, offence, print)
        print(f"paid to the reporter: {reward_wei / WEI_PER_CAI:,.2f} CAI")

    _on_chain(reporter, take)


def main() -> None:
    """Entry point of `cuckoo-slash`."""
    sys.exit(show_errors(app, name="cuckoo-slash"))


if __name__ == "__main__":
    main()
