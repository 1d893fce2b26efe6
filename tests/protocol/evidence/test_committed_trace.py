"""The links from a signature to a number, one by one."""

import pytest

from protocol.audit import TraceTensor
from protocol.errors import DecodeError, InvalidMessage, SignatureError
from protocol.evidence.committed_trace import (
    read_number,
    read_quantile,
    read_rules,
    read_trace,
    read_work,
    split_proved,
)
from protocol.hashing import sha256
from protocol.model_table import MODEL_DOMAIN
from protocol.statement import unsigned
from protocol.tensor import tensor_hash
from protocol.work import Work, WorkKind
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, FIRST_RANKED, changed, sealed
from tests.protocol.traces import MadeTrace, Terms, quantile_leaves

MADE = MadeTrace(Terms())
HELD = MADE.held
WORK = read_work(DOMAIN, HELD.announcement, HELD.commitment)
TRACE = read_trace(WORK, HELD.hashes)
RULES = read_rules(WORK, HELD.model.joined, HELD.public)


def test_every_link_of_an_honest_trace_holds():
    assert (WORK.units, WORK.has_source, RULES.size, RULES.guided) == (4, False, 72, True)
    assert WORK.commitment.signer.address == FIRST_RANKED.address
    for step, place in enumerate(HELD.opening.leaves):
        assert TRACE.leaf(step, HELD.leaf(step)) == place.leaf
        row, siblings = HELD.row(step)
        assert RULES.row(step, row + b"".join(siblings)) == MADE.rows[step]
        data = MADE.tensors[step, TraceTensor.LATENT]
        for number in (0, 63, 64, 71):
            piece = HELD.piece(step, TraceTensor.LATENT, number)
            bits = int.from_bytes(data[2 * number : 2 * number + 2], "little")
            assert read_number(place.leaf.latent, RULES.size, number, piece) == bits


def test_an_announcement_or_a_commitment_that_nobody_can_read():
    with pytest.raises(DecodeError):
        read_work(DOMAIN, HELD.announcement[:-1], HELD.commitment)
    with pytest.raises(DecodeError):
        read_work(DOMAIN, HELD.announcement, builders.TASK.encoded)
    with pytest.raises(SignatureError):
        read_work(DOMAIN, HELD.announcement, HELD.commitment[:-1] + b"\x05")
    task = builders.announcement(work=Work(WorkKind.TEXT_TO_IMAGE, 4, b"\x81\x00"))
    committed = builders.commitment(task_id=unsigned(DOMAIN, task).digest)
    with pytest.raises(DecodeError):
        read_work(DOMAIN, task.encode(), sealed(FIRST_RANKED, committed))


def test_a_head_that_is_not_known_gives_no_rules():
    """A model with rules of its own: nothing can be proved of work with it, so nothing wrong either."""
    for at, value in [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2), (5, 3)]:
        joined = bytearray(HELD.model.joined)
        joined[32 + at] = value
        task = changed(WORK.task, model_id=sha256(MODEL_DOMAIN + joined))
        with pytest.raises(InvalidMessage, match="head: rules are not known here"):
            read_rules(changed(WORK, task=task), bytes(joined), HELD.public)


def test_a_picture_that_the_model_has_no_latents_of():
    task = changed(WORK.task, work=Work.image(WorkKind.TEXT_TO_IMAGE, 26, 24, 4))
    with pytest.raises(InvalidMessage, match="head: no tensors of this size"):
        read_rules(changed(WORK, task=task), HELD.model.joined, HELD.public)


def test_a_tensor_read_as_one_of_another_size_gives_no_number():
    """Else a proof of another width would hold an honest number against the value of another place."""
    digest = tensor_hash(MADE.tensors[0, TraceTensor.LATENT])
    piece = HELD.piece(0, TraceTensor.LATENT, 64)
    for size in (65, 71, 73, 128, 256):
        with pytest.raises(InvalidMessage):
            read_number(digest, size, 64, piece)
    with pytest.raises(InvalidMessage, match="the tensor has no such number"):
        read_number(digest, 72, 72, piece)


def test_a_quantile_is_of_its_place_in_the_table():
    leaf = quantile_leaves()[0]
    with pytest.raises(InvalidMessage, match="the quantiles are not those that the seed draws"):
        read_quantile(7, 0, leaf + bytes(12 * 32))


@pytest.mark.parametrize("data", [b"", bytes(39), bytes(41), bytes(40 + 33)])
def test_a_proof_has_whole_hashes(data):
    with pytest.raises(InvalidMessage, match="a proof is not of whole hashes"):
        split_proved(data, 40)
    assert split_proved(bytes(40) + bytes(32), 40) == (bytes(40), (bytes(32),))
