"""The faults: a table of rewritings of a line, and a list made by hand, one for each property.

Is: pure; takes the text of sources, gives mutants.
Is not: a parser. A rewriting that does not compile is no mutant, and costs only the try.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.errors import LocalError

_SKIPPED: Final = re.compile(r"^\s*(//|/\*|\*|import|pragma|using|event|error|}|$)")
"""Lines that no operator touches. Comments behind code do no harm: a mutant of one is equal to the source."""

_BY_HAND: Final = "by hand, "

OPERATORS: Final[tuple[tuple[str, str, str], ...]] = (
    ("less or equal for less", r" < ", " <= "),
    ("less for less or equal", r" <= ", " < "),
    ("greater or equal for greater", r" > ", " >= "),
    ("greater for greater or equal", r" >= ", " > "),
    ("unequal for equal", r" == ", " != "),
    ("equal for unequal", r" != ", " == "),
    ("or for and", r" && ", " || "),
    ("and for or", r" \|\| ", " && "),
    ("minus for plus", r" \+ (?!\+)", " - "),
    ("plus for minus", r" - (?!-)", " + "),
    ("overwritten for added", r" \+= ", " = "),
    ("added for taken", r" -= ", " += "),
    ("taken for added", r" \+= ", " -= "),
    ("divided for multiplied", r" \* ", " / "),
    ("multiplied for divided", r" / ", " * "),
    ("the greater for the lesser", r"Math\.min\(", "Math.max("),
    ("the lesser for the greater", r"Math\.max\(", "Math.min("),
    ("rounded down for up", r"Math\.ceilDiv\(([^,()]+), ([^()]+)\)", r"((\1) / (\2))"),
    (
        "rounded up for down",
        r"Math\.mulDiv\(((?:[^,()]|\([^()]*\))+, (?:[^,()]|\([^()]*\))+, [\w.]+)\)",
        r"Math.mulDiv(\1, Math.Rounding.Ceil)",
    ),
    ("false for true", r"\btrue\b", "false"),
    ("true for false", r"\bfalse\b", "true"),
    ("not for so", r"if \((?!!)(\w+)\)", r"if (!\1)"),
    ("so for not", r"!(\w)", r"\1"),
    ("one for zero", r"(?<![\w.])0(?![\w.])", "1"),
    ("arguments swapped", r"(\w+)\((\w+), (\w+)\)", r"\1(\3, \2)"),
    ("the first branch", r" \? ([^:?]+) : ([^;]+)", r" ? \2 : \1"),
    ("guard removed", r"^(\s*)if \(.*\) (revert|continue|return)\b.*;$", r"\1"),
    (
        "statement removed",
        r"^(\s+)(?!return|revert|emit|else|if|for|unchecked|assembly)[\w.\[\]()]+(?: [-+*]?= .*|\(.*\));$",
        r"\1",
    ),
    ("decrement removed", r"^(\s+)(--|\+\+)[\w.\[\]]+;$", r"\1"),
    ("modifier removed", r"\b(nonReentrant|only\w+(\([^)]*\))?)\s*(?=\n|{|\w)", ""),
)
"""Name, regular expression, replacement. Each match is one mutant."""


class BadMutant(LocalError):
    """A mutant made by hand does not fit the sources any more. :ivar name: of it."""

    def __init__(self, name: str, found: int) -> None:
        super().__init__(f"mutant {name!r}: its text stands {found} times in the file, not once")
        self.name = name


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault."""

    file: str
    """Below ``src``."""
    line: int
    """From 1."""
    name: str
    """Of the operator, or what the hand-made mutant breaks."""
    before: str
    """The line or text without indentation."""
    after: str
    text: str
    """Of the whole mutated file."""
    fails: str = ""
    """``<contract>: <message>`` of the invariant that has to fail under it, or empty: any test will do."""

    @property
    def by_hand(self) -> bool:
        """Whether somebody thought of it, and not the table."""
        return self.name.startswith(_BY_HAND)

    @property
    def key(self) -> str:
        """By which a survivor is explained; does not change when lines move."""
        return f"{self.file}: {self.name}: {self.before} -> {self.after}"


def mutants_of(file: str, text: str) -> Iterator[Mutant]:
    """All mutants of one source, line by line and in the order of the table."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if _SKIPPED.match(line):
            continue
        code, mark, comment = line.partition(" // ")
        for name, pattern, replacement in OPERATORS:
            for match in re.finditer(pattern, code):
                changed = code[: match.start()] + match.expand(replacement) + code[match.end() :]
                if changed == code:
                    continue
                mutated = [*lines[:number], changed + mark + comment, *lines[number + 1 :]]
                yield Mutant(file, number + 1, name, code.strip(), changed.strip(), "\n".join(mutated))


def named_mutants(table: Mapping[str, Any], sources: Mapping[str, str]) -> Iterator[Mutant]:
    """The mutants made by hand.

    :param table: ``mutant``: a list of ``breaks``, ``file``, ``before``, ``after`` and perhaps ``fails``.
    :param sources: texts by file.
    :raises BadMutant: ``before`` does not stand exactly once in the file.
    """
    for entry in table["mutant"]:
        file, before, after = entry["file"], entry["before"], entry["after"]
        text = sources[file]
        if text.count(before) != 1:
            raise BadMutant(entry["breaks"], text.count(before))
        line = text[: text.index(before)].count("\n") + 1
        name = _BY_HAND + entry["breaks"]
        yield Mutant(
            file,
            line,
            name,
            " ".join(before.split()),
            " ".join(after.split()),
            text.replace(before, after),
            entry.get("fails", ""),
        )
