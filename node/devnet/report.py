"""What a person sees of a demonstration: who was drawn, why, and that every signature holds.

Is: printing. What is printed was verified first, from the receipt alone, with `protocol.receipt`.
Is not: trust in the coordinator, which could print anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from protocol.draw import task_seed
from protocol.receipt import Receipt

MICRO_CAI_PER_CAI = 1_000_000
HEX_SHOWN = 10


def short(data: bytes) -> str:
    """The beginning of an address or a hash, enough to compare by eye."""
    return f"0x{data.hex()[:HEX_SHOWN]}…"


def print_draw(console: Console, receipt: Receipt, names: Mapping[bytes, str]) -> None:
    """Stakes, chances and the ranking of the task in `receipt`. :param names: of nodes, by address."""
    task, epoch = receipt.announcement.message, receipt.epoch
    seed = task_seed(epoch.seed, receipt.announcement.signer.address, task.sequence)
    console.print(
        f"\n[bold]Who was drawn, and why[/bold]  epoch {epoch.number}, task seed {short(seed)} = "
        f"Keccak-256(epoch seed, coordinator, sequence {task.sequence}); nobody chose it."
    )
    table = Table("rank", "miner", "address", "stake (CAI)", "chance of rank 0", "then")
    worker = receipt.commitment.signer.address
    rank = 0
    for place in task.ranking:
        weight = epoch.miners.weight_of(place.miner)
        if place.passed_over:
            shown, outcome = "–", "passed over: no live offer"
        else:
            shown = str(rank)
            rank += 1
            outcome = "[green]did the work[/green]" if place.miner == worker else "stood by"
        table.add_row(
            shown,
            names.get(place.miner, "?"),
            short(place.miner),
            f"{weight / MICRO_CAI_PER_CAI:,.0f}",
            f"{100 * weight / epoch.miners.total:.1f} %",
            outcome,
        )
    console.print(table)


def print_signatures(console: Console, receipt: Receipt, names: Mapping[bytes, str]) -> None:
    """The three signed statements of a receipt that was verified."""
    table = Table("signed statement", "signed by", "address recovered from the signature", "says")
    commitment = receipt.commitment.message
    for statement, says in (
        (receipt.announcement, f"task {short(receipt.announcement.digest)}, ranking as drawn"),
        (receipt.acceptance, f"I take it at rank {receipt.acceptance.message.rank}"),
        (
            receipt.commitment,
            f"{commitment.output_bytes} bytes, SHA-256 {short(commitment.output_hash)}, trace {short(commitment.trace_root)}",
        ),
    ):
        signer = statement.signer.address
        table.add_row(
            type(statement.message).__name__, names.get(signer, "?"), f"[green]✓[/green] 0x{signer.hex()}", says
        )
    console.print("\n[bold]Verified here, from the receipt alone[/bold]")
    console.print(table)


def print_files(console: Console, image: Path, receipt: Path) -> None:
    """Where the results are."""
    console.print(f"\nThe picture: [bold]{image}[/bold]\nIts receipt: {receipt}")
