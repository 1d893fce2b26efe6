"""The report of a demonstration: which miner was drawn, why, and that every signature holds.

Is: printing. What is printed was verified first, from the receipt alone, with `protocol.receipt`.
Is not: trust in the coordinator, which could print anything.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from contracts.records import SlashOutcome
from protocol.amounts import WEI_PER_MICRO_CAI, format_cai
from protocol.draw import task_seed
from protocol.receipt import Receipt

HEX_SHOWN = 10
PICTURE_COLUMNS_MAX = 64


def short(data: bytes) -> str:
    """The beginning of an address or a hash, enough to compare by eye."""
    return f"0x{data.hex()[:HEX_SHOWN]}…"


def print_draw(console: Console, receipt: Receipt, names: Mapping[bytes, str]) -> None:
    """Stakes, chances and the ranking of the task in `receipt`. :param names: of nodes, by address."""
    task, epoch = receipt.announcement.message, receipt.epoch
    seed = task_seed(epoch.seed, receipt.announcement.signer.address, task.number)
    console.print(
        f"\n[bold]Who was drawn, and why[/bold]: epoch {epoch.number}, task seed {short(seed)}\n"
        f"= Keccak-256(epoch seed, coordinator, number {task.number}); chances follow the stakes"
    )
    table = Table("rank", "miner", "address", "stake", "chance", "then")
    worker = receipt.commitment.signer.address
    rank = 0
    for place in task.ranking:
        weight = epoch.miners.weight_of(place.miner)
        if place.passed_over:
            shown, outcome = "-", "passed over: no live offer"
        else:
            shown = str(rank)
            rank += 1
            outcome = "[green]did the work[/green]" if place.miner == worker else "stood by"
        table.add_row(
            shown,
            names.get(place.miner, "?"),
            short(place.miner),
            format_cai(weight * WEI_PER_MICRO_CAI),
            f"{100 * weight / epoch.miners.total:.1f} %",
            outcome,
        )
    console.print(table)


def print_signatures(console: Console, receipt: Receipt, names: Mapping[bytes, str]) -> None:
    """The three signed statements of a receipt that was verified."""
    commitment = receipt.commitment.message
    console.print(
        "\n[bold]Verified here, from the receipt alone[/bold]: each signature gives back its signer"
    )
    for statement, says in (
        (receipt.announcement, f"task {short(receipt.announcement.digest)}, with the ranking as drawn"),
        (receipt.acceptance, f"I take it at rank {receipt.acceptance.message.rank}"),
        (
            receipt.commitment,
            f"{commitment.output_bytes} bytes, SHA-256 {short(commitment.output_hash)}",
        ),
    ):
        signer = statement.signer.address
        console.print(
            f"  [green]✓[/green] {type(statement.message).__name__:<16} 0x{signer.hex()}  "
            f"{names.get(signer, '?')}\n    [dim]{says}[/dim]"
        )


def print_slash(
    console: Console, before: Mapping[str, int], after: Mapping[str, int], outcome: SlashOutcome
) -> None:
    """The amounts that a slash took, from whom, and where they went. :param before: wei by owner."""
    table = Table("stake behind the cheat", "before", "after")
    for owner, wei in before.items():
        table.add_row(owner, format_cai(wei), format_cai(after[owner]))
    console.print("\n[bold]Slashed[/bold], by the contract, from the two signatures alone")
    console.print(table)
    console.print(
        f"for the reporter: {format_cai(outcome.reward_wei)}, "
        f"burned: {format_cai(outcome.burned_wei)}, transaction 0x{outcome.transaction_hash.hex()}"
    )


def print_picture(console: Console, png: bytes) -> None:
    """The picture itself, two pixels a character; small ones only, on terminals with colours."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if not console.is_terminal or image.width > min(PICTURE_COLUMNS_MAX, console.width):
        return
    rows = Text()
    for y in range(0, image.height - 1, 2):
        for x in range(image.width):
            upper, lower = (image.getpixel((x, row)) for row in (y, y + 1))
            rows.append("▀", Style(color=_colour(upper), bgcolor=_colour(lower)))
        rows.append("\n")
    console.print(rows)


def _colour(pixel: object) -> Color:
    assert isinstance(pixel, tuple)
    return Color.from_rgb(*pixel)


def print_files(console: Console, image: Path, receipt: Path) -> None:
    """Where the results are."""
    console.print(f"\nThe picture: [bold]{image}[/bold]\nIts receipt: {receipt}")
