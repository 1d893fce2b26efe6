"""What leaves a miner, and when: a slice at a time as vouchers come, the last part when all is paid."""

import dataclasses

import pytest
import trio

from node.coordinator.result_intake import PNG_SIGNATURE, ResultIntake
from node.miner.result_sender import ResultSender
from node.pay.earnings import open_earnings
from node.pay.meter import TaskMeter, Unpaid
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import CHUNK_BYTES_MAX, ChunkKind, RankedMiner, ResultChunk, ResultCommitment
from protocol.pay import PaySchedule
from protocol.signature import sign_digest
from protocol.statement import open_statement, read_envelope, seal
from tests.node.builders import DOMAIN as STATEMENTS
from tests.node.builders import announcement, image_work
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, PRICE_WEI, signed

STEPS = 20
SCHEDULE = PaySchedule(PRICE_WEI, 0, STEPS)
PARTS = (PNG_SIGNATURE.ljust(CHUNK_BYTES_MAX, b"p"), b"second")


def sealed(message, key):
    encoded = seal(STATEMENTS, message, lambda statement: sign_digest(key.secret, statement.digest))
    return open_statement(STATEMENTS, encoded, type(message))


TASK = sealed(
    dataclasses.replace(
        announcement(RankedMiner(MINER.address, 0)), work=image_work(STEPS), price_micro_cai=10_000
    ),
    COORDINATOR,
)
COMMITMENT = sealed(
    ResultCommitment(
        TASK.digest,
        merkle_root(PARTS),
        sum(map(len, PARTS)),
        sha256(b"".join(PARTS)),
        bytes(32),
        STEPS,
    ),
    MINER,
)


class Coordinator:
    """Stands at both ends of the stream: takes what is sent by the rules, and pays for it, or not."""

    def __init__(self, meter, pays):
        self.meter, self.pays = meter, pays
        self.intake = ResultIntake(STATEMENTS, TASK, MINER.address)
        self.chunks = []

    def seal(self, message):
        return sealed(message, MINER)

    async def send(self, payload):
        paid_wei = self.meter.paid_wei
        self.intake.unit_limit = SCHEDULE.unit_limit(paid_wei)
        self.intake.receive(payload)
        _, message = read_envelope(payload)
        if isinstance(message, ResultChunk):
            self.chunks.append((ChunkKind(message.chunk_kind).name, message.units))
        await trio.lowlevel.checkpoint()
        if self.pays and self.intake.units >= self.intake.unit_limit:
            due_wei = SCHEDULE.due_wei(self.intake.units)
            self.meter.take(signed(due_wei, due_wei))


@pytest.fixture
def meter(tmp_path):
    with open_earnings(tmp_path / "earnings.sqlite", MINER.address, DOMAIN) as earnings:
        yield TaskMeter(earnings, TASK, timeout_ms=2_000)


def ends(meter, *, pays):
    coordinator = Coordinator(meter, pays)
    return coordinator, ResultSender(coordinator, coordinator, TASK, meter)


async def test_step_by_step_with_a_voucher_for_each_slice(meter):
    coordinator, sender = ends(meter, pays=True)
    for step in range(1, STEPS + 1):
        await sender.progress(step)
    await sender.preview(STEPS, PNG_SIGNATURE)
    await sender.image(PARTS)
    await sender.commitment(COMMITMENT)
    assert coordinator.chunks[:STEPS] == [("PROGRESS", step) for step in range(1, STEPS + 1)]
    assert coordinator.intake.image == b"".join(PARTS)
    assert coordinator.intake.commitment is not None
    assert meter.paid_wei == PRICE_WEI


async def test_progress_that_was_dropped_is_made_up_for_in_slices(meter):
    coordinator, sender = ends(meter, pays=True)
    await sender.preview(7, PNG_SIGNATURE)
    await sender.image(PARTS)
    steps = [step for kind, step in coordinator.chunks if kind == "PROGRESS"]
    assert steps == [2, 4, 6, 7, *range(8, STEPS + 1, 2)]
    assert ("PREVIEW", 7) in coordinator.chunks


async def test_who_does_not_pay_sees_a_slice(meter, autojump_clock):
    coordinator, sender = ends(meter, pays=False)
    with pytest.raises(Unpaid):
        await sender.image(PARTS)
    assert coordinator.chunks == [("PROGRESS", 2)]


async def test_the_last_part_is_kept_until_all_is_paid(meter, autojump_clock):
    coordinator, sender = ends(meter, pays=True)
    await sender.progress(STEPS - 1)
    coordinator.pays = False
    with pytest.raises(Unpaid):
        await sender.image(PARTS)
    assert [kind for kind, _ in coordinator.chunks if kind == "OUTPUT_PART"] == ["OUTPUT_PART"]


async def test_a_preview_of_a_step_that_is_behind_is_not_sent(meter):
    coordinator, sender = ends(meter, pays=True)
    await sender.progress(5)
    await sender.preview(4, PNG_SIGNATURE)
    assert ("PREVIEW", 4) not in coordinator.chunks
