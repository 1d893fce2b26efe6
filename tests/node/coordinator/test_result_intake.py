"""What a coordinator takes from a miner's stream, and each thing that it refuses."""

import random
from dataclasses import replace

import pytest

from node.coordinator.outcomes import Preview, Progress
from node.coordinator.result_intake import CHUNKS_PER_UNIT_MAX, FalseOutput, ResultIntake
from node.signing.keys import Key
from protocol.errors import DecodeError, InvalidMessage, SignatureError
from protocol.evidence import Fault, verify_evidence
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import (
    CHUNK_BYTES_MAX,
    ChunkKind,
    DeclineKind,
    RankedMiner,
    ResultChunk,
    ResultCommitment,
    TaskAcceptance,
    TaskAnnouncement,
    TaskDecline,
    parts_of,
)
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from protocol.work import Work, WorkKind
from tests.node.builders import COORDINATOR, DOMAIN, STEPS, announcement
from tests.node.coordinator.desk import png

MINER, STRANGER = (Key.of(bytes([number]) * 32) for number in (2, 3))
SIDE = 320
"""Pixels: enough for an image of two parts, if nothing in it repeats."""
PARTS = parts_of(png(SIDE, SIDE, rows=random.Random(1).randbytes(3 * SIDE * SIDE)))


def sealed(message, key=MINER):
    return seal(DOMAIN, message, lambda statement: sign_digest(key.secret, statement.digest))


ANNOUNCEMENT = replace(
    announcement(RankedMiner(MINER.address, 0)), work=Work.image(WorkKind.TEXT_TO_IMAGE, SIDE, SIDE, STEPS)
)
TASK = open_statement(DOMAIN, sealed(ANNOUNCEMENT, COORDINATOR), TaskAnnouncement)


def chunk(index, kind=ChunkKind.PROGRESS, step=0, payload=b"", task_id=TASK.digest, part=0):
    return ResultChunk(task_id, index, kind, part, step, payload)


def image_part(index, payload, part):
    return chunk(index, ChunkKind.OUTPUT_PART, STEPS, payload, part=part)


def commitment(parts=PARTS, **changes):
    image = b"".join(parts)
    fields = {
        "task_id": TASK.digest,
        "output_root": merkle_root(parts),
        "output_bytes": len(image),
        "output_hash": sha256(image),
        "trace_root": bytes(32),
        "units_done": STEPS,
    }
    return ResultCommitment(**(fields | changes))


@pytest.fixture
def intake():
    return ResultIntake(DOMAIN, TASK, MINER.address)


def send_parts(intake, parts=PARTS):
    for index, part in enumerate(parts):
        intake.receive(sealed(image_part(index, part, index)))


def test_whole_stream_gives_events_and_the_image(intake):
    assert intake.receive(sealed(chunk(0, step=1))) == Progress(MINER.address, 1, STEPS)
    preview = png(SIDE, SIDE)
    assert intake.receive(sealed(chunk(1, ChunkKind.PREVIEW, 1, preview))) == Preview(1, preview)
    for number, part in enumerate(PARTS):
        assert intake.receive(sealed(image_part(2 + number, part, number))) is None
    assert intake.commitment is None
    assert intake.receive(sealed(commitment())) is None
    assert intake.commitment.message == commitment()
    assert intake.output == b"".join(PARTS)


def refused(intake, payload, reason):
    with pytest.raises(InvalidMessage) as caught:
        intake.receive(payload)
    assert caught.value.reason == reason


def test_garbage_does_not_decode(intake):
    with pytest.raises(DecodeError):
        intake.receive(b"\x00garbage")


def test_bad_signature(intake):
    good = sealed(chunk(0))
    with pytest.raises(SignatureError):
        intake.receive(good[:-1] + bytes([99]))


def test_chunk_signed_by_somebody_else(intake):
    refused(intake, sealed(chunk(0), STRANGER), "statement is signed by somebody else")


def test_commitment_signed_by_somebody_else(intake):
    send_parts(intake)
    refused(intake, sealed(commitment(), STRANGER), "statement is signed by somebody else")


def test_statement_of_another_kind(intake):
    refused(intake, sealed(TaskAcceptance(TASK.digest, 0)), "neither a chunk nor a commitment")


def test_statement_of_another_task(intake):
    refused(intake, sealed(chunk(0, task_id=bytes(32))), "statement is of another task")


def test_chunks_out_of_order(intake):
    refused(intake, sealed(chunk(1)), "chunks are out of order")


def test_repeated_chunk(intake):
    intake.receive(sealed(chunk(0)))
    refused(intake, sealed(chunk(0)), "chunks are out of order")


@pytest.mark.parametrize("step", [0, STEPS + 1])
def test_step_out_of_order(intake, step):
    intake.receive(sealed(chunk(0, step=1)))
    refused(intake, sealed(chunk(1, step=step)), "units are out of order")


def test_flood_of_progress(intake):
    for index in range(CHUNKS_PER_UNIT_MAX):
        intake.receive(sealed(chunk(index)))
    refused(intake, sealed(chunk(CHUNKS_PER_UNIT_MAX)), "too many chunks")


def test_preview_that_is_no_png(intake):
    refused(
        intake,
        sealed(chunk(0, ChunkKind.PREVIEW, 1, b"GIF89a")),
        "picture is not a PNG",
    )


def test_progress_after_the_image_began(intake):
    send_parts(intake)
    refused(intake, sealed(chunk(2, step=STEPS)), "too many chunks")


def test_empty_part(intake):
    refused(intake, sealed(image_part(0, b"", 0)), "output is not in its parts")


def test_part_under_another_number(intake):
    refused(intake, sealed(image_part(0, PARTS[0], 1)), "output is not in its parts")


def test_part_after_one_that_is_not_full(intake):
    """The number of parts follows from the image's length, so only the last may be short."""
    intake.receive(sealed(image_part(0, PARTS[0][:-1], 0)))
    refused(intake, sealed(image_part(1, b"x", 1)), "a part follows the last one")


def test_number_of_a_part_on_what_is_none(intake):
    refused(intake, sealed(chunk(0, part=1)), "chunk is not a part of the output, but has a number")


def test_statement_after_the_commitment(intake):
    send_parts(intake)
    intake.receive(sealed(commitment()))
    refused(intake, sealed(chunk(2)), "statement after the commitment")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"units_done": STEPS - 1}, "not all units were done"),
        ({"output_bytes": 1}, "output is not the committed one"),
        ({"output_hash": bytes(32)}, "output is not the committed one"),
        ({"output_root": bytes(32)}, "parts are not the committed ones"),
    ],
)
def test_commitment_that_does_not_fit(intake, changes, reason):
    send_parts(intake)
    refused(intake, sealed(commitment(**changes)), reason)
    assert intake.commitment is None


def test_commitment_without_an_output(intake):
    refused(intake, sealed(commitment(parts=(), units_done=0)), "not all units were done")


def test_commitment_to_another_picture_than_the_announced(intake):
    parts = (png(SIDE, SIDE - 1),)
    send_parts(intake, parts)
    with pytest.raises(InvalidMessage):
        intake.receive(sealed(commitment(parts)))
    assert intake.commitment is None


SMALL = (png(SIDE, SIDE),)


def false_image(intake, **changes):
    send_parts(intake, SMALL)
    with pytest.raises(FalseOutput) as caught:
        intake.receive(sealed(commitment(SMALL, **changes)))
    return caught.value.evidence


def test_image_of_one_part_that_is_not_the_committed_one__is_evidence(intake):
    other = png(SIDE, SIDE, colour=b"abc")
    for changes in (
        {"output_root": merkle_root([other])},
        {"output_root": bytes(32), "output_hash": bytes(32)},
    ):
        evidence = false_image(ResultIntake(DOMAIN, TASK, MINER.address), **changes)
        offence = verify_evidence(DOMAIN, evidence, {})
        assert (offence.fault, offence.signer) == (Fault.FALSE_PART, MINER.address)


def test_commitment_to_more_parts_than_were_sent__proves_nothing_yet(intake):
    """Which leaves are under the root, only an opening would show."""
    send_parts(intake, SMALL)
    false = commitment(SMALL, output_root=bytes(32), output_bytes=CHUNK_BYTES_MAX + 1)
    refused(intake, sealed(false), "parts are not the committed ones")


def test_an_image_does_not_end_early(intake):
    refused(intake, sealed(chunk(0, ChunkKind.LAST_UNIT, 1)), "not all units were done")


def test_a_decline_is_heard_in_place_of_a_statement(intake):
    decline = TaskDecline(TASK.digest, DeclineKind.NOT_HERE, "out of memory")
    assert intake.receive(decline.encode()) == decline


def test_a_decline_of_another_task(intake):
    decline = TaskDecline(bytes(32), DeclineKind.NOT_HERE, "out of memory")
    refused(intake, decline.encode(), "decline is of another task")


def test_a_step_beyond_what_is_paid_for_is_refused(intake):
    intake.unit_limit = 2
    assert intake.receive(sealed(chunk(0, step=2))) == Progress(MINER.address, 2, STEPS)
    with pytest.raises(InvalidMessage, match="beyond what is paid"):
        intake.receive(sealed(chunk(1, step=3)))
    assert intake.units == 2
