"""What came of a scenario: figures, what was to hold, and pictures."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """A scenario's result.

    :ivar figures: (name, value as text), in order.
    :ivar checks: (sentence, whether it holds).
    :ivar plots: SVG documents.
    """

    scenario: str
    seed: int
    figures: list[tuple[str, str]] = field(default_factory=list)
    checks: list[tuple[str, bool]] = field(default_factory=list)
    plots: list[str] = field(default_factory=list)
    trace: str = ""

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return all(holds for _, holds in self.checks)

    def figure(self, name: str, value: str) -> None:
        """Note a figure."""
        self.figures.append((name, value))

    def check(self, sentence: str, holds: bool) -> None:
        """Note something that must hold."""
        self.checks.append((sentence, holds))

    def text(self) -> str:
        """For a terminal, or for the message of a failed test; the seed first."""
        lines = [f"{self.scenario}, seed {self.seed} (the same seed gives the same run)"]
        lines += [f"  {name:52} {value}" for name, value in self.figures]
        lines += [f"  {'holds ' if holds else 'FAILED'} {sentence}" for sentence, holds in self.checks]
        return "\n".join(lines)
