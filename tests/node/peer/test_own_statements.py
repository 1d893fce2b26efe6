"""What is heard in our own name: strangers hold no switch; a key that signs elsewhere does not here."""

import itertools

import pytest
import trio
import trio.testing

from node.peer.own_statements import OwnStatements
from node.signing.guard import GUARD_FILE, make_guard, open_guard
from node.signing.keys import Key
from node.signing.unknown_statement import UNKNOWN_FILE, read_unknown, way_back
from protocol.errors import MustStop
from protocol.evidence import BrokenSequence, FalsePart, FalseVerdict, TwoStatements, WrongRanking
from protocol.evidence.trace_forms import StepCount
from protocol.guard import TaskTimes
from protocol.messages import ChunkKind, ResultChunk, TaskAcceptance
from protocol.signature import sign_digest
from protocol.statement import Domain, open_statement, seal, unsigned
from tests.protocol import builders

KEY = Key.of(b"\x01" * 32)
STRANGER = Key.of(b"\x02" * 32)
DOMAIN = Domain(31337, bytes(20))
MADE_AT_MS = builders.NOW_MS


def elsewhere(message, key=KEY):
    """Signed by the key without asking the guard."""
    return seal(DOMAIN, message, lambda statement: sign_digest(key.secret, statement.digest))


def announced(number, **changes):
    encoded = elsewhere(builders.announcement(number, **changes), STRANGER)
    return open_statement(DOMAIN, encoded, type(builders.announcement(number)))


TASK = announced(1, announced_at_ms=MADE_AT_MS + 1_000, deadline_ms=MADE_AT_MS + 61_000)
OLD_TASK = announced(0, announced_at_ms=MADE_AT_MS - 1_000, deadline_ms=MADE_AT_MS + 59_000)


@pytest.fixture
def guard(tmp_path):
    """Of a key that was there before it."""
    make_guard(tmp_path / GUARD_FILE, KEY.address, made_at_ms=MADE_AT_MS)
    with open_guard(tmp_path / GUARD_FILE, KEY) as guard:
        yield guard


@pytest.fixture
def own(tmp_path, guard):
    return OwnStatements(KEY.address, DOMAIN, guard, {TASK.digest: TASK, OLD_TASK.digest: OLD_TASK}, tmp_path)


def sign(guard, message, task=None):
    times = None if task is None else TaskTimes.of(task.message)
    return seal(DOMAIN, message, lambda statement: guard.sign(statement, times))


async def test_attack_own_statements_replayed_by_strangers(own, guard, tmp_path):
    """All that this key has ever said, live and lapsed, from before this guard too: the node goes on."""
    replayed = [elsewhere(builders.offer(sequence=MADE_AT_MS - age)) for age in range(0, 600_000, 2_000)]
    replayed += [
        elsewhere(builders.announcement(number, epoch=epoch)) for epoch in (1, 9) for number in (0, 5)
    ]
    replayed += [elsewhere(TaskAcceptance(OLD_TASK.digest, rank)) for rank in (0, 1)]
    replayed += [elsewhere(TaskAcceptance(task.to_bytes(32, "big"), 1)) for task in range(50)]
    own_now = [sign(guard, builders.offer(sequence=MADE_AT_MS + number)) for number in (1, 2)]
    own_now.append(sign(guard, TaskAcceptance(TASK.digest, 0), TASK))
    strangers = [elsewhere(builders.offer(sequence=MADE_AT_MS + 5), STRANGER), b"", b"\xff" * 100]
    for encoded in (*replayed, *own_now, *strangers):
        for _ in range(2):
            own.hear(encoded)
        own.hear_evidence(WrongRanking(encoded))
    for one, other in itertools.pairwise(replayed):
        own.hear_evidence(TwoStatements.pair(one, other))
    assert own.reason is None
    assert not (tmp_path / UNKNOWN_FILE).exists()
    assert own.status().known == 3 * len(own_now)
    assert own.status().forgotten > 3 * len(replayed)


FOREIGN = [
    (elsewhere(builders.offer(sequence=MADE_AT_MS + 1)), b""),
    (elsewhere(TaskAcceptance(TASK.digest, 1)), TASK.encoded),
]


@pytest.mark.parametrize(("encoded", "task"), FOREIGN)
async def test_a_statement_that_this_guard_should_know_halts_the_node(own, tmp_path, encoded, task):
    async def listen():
        with pytest.raises(MustStop) as stopped:
            await own.halt_when_foreign()
        assert str(stopped.value) == way_back(tmp_path / UNKNOWN_FILE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        own.hear(encoded)
        assert own.reason == way_back(tmp_path / UNKNOWN_FILE)
        own.hear(FOREIGN[0][0])  # nothing changes any more
    kept = read_unknown(tmp_path / UNKNOWN_FILE)
    assert (kept.signer, kept.statement, kept.task) == (KEY.address, encoded, task)
    kept.opened()


CHUNK = elsewhere(ResultChunk(TASK.digest, 0, ChunkKind.OUTPUT_PART, 0, 1, b"part"))


@pytest.mark.parametrize(
    "evidence",
    [
        TwoStatements.pair(elsewhere(builders.offer()), FOREIGN[0][0]),
        BrokenSequence(FOREIGN[0][0], elsewhere(builders.offer())),
        WrongRanking(FOREIGN[0][0]),
        FalsePart(CHUNK, FOREIGN[1][0], bytes(32), ()),
        StepCount(TASK.message.encode(), FOREIGN[1][0]),
        FalseVerdict(FOREIGN[1][0], b"refuted"),
    ],
)
async def test_evidence_against_our_own_key_halts_the_node(own, evidence):
    own.hear_evidence(evidence)
    assert own.reason is not None


async def test_it_halts_also_when_the_file_cannot_be_written(own, tmp_path, monkeypatch):
    def full(folder, unknown):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("node.peer.own_statements.keep_unknown", full)
    own.hear(FOREIGN[0][0])
    assert own.reason is not None
    with pytest.raises(MustStop):
        await own.halt_when_foreign()


async def test_what_another_guard_of_the_key_has_signed_in_our_slot_is_foreign(own, guard):
    ours = builders.offer(sequence=MADE_AT_MS + 1)
    guard.sign(unsigned(DOMAIN, ours))
    own.hear(elsewhere(builders.offer(sequence=MADE_AT_MS + 1, capacity=9)))
    assert own.reason is not None
