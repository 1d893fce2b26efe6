"""Laws of the equivocation guard: one body a slot, whatever happens to the process or its file."""

import os
import sqlite3
import stat
import subprocess
import sys

import pytest

from node.guard import GuardUnavailable, MustNotSign, open_guard
from node.keys import Key
from protocol.messages import ChunkKind, Kind, ModelOffer, Offer, ResultChunk, TaskAcceptance
from protocol.signature import recover
from protocol.statement import Domain, unsigned

KEY = Key.of(b"\x01" * 32)
DOMAIN = Domain(31337, bytes(20))


def acceptance(rank: int, task: int = 7):
    return unsigned(DOMAIN, TaskAcceptance(task.to_bytes(32, "big"), rank))


def offer(sequence: int):
    return unsigned(DOMAIN, Offer(sequence, 1, 2, 1, (ModelOffer(bytes(32), 5),)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "guard.sqlite"


def test_signature_is_by_the_key(path):
    with open_guard(path, KEY) as guard:
        statement = acceptance(0)
        assert recover(statement.digest, guard.sign(statement)).address == KEY.address


def test_same_body_again_is_safe(path):
    with open_guard(path, KEY) as guard:
        assert guard.sign(acceptance(0)) == guard.sign(acceptance(0))


def test_other_body_in_the_slot_is_refused_also_after_a_restart(path):
    with open_guard(path, KEY) as guard:
        guard.sign(acceptance(0))
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(1))
    with open_guard(path, KEY) as guard:
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(1))
        guard.sign(acceptance(0))


def test_other_slots_kinds_and_signers_are_free(path):
    with open_guard(path, KEY) as guard:
        guard.sign(acceptance(0, task=1))
        guard.sign(acceptance(1, task=2))
        guard.sign(offer(1))
    other = Key.of(b"\x02" * 32)
    with open_guard(path, other) as guard:
        assert (
            recover(acceptance(1, task=1).digest, guard.sign(acceptance(1, task=1))).address == other.address
        )


def test_chunks_are_signed_without_a_record(path):
    with open_guard(path, KEY) as guard:
        for payload in (b"a", b"b"):
            guard.sign(unsigned(DOMAIN, ResultChunk(bytes(32), 0, ChunkKind.IMAGE_PART, 0, 1, payload)))


def test_sequences_rise_and_survive_a_restart(path):
    with open_guard(path, KEY) as guard:
        assert guard.next_sequence(Kind.OFFER) == 0
        guard.sign(offer(0))
        guard.sign(offer(300))
    with open_guard(path, KEY) as guard:
        assert guard.next_sequence(Kind.OFFER) == 301
        assert guard.next_sequence(Kind.TASK_ANNOUNCEMENT) == 0


def test_io_error_means_do_not_sign(path):
    with open_guard(path, KEY) as guard:
        guard._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(0))
    with open_guard(path, KEY) as guard:
        guard._connection.execute("DROP TABLE signed")
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(0))
        with pytest.raises(MustNotSign):
            guard.next_sequence(Kind.OFFER)


def test_file_that_is_no_guard_is_refused_and_kept(path):
    path.write_bytes(b"not a database, but somebody's file" * 100)
    with pytest.raises(GuardUnavailable), open_guard(path, KEY):
        pass
    assert path.read_bytes().startswith(b"not a database")


def test_file_is_for_its_owner_alone(path):
    with open_guard(path, KEY):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_second_holder_is_refused_in_this_process(path):
    with open_guard(path, KEY), pytest.raises(GuardUnavailable), open_guard(path, KEY):
        pass


HOLD = """
import sys
from pathlib import Path
from node.guard import GuardUnavailable, open_guard
from node.keys import Key
try:
    with open_guard(Path(sys.argv[1]), Key.of(b"\\x01" * 32)):
        print("held")
except GuardUnavailable:
    print("refused")
"""


def hold(path):
    run = subprocess.run([sys.executable, "-c", HOLD, str(path)], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.process
def test_second_process_is_refused_until_the_first_ends(path):
    with open_guard(path, KEY):
        assert hold(path) == "refused"
    assert hold(path) == "held"


SIGN_AND_DIE = """
import os, sys
from pathlib import Path
from node.guard import open_guard
from node.keys import Key
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned
with open_guard(Path(sys.argv[1]), Key.of(b"\\x01" * 32)) as guard:
    print(guard.sign(unsigned(Domain(31337, bytes(20)), TaskAcceptance(bytes(32), 0))).hex(), flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.process
def test_signature_that_left_a_killed_process_is_remembered(path):
    run = subprocess.run([sys.executable, "-c", SIGN_AND_DIE, str(path)], capture_output=True, text=True)
    assert run.returncode == -9
    statement = unsigned(DOMAIN, TaskAcceptance(bytes(32), 0))
    assert recover(statement.digest, bytes.fromhex(run.stdout.strip())).address == KEY.address
    with open_guard(path, KEY) as guard, pytest.raises(MustNotSign):
        guard.sign(unsigned(DOMAIN, TaskAcceptance(bytes(32), 1)))


def test_record_is_written_before_the_signature_exists(path, monkeypatch):
    def die(secret, digest):
        raise KeyboardInterrupt

    with open_guard(path, KEY) as guard:
        monkeypatch.setattr("node.guard.sign_digest", die)
        with pytest.raises(KeyboardInterrupt):
            guard.sign(acceptance(0))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM signed").fetchone() == (1,)
    connection.close()
    assert os.path.exists(path)  # noqa: PTH110 - a Path would do as well
