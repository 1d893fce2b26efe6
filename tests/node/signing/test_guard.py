"""Laws of the equivocation guard: one body a slot, whatever happens to the process or its file."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from node.signing.guard import GuardUnavailable, MustNotSign, export_history, import_history, open_guard
from node.signing.interchange import BadHistory, to_document
from node.signing.keys import Key
from protocol.messages import ChunkKind, Kind, ModelOffer, Offer, ResultChunk, TaskAcceptance, WorkOffer
from protocol.signature import recover
from protocol.statement import Domain, unsigned
from tests.limits import CHILD_TIMEOUT_S
from tests.protocol import builders

KEY = Key.of(b"\x01" * 32)
DOMAIN = Domain(31337, bytes(20))


def acceptance(rank: int, task: int = 7):
    return unsigned(DOMAIN, TaskAcceptance(task.to_bytes(32, "big"), rank))


def offer(sequence: int):
    return unsigned(DOMAIN, Offer(sequence, 1, 2, 1, (ModelOffer(bytes(32), (WorkOffer(0, (5,)),)),)))


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
            guard.sign(unsigned(DOMAIN, ResultChunk(bytes(32), 0, ChunkKind.OUTPUT_PART, 0, 1, payload)))
        assert guard._connection.execute("SELECT count(*) FROM signed").fetchone() == (0,)


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
from node.signing.guard import GuardUnavailable, open_guard
from node.signing.keys import Key
try:
    with open_guard(Path(sys.argv[1]), Key.of(b"\\x01" * 32)):
        print("held")
except GuardUnavailable:
    print("refused")
"""


def hold(path):
    run = subprocess.run(
        [sys.executable, "-c", HOLD, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=CHILD_TIMEOUT_S,
    )
    return run.stdout.strip()


@pytest.mark.process
def test_second_process_is_refused_until_the_first_ends(path):
    with open_guard(path, KEY):
        assert hold(path) == "refused"
    assert hold(path) == "held"


SIGN_AND_DIE = """
import os, sys
from pathlib import Path
from node.signing.guard import open_guard
from node.signing.keys import Key
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned
with open_guard(Path(sys.argv[1]), Key.of(b"\\x01" * 32)) as guard:
    print(guard.sign(unsigned(Domain(31337, bytes(20)), TaskAcceptance(bytes(32), 0))).hex(), flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.process
def test_signature_that_left_a_killed_process_is_remembered(path):
    run = subprocess.run(
        [sys.executable, "-c", SIGN_AND_DIE, str(path)],
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert run.returncode == -9
    statement = unsigned(DOMAIN, TaskAcceptance(bytes(32), 0))
    assert recover(statement.digest, bytes.fromhex(run.stdout.strip())).address == KEY.address
    with open_guard(path, KEY) as guard, pytest.raises(MustNotSign):
        guard.sign(unsigned(DOMAIN, TaskAcceptance(bytes(32), 1)))


def test_record_is_written_before_the_signature_exists(path, monkeypatch):
    def die(secret, digest):
        raise KeyboardInterrupt

    with open_guard(path, KEY) as guard:
        monkeypatch.setattr("node.signing.guard.sign_digest", die)
        with pytest.raises(KeyboardInterrupt):
            guard.sign(acceptance(0))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM signed").fetchone() == (1,)
    connection.close()
    assert os.path.exists(path)  # noqa: PTH110 - a Path would do as well


def task(number: int, steps: int = 1):
    return unsigned(DOMAIN, builders.announcement(number, work=builders.work(steps)))


def test_last_statement_is_the_one_with_the_highest_number_and_survives_a_restart(path):
    with open_guard(path, KEY) as guard:
        assert guard.last_statement(Kind.TASK_ANNOUNCEMENT) is None
        for number in (0, 300, 299):
            guard.sign(task(number))
    with open_guard(path, KEY) as guard:
        assert guard.last_statement(Kind.TASK_ANNOUNCEMENT) == task(300).body
        guard._connection.execute("DROP TABLE signed")
        with pytest.raises(MustNotSign):
            guard.last_statement(Kind.TASK_ANNOUNCEMENT)


@pytest.fixture
def moved(path, tmp_path):
    """The guard of a new machine, after the history of an old one came."""
    with open_guard(path, KEY) as guard:
        for statement in (offer(3), offer(7), task(5), acceptance(0)):
            guard.sign(statement)
    new = tmp_path / "new" / "guard.sqlite"
    assert import_history(new, json.loads(json.dumps(export_history(path)))) == 4
    return new


def test_a_moved_history_is_all_there(path, moved):
    assert export_history(moved) == export_history(path)
    with open_guard(moved, KEY) as guard:
        guard.sign(offer(7))
        guard.sign(acceptance(0))
        assert guard.last_statement(Kind.TASK_ANNOUNCEMENT) == task(5).body
        for statement in (acceptance(1), task(5, steps=2)):
            with pytest.raises(MustNotSign):
                guard.sign(statement)


def test_nothing_new_is_signed_at_or_below_an_imported_number(moved):
    """The history may be incomplete: somebody may have cut it, or copied it before the last signature."""
    with open_guard(moved, KEY) as guard:
        for statement in (offer(0), offer(5), task(4)):
            with pytest.raises(MustNotSign):
                guard.sign(statement)
        guard.sign(offer(8))
        guard.sign(task(6))
        guard.sign(acceptance(1, task=8))


def test_an_import_takes_the_maximum_and_is_idempotent(path, moved):
    with open_guard(path, KEY) as guard:
        guard.sign(offer(2))
    assert import_history(moved, export_history(path)) == 1
    assert import_history(moved, export_history(path)) == 0
    with open_guard(moved, KEY) as guard, pytest.raises(MustNotSign):
        guard.sign(offer(6))


def test_an_import_that_contradicts_changes_nothing(path, moved):
    with open_guard(path, KEY) as guard:
        guard.sign(acceptance(0, task=11))
        guard.sign(acceptance(0, task=12))
    with open_guard(moved, KEY) as guard:
        guard.sign(acceptance(1, task=12))
    before = export_history(moved)
    with pytest.raises(BadHistory, match="another task_acceptance was signed here"):
        import_history(moved, export_history(path))
    assert export_history(moved) == before


def test_a_history_moves_only_while_nobody_holds_the_guard(path):
    with open_guard(path, KEY):
        with pytest.raises(GuardUnavailable):
            export_history(path)
        with pytest.raises(GuardUnavailable):
            import_history(path, to_document([]))


SIGN_ONE = """
import sys
from pathlib import Path
from node.signing.guard import GuardUnavailable, MustNotSign, open_guard
from node.signing.keys import Key
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned
sys.stdin.read()
try:
    with open_guard(Path(sys.argv[1]), Key.of(b"\\x01" * 32)) as guard:
        guard.sign(unsigned(Domain(31337, bytes(20)), TaskAcceptance(bytes(32), int(sys.argv[2]))))
        print("signed")
except (GuardUnavailable, MustNotSign):
    print("refused")
"""


@pytest.mark.process
def test_ten_processes_at_once_sign_one_body(path):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SIGN_ONE, str(path), str(rank)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(10)
    ]
    for process in started:
        process.stdin.close()
        process.stdin = None
    answers = [process.communicate(timeout=60)[0].strip() for process in started]
    assert sorted(answers) == ["refused"] * 9 + ["signed"]


def test_ten_threads_at_once_sign_one_body(path):
    """Each with a guard of its own, as ten careless processes would have."""

    def attempt(rank):
        try:
            with open_guard(path, KEY) as guard:
                guard.sign(acceptance(rank))
        except (GuardUnavailable, MustNotSign):
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(attempt, range(10))) == 1


DIE_AT = """
import os, sys, sqlite3
from pathlib import Path
import node.signing.guard as guards
from node.signing.keys import Key
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned
moment, calls = int(sys.argv[2]), 0

class Dying:
    def __init__(self, real): self.real = real
    def step(self):
        global calls
        calls += 1
        if calls == moment:
            os.kill(os.getpid(), 9)
    def execute(self, *arguments):
        self.step()
        done = self.real.execute(*arguments)
        self.step()
        return done
    def __enter__(self): return self.real.__enter__()
    def __exit__(self, *raised):
        self.step()
        done = self.real.__exit__(*raised)
        self.step()
        return done

with guards.open_guard(Path(sys.argv[1]), Key.of(b"\\x01" * 32)) as guard:
    guard._connection = Dying(guard._connection)
    statement = unsigned(Domain(31337, bytes(20)), TaskAcceptance(bytes(32), 0))
    print(guard.sign(statement).hex(), flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.process
@pytest.mark.parametrize("moment", range(1, 10))
def test_whenever_it_is_killed_what_left_is_remembered_and_the_file_is_good(path, moment):
    run = subprocess.run(
        [sys.executable, "-c", DIE_AT, str(path), str(moment)],
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert run.returncode == -9, run.stderr
    other = unsigned(DOMAIN, TaskAcceptance(bytes(32), 1))
    with open_guard(path, KEY) as guard:
        if run.stdout:
            with pytest.raises(MustNotSign):
                guard.sign(other)
        else:
            # Nothing left the process: either body may be the first, but never both.
            first = unsigned(DOMAIN, TaskAcceptance(bytes(32), 0))
            signed = 0
            for statement in (other, first):
                with suppress(MustNotSign):
                    guard.sign(statement)
                    signed += 1
            assert signed == 1
