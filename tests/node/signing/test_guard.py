"""Laws of the equivocation guard: one body a slot, whatever happens to the process or its file."""

import os
import random
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from node.signing import guard as module
from node.signing.guard import (
    NUMBERED_KEPT,
    TASK_KEPT_MS,
    GuardMissing,
    GuardUnavailable,
    MustNotSign,
    make_guard,
    open_guard,
)
from node.signing.guard_file import INSTANCES_MAX
from node.signing.keys import Key
from protocol.guard import Heard, TaskTimes
from protocol.messages import ChunkKind, Kind, ModelOffer, Offer, ResultChunk, TaskAcceptance, WorkOffer
from protocol.signature import recover
from protocol.statement import Domain, unsigned
from tests.limits import CHILD_TIMEOUT_S
from tests.protocol import builders

KEY = Key.of(b"\x01" * 32)
DOMAIN = Domain(31337, bytes(20))


TASK = TaskTimes(1_000, 61_000)


def acceptance(rank: int, task: int = 7):
    return unsigned(DOMAIN, TaskAcceptance(task.to_bytes(32, "big"), rank))


def offer(sequence: int):
    return unsigned(DOMAIN, Offer(sequence, 1, 2, 1, (ModelOffer(bytes(32), (WorkOffer(0, (5,)),)),)))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "guard.sqlite"
    make_guard(path, KEY.address)
    return path


def test_signature_is_by_the_key(path):
    with open_guard(path, KEY) as guard:
        statement = acceptance(0)
        assert recover(statement.digest, guard.sign(statement, TASK)).address == KEY.address


def test_same_body_again_is_safe(path):
    with open_guard(path, KEY) as guard:
        assert guard.sign(acceptance(0), TASK) == guard.sign(acceptance(0), TASK)


def test_other_body_in_the_slot_is_refused_also_after_a_restart(path):
    with open_guard(path, KEY) as guard:
        guard.sign(acceptance(0), TASK)
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(1), TASK)
    with open_guard(path, KEY) as guard:
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(1), TASK)
        guard.sign(acceptance(0), TASK)


def test_other_slots_kinds_and_signers_are_free(path):
    with open_guard(path, KEY) as guard:
        guard.sign(acceptance(0, task=1), TASK)
        guard.sign(acceptance(1, task=2), TASK)
        guard.sign(offer(1))
    other = Key.of(b"\x02" * 32)
    make_guard(path, other.address)
    with open_guard(path, other) as guard:
        assert (
            recover(acceptance(1, task=1).digest, guard.sign(acceptance(1, task=1), TASK)).address
            == other.address
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
            guard.sign(acceptance(0), TASK)
    with open_guard(path, KEY) as guard:
        guard._connection.execute("DROP TABLE signed")
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(0), TASK)
        with pytest.raises(MustNotSign):
            guard.next_sequence(Kind.OFFER)


def test_file_that_is_no_guard_is_refused_and_kept(path):
    path.unlink()
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
from protocol.guard import TaskTimes
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned
with open_guard(Path(sys.argv[1]), Key.of(b"\\x01" * 32)) as guard:
    statement = unsigned(Domain(31337, bytes(20)), TaskAcceptance(bytes(32), 0))
    print(guard.sign(statement, TaskTimes(1, 2)).hex(), flush=True)
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
        guard.sign(unsigned(DOMAIN, TaskAcceptance(bytes(32), 1)), TASK)


def test_record_is_written_before_the_signature_exists(path, monkeypatch):
    def die(secret, digest):
        raise KeyboardInterrupt

    with open_guard(path, KEY) as guard:
        monkeypatch.setattr("node.signing.guard.sign_digest", die)
        with pytest.raises(KeyboardInterrupt):
            guard.sign(acceptance(0), TASK)
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


SIGN_ONE = """
import sys
from pathlib import Path
from node.signing.guard import GuardUnavailable, MustNotSign, open_guard
from node.signing.keys import Key
from protocol.guard import TaskTimes
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned
sys.stdin.read()
try:
    with open_guard(Path(sys.argv[1]), Key.of(b"\\x01" * 32)) as guard:
        statement = unsigned(Domain(31337, bytes(20)), TaskAcceptance(bytes(32), int(sys.argv[2])))
        guard.sign(statement, TaskTimes(1, 2))
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
                guard.sign(acceptance(rank), TASK)
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
from protocol.guard import TaskTimes
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
    print(guard.sign(statement, TaskTimes(1, 2)).hex(), flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.process
@pytest.mark.parametrize("moment", range(1, 14))
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
                guard.sign(other, TASK)
        else:
            # Nothing left the process: either body may be the first, but never both.
            first = unsigned(DOMAIN, TaskAcceptance(bytes(32), 0))
            signed = 0
            for statement in (other, first):
                with suppress(MustNotSign):
                    guard.sign(statement, TASK)
                    signed += 1
            assert signed == 1


def test_a_guard_is_never_made_by_opening_it(tmp_path):
    with pytest.raises(GuardMissing) as missing, open_guard(tmp_path / "none", KEY):
        pass
    assert str(missing.value) == f"there is no guard at {tmp_path / 'none'}"
    assert not (tmp_path / "none").exists()


def test_a_guard_of_another_key_is_none(path):
    other = Key.of(b"\x02" * 32)
    with pytest.raises(GuardMissing) as missing, open_guard(path, other):
        pass
    assert str(missing.value) == f"the guard at {path} was not made for 0x{other.address.hex()}"


def test_a_guard_is_made_once(path):
    with pytest.raises(GuardUnavailable) as refused:
        make_guard(path, KEY.address, made_at_ms=5)
    assert str(refused.value) == f"{path} is a guard of 0x{KEY.address.hex()} already"


def test_a_statement_about_a_task_needs_the_tasks_times(path):
    with open_guard(path, KEY) as guard, pytest.raises(MustNotSign) as refused:
        guard.sign(acceptance(0))
    assert str(refused.value) == "a statement about a task is signed only with the task's times"


MADE_AT_MS = 1_800_000_000_000


@pytest.fixture
def new(tmp_path):
    """The guard of a key that is not new."""
    path = tmp_path / "new" / "guard.sqlite"
    make_guard(path, KEY.address, made_at_ms=MADE_AT_MS)
    return path


def test_a_new_guard_of_an_old_key_signs_only_what_came_after_it(new):
    with open_guard(new, KEY) as guard:
        for statement, times in (
            (offer(0), None),
            (offer(MADE_AT_MS), None),
            (acceptance(0), TaskTimes(MADE_AT_MS, MADE_AT_MS + 60_000)),
        ):
            with pytest.raises(MustNotSign):
                guard.sign(statement, times)
        assert guard.next_sequence(Kind.OFFER) == MADE_AT_MS + 1
        guard.sign(offer(MADE_AT_MS + 1))
        guard.sign(acceptance(0), TaskTimes(MADE_AT_MS + 501, MADE_AT_MS + 60_000))


def test_a_coordinator_with_a_new_guard_sits_out_two_whole_epochs_and_counts_them_once(new):
    def announced(epoch):
        return unsigned(DOMAIN, builders.announcement(0, epoch=epoch))

    with open_guard(new, KEY) as guard:
        for epoch in (0, 7, 1 << 40):  # nothing at all, before it knows an epoch
            with pytest.raises(MustNotSign):
                guard.sign(announced(epoch))
        assert guard.first_epoch(7) == 10
    with open_guard(new, KEY) as guard:
        assert guard.first_epoch(9) == 10
        with pytest.raises(MustNotSign):
            guard.sign(announced(9))
        guard.sign(announced(10))


def test_a_guard_as_old_as_its_key_sits_out_nothing(path):
    with open_guard(path, KEY) as guard:
        assert guard.first_epoch(7) == 0


def test_numbers_do_not_grow_for_ever(path):
    """The overflow: old numbers go, stay unsigned for ever, and the last body stays."""
    with open_guard(path, KEY) as guard:
        for number in range(3 * NUMBERED_KEPT):
            guard.sign(offer(number))
            guard.sign(task(number))
        count = "SELECT count(*), min(slot) FROM signed WHERE kind = ?"
        for kind in (Kind.OFFER, Kind.TASK_ANNOUNCEMENT):
            kept, lowest = guard._connection.execute(count, (int(kind),)).fetchone()
            assert NUMBERED_KEPT <= kept < 2 * NUMBERED_KEPT
            assert int.from_bytes(lowest, "big") & 0xFFFF == 3 * NUMBERED_KEPT - kept
        assert guard.last_statement(Kind.TASK_ANNOUNCEMENT) == task(3 * NUMBERED_KEPT - 1).body
        for forgotten in (offer(0), offer(NUMBERED_KEPT), task(3)):
            with pytest.raises(MustNotSign):
                guard.sign(forgotten)
        guard.sign(offer(3 * NUMBERED_KEPT - 1))
    size = path.stat().st_size
    with open_guard(path, KEY) as guard:
        assert guard.next_sequence(Kind.OFFER) == 3 * NUMBERED_KEPT
        for number in range(3 * NUMBERED_KEPT, 9 * NUMBERED_KEPT):
            guard.sign(offer(number))
    assert path.stat().st_size <= 2 * size


def times_of(number):
    return TaskTimes(1_000 * number, 1_000 * number + 60_000)


def test_tasks_that_are_over_go_behind_a_horizon_that_only_rises(path):
    with open_guard(path, KEY) as guard:
        for number in range(20):
            guard.sign(acceptance(0, task=number), times_of(number))
        assert guard.prune(times_of(9).deadline_ms + TASK_KEPT_MS) == 10
        assert guard.prune(0) == 0
    with open_guard(path, KEY) as guard:
        for number in range(10):
            with pytest.raises(MustNotSign):
                guard.sign(acceptance(0, task=number), times_of(number))
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(0, task=99), times_of(9))  # never signed, and never will be
        guard.sign(acceptance(0, task=10), times_of(10))
        guard.sign(acceptance(0, task=99), times_of(11))


def test_a_clock_that_was_years_ahead_does_not_keep_the_key_from_signing(path):
    with open_guard(path, KEY) as guard:
        guard.sign(acceptance(0), times_of(0))
        assert guard.prune(1 << 45) == 1
        guard.sign(acceptance(0, task=8), times_of(1))


def test_a_full_guard_signs_nothing_about_tasks_until_some_are_over(path, monkeypatch):
    monkeypatch.setattr(module, "TASK_STATEMENTS_MAX", 3)
    with open_guard(path, KEY) as guard:
        for number in range(3):
            guard.sign(acceptance(0, task=number), times_of(number))
        with pytest.raises(MustNotSign) as refused:
            guard.sign(acceptance(0, task=3), times_of(3))
        assert str(refused.value) == "the guard is full: 3 statements about tasks are recorded"
        guard.sign(acceptance(0, task=0), times_of(0))
        guard.sign(offer(1))
    with open_guard(path, KEY) as guard:
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(0, task=3), times_of(3))
        guard.prune(times_of(0).deadline_ms + TASK_KEPT_MS)
        guard.sign(acceptance(0, task=3), times_of(3))


def test_whose_a_statement_is_that_was_heard(path, new):
    with open_guard(path, KEY) as guard:
        guard.sign(offer(5))
        guard.sign(acceptance(0), TASK)
        for statement, times, heard in (
            (offer(5), None, Heard.OURS),
            (offer(6), None, Heard.FOREIGN),
            (acceptance(0), None, Heard.OURS),
            (acceptance(1), None, Heard.FOREIGN),
            (acceptance(0, task=8), TASK, Heard.FOREIGN),
            (acceptance(0, task=8), None, Heard.FORGOTTEN),
        ):
            assert guard.judge_heard(statement, times) is heard
    with open_guard(new, KEY) as guard:
        for statement, times, heard in (
            (offer(MADE_AT_MS), None, Heard.FORGOTTEN),
            (offer(MADE_AT_MS + 1), None, Heard.FOREIGN),
            (task(1 << 60), None, Heard.FORGOTTEN),
            (acceptance(1), TASK, Heard.FORGOTTEN),
        ):
            assert guard.judge_heard(statement, times) is heard


def test_starts_are_remembered_up_to_a_limit(path):
    with open_guard(path, KEY) as guard:
        assert guard.begin_instance((1 << 64) - 1) == {}
        guard.note_record((1 << 64) - 1, 5)
        guard.note_record((1 << 64) - 1, 7)
    with open_guard(path, KEY) as guard:
        assert guard.begin_instance(1) == {(1 << 64) - 1: 7}
        for number in range(2, INSTANCES_MAX + 2):
            past = guard.begin_instance(number)
        assert past == dict.fromkeys(range(1, INSTANCES_MAX + 1), 0)


def test_attack_old_copy_of_a_guard_put_back__offers_by_time_never_collide(path, tmp_path):
    """A snapshot of the machine, taken again and again and put back at any time: what is offered is new."""
    bodies: dict[bytes, set[bytes]] = {}
    rng = random.Random(12)
    copies, now_ms = [path.read_bytes()], MADE_AT_MS
    for _ in range(40):
        with open_guard(path, KEY) as guard:
            for _ in range(rng.randrange(1, 5)):
                now_ms += rng.randrange(1, 30_000)
                number = max(guard.next_sequence(Kind.OFFER), now_ms)
                said = unsigned(DOMAIN, builders.offer(sequence=number, issued_at_ms=now_ms))
                guard.sign(said)
                bodies.setdefault(said.slot, set()).add(said.body)
            guard._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copies.append(path.read_bytes())
        for rest in path.parent.glob("guard.sqlite-*"):
            rest.unlink()
        path.write_bytes(rng.choice(copies))
    assert len(bodies) > 60
    assert all(len(said) == 1 for said in bodies.values())
