"""Runs entries one after the other; a failure ends its entry, not the run."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from tests.limits import CHILD_TIMEOUT_S
from tests.long.entries import Entry
from tests.long.results import OUTPUT_LINES_MAX, Outcome

NOT_STARTED = 127
"""The status that a shell gives a command that does not exist."""


def run_all(
    entries: Iterable[Entry], outputs: Path, say: Callable[[str], None] = lambda _: None
) -> list[Outcome]:
    """Run every entry.

    :param outputs: a folder for what each one prints, whole, in `NAME.txt`.
    :param say: is told when an entry begins and how it ended.
    """
    outcomes = []
    outputs.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        say(f"{entry.name}: at most {entry.minutes_max:g} min")
        outcomes.append(run(entry, outputs / f"{entry.name}.txt"))
        say(f"{entry.name}: {outcomes[-1].verdict} after {outcomes[-1].seconds:.0f} s")
    return outcomes


def run(entry: Entry, output: Path) -> Outcome:
    """Run one entry until it ends or its time is over; then all processes of its session are killed."""
    started = time.monotonic()
    with output.open("wb") as file, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            process = subprocess.Popen(
                entry.command,
                cwd=entry.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": folder},
                start_new_session=True,
            )
        except OSError as error:
            file.write(f"{error}\n".encode())
            status: int | None = NOT_STARTED
        else:
            status = _wait(process, entry.minutes_max * 60)
    return Outcome(entry.name, status, time.monotonic() - started, last_lines(output))


def _wait(process: subprocess.Popen[bytes], seconds_max: float) -> int | None:
    """The exit status, or None when the time was over."""
    try:
        return process.wait(seconds_max)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # Also when the run is interrupted: nothing of an entry outlives it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(CHILD_TIMEOUT_S)


def last_lines(output: Path) -> tuple[str, ...]:
    """The end of what an entry has printed, at most `OUTPUT_LINES_MAX` lines."""
    with output.open(encoding="utf-8", errors="replace") as file:
        return tuple(deque((line.rstrip() for line in file), OUTPUT_LINES_MAX))
