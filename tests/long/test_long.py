"""The runner of the whole figures goes on after a failure, keeps time limits and leaves no process behind."""

import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.attacks.__main__ import HERE, names
from tests.limits import CHILD_TIMEOUT_S
from tests.long.__main__ import main
from tests.long.entries import ENTRIES, MINUTES_MAX, Entry
from tests.long.results import OUTPUT_LINES_MAX, Outcome, Place, document
from tests.long.runner import NOT_STARTED, run, run_all

PLACE = Place("2026-01-02 03:04 UTC", "c0ffee", "a machine", "0.1, 0.2, 0.3")


def python(name, code, minutes_max=1.0):
    return Entry(name, (sys.executable, "-c", code), minutes_max)


def test_the_table_fits_its_time_and_each_name_is_one_entrys():
    assert sum(entry.minutes_max for entry in ENTRIES) <= MINUTES_MAX
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


def test_every_attack_of_the_table_can_be_run():
    sources = {name: (HERE / f"test_{name}.py").read_text() for name in names()}
    assert [name for name, source in sources.items() if "def attack(" not in source] == []


def test_the_list_runs_nothing(capsys):
    assert main(["--list", "--only", "fuzz"]) == 0
    assert capsys.readouterr().out.split() == [
        "fuzz",
        "3",
        "min",
        "-m",
        "tests.fuzz",
        "--cases",
        "1000000",
        "--seed",
        "1",
    ]


@pytest.mark.process
def test_a_failure_ends_its_entry_and_not_the_run(tmp_path):
    entries = [
        python("fails", "print('figure 1'); raise SystemExit(3)"),
        Entry("missing", (str(tmp_path / "no-such-program"),), 1),
        python("passes", "print('figure 2')"),
    ]
    said = []
    outcomes = run_all(entries, tmp_path / "out", said.append)
    assert [(each.name, each.status, each.passed) for each in outcomes] == [
        ("fails", 3, False),
        ("missing", NOT_STARTED, False),
        ("passes", 0, True),
    ]
    assert [outcomes[0].lines, outcomes[2].lines] == [("figure 1",), ("figure 2",)]
    assert "No such file" in outcomes[1].lines[0]
    assert said[:2] == [
        "fails: at most 1 min",
        f"fails: failed with status 3 after {outcomes[0].seconds:.0f} s",
    ]
    assert (tmp_path / "out" / "passes.txt").read_text() == "figure 2\n"


@pytest.mark.process
def test_what_takes_too_long_is_killed_with_all_that_it_has_started(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    started = time.monotonic()
    outcome = run(python("hangs", code, minutes_max=3 / 60), tmp_path / "hangs.txt")
    assert (outcome.status, outcome.verdict) == (None, "out of time")
    assert 3 <= time.monotonic() - started < 300
    child = int(outcome.lines[0])
    # Killed it is, but a busy machine takes its time over it.
    with suppress(psutil.NoSuchProcess):
        psutil.Process(child).wait(CHILD_TIMEOUT_S)


@pytest.mark.process
def test_the_end_of_a_long_output_is_kept(tmp_path):
    outcome = run(python("talks", "for number in range(1000): print(number)"), tmp_path / "talks.txt")
    assert outcome.lines == tuple(map(str, range(1000 - OUTPUT_LINES_MAX, 1000)))


def test_the_report_says_where_and_what():
    outcomes = [
        Outcome("one", 0, 1.4, ("/here/repository/file: 3 ms",)),
        Outcome("two", None, 60.0, ()),
    ]
    assert document(outcomes, PLACE, Path("/here/repository")) == (
        "# Whole figures\n"
        "\n"
        "Written by `make long`. Each command prints its goals; it passes when all are reached.\n"
        "\n"
        "- 2026-01-02 03:04 UTC, commit c0ffee\n"
        "- a machine; load at the begin 0.1, 0.2, 0.3\n"
        "- missed: two\n"
        "\n"
        "| command | outcome | took |\n"
        "|---|---|---|\n"
        "| one | passed | 1 s |\n"
        "| two | out of time | 60 s |\n"
        "\n"
        "## one\n"
        "\n"
        "`````text\n"
        "./file: 3 ms\n"
        "`````\n"
        "\n"
        "## two\n"
        "\n"
        "`````text\n"
        "`````\n"
    )
    assert "- all goals reached\n" in document(outcomes[:1], PLACE, Path("/here"))
