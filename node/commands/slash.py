"""The command `cuckoo-slash`: check evidence of cheating offline, and send it to the chain."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import App, Parameter

from node.commands.chain_access import Chain, SignerOptions, run_on_chain
from node.commands.errors import show_errors
from protocol.amounts import format_cai

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
class ReporterOptions(SignerOptions):
    """Where the contracts are, and the account that reports."""

    key_file: Annotated[Path, Parameter(name="--reporter-key")]
    """Keystore of the account that pays the gas, and whose reward it is when it submits."""


@app.command
def submit(file: Path, /, *, reporter: ReporterOptions) -> None:
    """Send evidence to the chain. The contract checks both signatures by itself and slashes at once.

    Parameters
    ----------
    file
        Evidence that a peer has written to the folder `evidence` of its data directory.
    """
    from node.commands.evidence_reports import read_evidence, submit_evidence  # noqa: PLC0415

    domain, evidence, _ = read_evidence(file)

    async def send(opened: Chain) -> None:
        done = await submit_evidence(opened.clients, opened.sender, domain, evidence)
        print(f"slashed: 0x{done.signer.hex()} lost {format_cai(done.taken_wei)}")
        print(f"  of which unbonding {format_cai(done.unbonding_taken_wei)}")
        print(f"  yours              {format_cai(done.reward_wei)}")
        print(f"  burned             {format_cai(done.burned_wei)}")
        print(f"  transaction        0x{done.transaction_hash.hex()}")
        print(f"next: cuckoo-slash claim {file}")

    run_on_chain(reporter, send)


@app.command
def claim(file: Path, /, *, reporter: ReporterOptions) -> None:
    """Take the reward for evidence that was submitted, when nobody can show an earlier commitment any more.

    Waits for that block; the reward goes to whoever reported, whoever asks for it.

    Parameters
    ----------
    file
        The evidence.
    """
    from node.commands.evidence_reports import claim_reward, read_evidence  # noqa: PLC0415

    _, _, offence = read_evidence(file)

    async def take(opened: Chain) -> None:
        reward_wei = await claim_reward(opened.clients, opened.sender, offence, print)
        print(f"paid to the reporter: {format_cai(reward_wei)}")

    run_on_chain(reporter, take)


def main() -> None:
    """Entry point of `cuckoo-slash`."""
    sys.exit(show_errors(app, name="cuckoo-slash"))


if __name__ == "__main__":
    main()
