"""Many deaths of one guard's process, at any step of any write: no slot ever has two bodies.

`CUCKOO_LONG=1` makes them a thousand.
"""

import os
import random

import pytest

from node.signing.guard import MustNotSign, make_guard, open_guard
from protocol.guard import TaskTimes
from protocol.messages import TaskAcceptance
from protocol.statement import unsigned
from tests.node.signing.test_guard import DOMAIN, KEY, offer
from tests.protocol import builders

CRASHES = 1_000 if os.environ.get("CUCKOO_LONG") else 100
STEPS_MAX = 120
RECORD = 1 + 32 + 32


class Dying:
    """A connection whose process dies after so many steps, each before or after something is done."""

    def __init__(self, real, steps):
        self.real, self.steps = real, steps

    def step(self):
        self.steps -= 1
        if self.steps <= 0:
            os.kill(os.getpid(), 9)

    def execute(self, *arguments):
        self.step()
        done = self.real.execute(*arguments)
        self.step()
        return done

    def __enter__(self):
        return self.real.__enter__()

    def __exit__(self, *raised):
        self.step()
        done = self.real.__exit__(*raised)
        self.step()
        return done


def live(path, seed, now_ms, said):
    """One life: sign, mostly what was not said, sometimes what may contradict; die in the middle of it."""
    rng = random.Random(seed)
    with open_guard(path, KEY) as guard:
        guard._connection = Dying(guard._connection, rng.randrange(1, STEPS_MAX))
        for turn in range(STEPS_MAX):
            made = rng.randrange(now_ms, now_ms + 2_000)
            statement, times = rng.choice(
                [
                    (offer(rng.randrange(now_ms // 2, now_ms // 2 + 2_000)), None),
                    (unsigned(DOMAIN, builders.announcement(now_ms // 4 + turn, price_micro_cai=seed)), None),
                    (
                        unsigned(DOMAIN, TaskAcceptance(made.to_bytes(32, "big"), rng.randrange(3))),
                        TaskTimes(made, made + 60_000),
                    ),
                ]
            )
            try:
                guard.sign(statement, times)
            except MustNotSign:
                continue
            os.write(said, bytes((statement.kind,)) + statement.slot + statement.digest)
            if not rng.randrange(8):
                guard.prune(made + 3_600_000)


@pytest.mark.process
def test_no_slot_has_two_bodies_after_many_crashes(tmp_path):
    path = tmp_path / "guard.sqlite"
    make_guard(path, KEY.address)
    left = {}
    for seed in range(CRASHES):
        heard, said = os.pipe()
        child = os.fork()
        if not child:
            try:
                live(path, seed, 1_000_000 + 100 * seed, said)
            finally:
                os._exit(1)
        os.close(said)
        with os.fdopen(heard, "rb") as stream:
            told = stream.read()
        assert os.waitpid(child, 0)[1] == 9
        assert len(told) % RECORD == 0
        for start in range(0, len(told), RECORD):
            slot, digest = told[start : start + 33], told[start + 33 : start + RECORD]
            assert left.setdefault(slot, digest) == digest
    assert len(left) > CRASHES
