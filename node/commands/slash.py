"""The command `cuckoo-slash`: check evidence of cheating offline, and send it to the chain."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import App, Parameter

from node.commands.chain_access import Chain, ChainOptions, SignerOptions, run_on_chain
from node.commands.errors import show_errors
from protocol.amounts import format_cai
from protocol.errors import LocalError

if TYPE_CHECKING:
    from contracts.records import SlashOutcome

app = App(
    name="cuckoo-slash",
    help="Check evidence of cheating, and send it to the Slashing contract.",
    help_epilogue="""Examples:

cuckoo-slash verify evidence.json

cuckoo-slash show evidence.json

cuckoo-slash list .devnet/my-miner/evidence

cuckoo-slash watch .devnet/my-miner --submit --network .devnet/network --reporter-key staker.json

cuckoo-slash submit evidence.json --network .devnet/network --reporter-key staker.json

cuckoo-slash submit evidence.json --in-the-clear --network .devnet/network --reporter-key staker.json

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
    from node.commands.evidence_words import fault_words  # noqa: PLC0415
    from protocol.evidence import Fault  # noqa: PLC0415

    domain, _, offence = read_evidence(file)
    if offence.pair:
        print(f"valid: 0x{offence.signer.hex()} signed two different statements")
    else:
        print(f"valid: {fault_words(offence.fault)} by 0x{offence.signer.hex()}")
    print(f"  kind  {offence.kind.name.lower()} ({int(offence.kind)})")
    print(f"  slot  0x{offence.slot.hex()}")
    if offence.pair:
        print(f"  first  body 0x{offence.pair.first_body_hash.hex()}")
        print(f"  second body 0x{offence.pair.second_body_hash.hex()}")
    if not offence.slashable_by_contract:
        print("  the contract cannot judge this offence; people can")
    if offence.fault is Fault.WRONG_RANKING:
        print("  judged by the epoch in the file; compare its seed and stakes with the chain")
    print(f"  for chain {domain.chain_id}, Slashing contract 0x{domain.verifying_contract.hex()}")


@app.command
def show(file: Path, /) -> None:
    """Say in words and numbers what an evidence file proves, offline. Steps and numbers count from 0.

    Parameters
    ----------
    file
        The evidence.
    """
    from node.commands.evidence_reports import read_evidence  # noqa: PLC0415
    from node.commands.evidence_words import describe, fault_words  # noqa: PLC0415

    _, evidence, offence = read_evidence(file)
    print(f"{fault_words(offence.fault)} by 0x{offence.signer.hex()}")
    for line in describe(evidence, offence):
        print(f"  {line}")


@app.command(name="list")
def list_files(folder: Path, /) -> None:
    """Name the evidence in a folder, a line for each file, that which the contract judges first.

    Parameters
    ----------
    folder
        Folder `evidence` of a peer's data directory.
    """
    from node.commands.evidence_reports import list_evidence  # noqa: PLC0415

    for line in list_evidence(folder):
        print(line)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class WatchOptions(ChainOptions):
    """Where the contracts are, and the account that reports, if one does."""

    reporter_key: Path | None = None
    """Keystore of the account that pays the gas of `--submit`, and whose the rewards are."""
    password_file: Path | None = None
    """File (mode 0600) with the key's password in its first line; without it, the password is asked for."""

    def reporter(self) -> ReporterOptions:
        """The account. :raises LocalError: none is named."""
        if self.reporter_key is None:
            raise LocalError("--submit needs the account that reports: --reporter-key")
        return ReporterOptions(
            network=self.network,
            rpc_url=self.rpc_url,
            key_file=self.reporter_key,
            password_file=self.password_file,
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReporterOptions(SignerOptions):
    """Where the contracts are, and the account that reports."""

    key_file: Annotated[Path, Parameter(name="--reporter-key")]
    """Keystore of the account that pays the gas, and whose reward it is when it submits."""


def _show(done: SlashOutcome) -> None:
    from node.commands.evidence_words import outcome_words  # noqa: PLC0415

    print("\n".join(outcome_words(done)), flush=True)


@app.command
def watch(
    *data_dirs: Path,
    submit: Annotated[bool, Parameter(negative="")] = False,
    count: Annotated[int | None, Parameter(validator=cyclopts.validators.Number(gte=1))] = None,
    options: WatchOptions = WatchOptions(),
) -> None:
    """Say in words and numbers each offence that nodes of yours find or hear of, as it comes. Until Ctrl-C.

    Offences in their folders already come first. Started again, it says the same again; with `--submit` it
    goes on with reports that it has begun, and leaves those alone whose reward is paid.

    Parameters
    ----------
    data_dirs
        Data directories of nodes; one that runs hears what the network hears. An offence that several
        nodes know is told once.
    submit
        Report what the contract judges, as `cuckoo-slash submit` does it, some at a time, and claim.
    count
        End after so many offences, when their reports have ended.
    """
    import trio  # noqa: PLC0415 - `--help` should not wait for it

    from node.commands.evidence_watch import Finder, reporting, watch  # noqa: PLC0415

    def tell(line: str) -> None:
        print(line, flush=True)

    if options.reporter_key is not None and not submit:
        raise LocalError("--reporter-key reports nothing without --submit")
    finder = Finder(data_dirs)
    if not submit:
        trio.run(partial(watch, finder, tell, count=count))
        return

    async def report(opened: Chain) -> None:
        await watch(finder, tell, reporting(opened, tell), count=count)

    run_on_chain(options.reporter(), report)


@app.command
def submit(
    file: Path, /, *, in_the_clear: Annotated[bool, Parameter(negative="")] = False, reporter: ReporterOptions
) -> None:
    """Send evidence to the chain. The contract checks it by itself and slashes at once.

    First a commitment is sent, which shows nothing; some blocks later the report; when the reward's time has
    come it is claimed. Whoever copies the report loses the reward again, and the command sees to that. If it
    is interrupted, the same command goes on; it keeps a file beside the evidence (`.report`) for that.

    Parameters
    ----------
    file
        Evidence that a peer has written to the folder `evidence` of its data directory.
    in_the_clear
        Report at once, without a commitment: the stake is gone some blocks earlier, but whoever sees the
        report on its way can copy it, and has the reward if the copy comes first. Claim with `claim`.
    """
    from node.commands.evidence_reports import (  # noqa: PLC0415
        read_evidence,
        report_of,
        submit_evidence,
    )
    from node.commands.evidence_submission import Submission, submit_with_priority  # noqa: PLC0415

    domain, evidence, _ = read_evidence(file)

    async def send(opened: Chain) -> None:
        if in_the_clear:
            _show(await submit_evidence(opened.clients, opened.sender, domain, evidence))
            print(f"next: cuckoo-slash claim {file}")
            return
        submission = Submission(
            clients=opened.clients,
            reporter=opened.sender,
            report=report_of(opened.deployment, domain, evidence),
            file=file,
            tell=lambda line: print(line, flush=True),
        )
        reward_wei = await submit_with_priority(submission, _show)
        print(f"paid to you: {format_cai(reward_wei)}")

    run_on_chain(reporter, send)


@app.command
def status(file: Path, /, *, chain: ChainOptions = ChainOptions()) -> None:
    """Say whether an offence was reported, by whom, and whether its reward is paid. Needs no key.

    Parameters
    ----------
    file
        The evidence.
    """
    from node.commands.evidence_reports import read_evidence, report_of, status_of  # noqa: PLC0415

    domain, evidence, offence = read_evidence(file)

    async def look(opened: Chain) -> None:
        report_of(opened.deployment, domain, evidence)  # or it is not for this chain
        print(await status_of(opened.clients, offence))

    run_on_chain(chain, look)


@app.command
def claim(file: Path, /, *, reporter: ReporterOptions) -> None:
    """Take the reward for evidence that was submitted in the clear.

    Waits until nobody can show an earlier commitment; the reward goes to whoever reported.

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
