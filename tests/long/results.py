"""What came of a run, as Markdown: which commit, which machine, and the end of what each command printed."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.limits import CHILD_TIMEOUT_S

OUTPUT_LINES_MAX = 60
LINE_CHARACTERS_MAX = 200
"""Longer lines are cut: a progress bar may be one line."""
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one entry.

    :ivar status: of the process; None when its time was over.
    :ivar lines: the end of what it printed.
    """

    name: str
    status: int | None
    seconds: float
    lines: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.status == 0

    @property
    def verdict(self) -> str:
        """For people."""
        if self.passed:
            return "passed"
        return "out of time" if self.status is None else f"failed with status {self.status}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a run was made. :ivar commit: its hash, and whether files were changed since."""

    date: str
    commit: str
    machine: str
    load: str


def place_of(repository: Path) -> Place:
    """This machine, this commit, now."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=repository, capture_output=True, text=True, check=True, timeout=CHILD_TIMEOUT_S
        ).stdout.strip()

    changed = " and uncommitted changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    memory_gib = psutil.virtual_memory().total / GIB
    return Place(
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        commit=git("rev-parse", "HEAD") + changed,
        machine=(
            f"{platform.system()} on {_processor()}, {os.cpu_count()} processors, {memory_gib:.0f} GiB, "
            f"Python {platform.python_version()}"
        ),
        load=", ".join(f"{load:.1f}" for load in os.getloadavg()),
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def document(outcomes: Sequence[Outcome], place: Place, repository: Path) -> str:
    """The whole file; paths of this machine are left out."""
    failed = [outcome.name for outcome in outcomes if not outcome.passed]
    lines = [
        "# Whole figures",
        "",
        "Written by `make long`. Each command prints its goals; it passes when all are reached.",
        "",
        f"- {place.date}, commit {place.commit}",
        f"- {place.machine}; load at the begin {place.load}",
        f"- {'missed: ' + ', '.join(failed) if failed else 'all goals reached'}",
        "",
        "| command | outcome | took |",
        "|---|---|---|",
        *(f"| {each.name} | {each.verdict} | {each.seconds:.0f} s |" for each in outcomes),
    ]
    for each in outcomes:
        shown = [line[:LINE_CHARACTERS_MAX].replace(str(repository), ".") for line in each.lines]
        # A fence longer than any that a command prints.
        lines += ["", f"## {each.name}", "", "`````text", *shown, "`````"]
    return "\n".join(lines) + "\n"
