"""What came of an attack: each figure before it and during it, and whether the goal is reached. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEADS = ("attack", "figure", "before", "during or after", "goal", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    :ivar before: undisturbed; empty where there is nothing to compare with.
    :ivar goal: in words; empty for a figure that only tells.
    """

    attack: str
    figure: str
    before: str
    during: str
    goal: str = ""
    holds: bool = True

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        verdict = "" if not self.goal else "holds" if self.holds else "FAILED"
        return self.attack, self.figure, self.before, self.during, self.goal, verdict


def at_most(attack: str, figure: str, before: float, during: float, most: float, unit: str) -> Row:
    """A figure with an upper bound."""
    told = (f"{value:,.2f} {unit}" if unit == "s" else f"{value:,.0f} {unit}" for value in (before, during))
    return Row(attack, figure, *told, f"at most {most:,g} {unit}", during <= most)


def table(rows: Sequence[Row]) -> str:
    """All of them as text, in columns; an attack is named once."""
    lines = [HEADS]
    for place, row in enumerate(rows):
        cells = row.cells()
        again = place > 0 and rows[place - 1].attack == row.attack
        lines.append(("", *cells[1:]) if again else cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
