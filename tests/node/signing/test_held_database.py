"""An SQLite file has one holder: never two, and of several that come at once not none."""

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from node.signing.held_database import hold_database
from protocol.errors import LocalError

SCHEMA = "CREATE TABLE IF NOT EXISTS held (value INTEGER);"
COMERS = 10
ROUNDS = 20

TRY_TO_HOLD = """
import sys
from pathlib import Path
from node.signing.held_database import hold_database
from protocol.errors import LocalError
try:
    with hold_database(Path(sys.argv[1]), "", "it", LocalError):
        print("held")
except LocalError:
    print("refused")
"""


class Unavailable(LocalError):
    """What the caller wants to hear."""


def held(path):
    return hold_database(path, SCHEMA, "the test's file", Unavailable)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "held.sqlite"


def by_another_process(path):
    command = [sys.executable, "-c", TRY_TO_HOLD, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_what_was_written_is_there_again(path):
    with held(path) as connection:
        connection.execute("INSERT INTO held VALUES (7)")
    with held(path) as connection:
        assert connection.execute("SELECT value FROM held").fetchall() == [(7,)]


@pytest.mark.process
def test_a_second_holder_is_refused_until_the_first_has_gone(path):
    with held(path):
        with pytest.raises(Unavailable, match="is held by another process"):
            held(path).__enter__()
        assert by_another_process(path) == "refused"
    assert by_another_process(path) == "held"


@pytest.mark.process
def test_a_refusal_does_not_let_others_in(path):
    """POSIX locks are a process's: whoever closes any descriptor of a file loses all it holds there."""
    with held(path):
        for _ in range(3):
            with pytest.raises(Unavailable):
                held(path).__enter__()
        assert by_another_process(path) == "refused"


def test_of_several_at_once_exactly_one_gets_it(path):
    """Nobody's attempt may spoil everybody's."""
    path.parent.mkdir()
    for number in range(ROUNDS):
        begin, over = Barrier(COMERS), Barrier(COMERS)

        def attempt(rank, number=number, begin=begin, over=over):
            del rank
            begin.wait(30)
            try:
                with held(path.with_name(f"{number}.sqlite")):
                    over.wait(30)
            except Unavailable:
                over.wait(30)
                return False
            return True

        with ThreadPoolExecutor(COMERS) as pool:
            assert sum(pool.map(attempt, range(COMERS))) == 1


def test_only_the_owner_may_read_it(path):
    with held(path):
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"not a database" * 100, b"\x00" * 4096])
def test_what_is_no_database_is_refused_and_left_as_it_is(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(Unavailable, match=r"held\.sqlite"):
        held(path).__enter__()
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_refused(path):
    path.mkdir(parents=True)
    with pytest.raises(Unavailable, match="does not open"):
        held(path).__enter__()


def test_nobody_is_let_in_beside_a_holder_with_a_tool_for_sqlite(path):
    with held(path):
        other = sqlite3.connect(path, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT * FROM held")
        other.close()
