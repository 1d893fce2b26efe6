from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError, InvalidMessage, ProtocolError
from protocol.evidence import (
    CHUNK_STATEMENT_BYTES_MAX,
    STATEMENT_BYTES_MAX,
    BrokenSequence,
    FalsePart,
    Fault,
    TwoStatements,
    UnknownEpoch,
    WrongRanking,
    decode_evidence,
    verify_evidence,
)
from protocol.hashing import keccak256
from protocol.merkle import leaf_hash, merkle_proof, merkle_root
from protocol.messages import CHUNK_BYTES_MAX, NO_TASK, ChunkKind, Kind, parts_of
from protocol.rules.view import GOSSIP_BYTES_MAX
from protocol.signature import recover
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, FIRST_RANKED, MINERS, OTHER_DOMAIN, SECOND_RANKED, sealed
from tests.protocol.strategies import lawful, mutations

EVIDENCE = builders.evidence()
EPOCHS = builders.view().epochs


@pytest.mark.parametrize(
    ("signer", "one", "other"),
    [
        (MINERS["ann"], builders.offer(), builders.offer(capacity=2)),
        (builders.COORDINATOR, builders.announcement(), builders.announcement(work=builders.work(1))),
        (FIRST_RANKED, builders.acceptance(), builders.acceptance(rank=1)),
        (FIRST_RANKED, builders.commitment(), builders.commitment(units_done=1)),
        (builders.STRANGER, builders.commitment(), builders.commitment(units_done=1)),
    ],
    ids=["offers", "announcements", "acceptances", "commitments", "of anybody"],
)
def test_two_statements_in_one_slot_prove_equivocation(signer, one, other):
    first, second = sealed(signer, one), sealed(signer, other)
    assert TwoStatements.pair(first, second) == TwoStatements.pair(second, first)
    offence = verify_evidence(DOMAIN, TwoStatements.pair(first, second), EPOCHS)
    assert offence.signer == signer.address
    assert offence.slot == one.slot()
    assert {offence.pair.first_body_hash, offence.pair.second_body_hash} == {
        keccak256(one.encode()),
        keccak256(other.encode()),
    }


def test_an_offence_is_what_the_contract_checks():
    """The contract has nothing but these arguments: digest from kind, slot and body hash; one signer."""
    offence = verify_evidence(DOMAIN, EVIDENCE, EPOCHS)
    for body_hash, signature in [
        (offence.pair.first_body_hash, offence.pair.first_signature),
        (offence.pair.second_body_hash, offence.pair.second_signature),
    ]:
        assert (
            recover(DOMAIN.digest(int(offence.kind), offence.slot, body_hash), signature).address
            == offence.signer
        )
    assert offence.pair.first_body_hash != offence.pair.second_body_hash
    assert offence.kind is Kind.RESULT_COMMITMENT


def test_what_proves_nothing():
    one = sealed(FIRST_RANKED, builders.commitment())
    for other, why in [
        (sealed(FIRST_RANKED, builders.acceptance()), "the statements are of different kinds"),
        (sealed(FIRST_RANKED, builders.commitment(task_id=bytes(32))), "the statements take different slots"),
        (one, "the statements say the same"),
        (sealed(SECOND_RANKED, builders.commitment()), "the statements say the same"),
        (sealed(SECOND_RANKED, builders.commitment(units_done=1)), "the statements have different signers"),
        (
            sealed(FIRST_RANKED, builders.commitment(units_done=1), OTHER_DOMAIN),
            "the statements have different signers",
        ),
    ]:
        with pytest.raises(InvalidMessage) as caught:
            verify_evidence(DOMAIN, TwoStatements.pair(one, other), EPOCHS)
        assert caught.value.reason == why


def test_a_miner_that_streams_again_commits_no_offence():
    """Chunks are of a kind that is not slashable: a restarted miner may stream other previews."""
    one, other = (sealed(FIRST_RANKED, builders.chunk(payload=payload)) for payload in (b"one", b"other"))
    with pytest.raises(InvalidMessage, match="statements of this kind are not slashable"):
        verify_evidence(DOMAIN, TwoStatements.pair(one, other), EPOCHS)


def test_the_limit_on_a_statement():
    assert TwoStatements(bytes(STATEMENT_BYTES_MAX), b"x").encode()
    with pytest.raises(ValueError, match="TwoStatements cannot be encoded: first is not Bytes"):
        TwoStatements(bytes(STATEMENT_BYTES_MAX + 1), b"x").encode()


@lawful
@given(mutations(st.just(sealed(FIRST_RANKED, builders.commitment()))))
def test_nobody_can_be_framed_by_editing_what_he_said(edited):
    """From one statement of an honest signer, no second one can be made."""
    try:
        offence = verify_evidence(
            DOMAIN, TwoStatements.pair(sealed(FIRST_RANKED, builders.commitment()), edited), {}
        )
    except ProtocolError:
        return
    pytest.fail(f"framed: {offence}")


BIG_IMAGE = bytes(range(256)) * 2_100
BIG_PARTS = parts_of(BIG_IMAGE)
BIG_COMMITMENT = builders.commitment(output_root=merkle_root(BIG_PARTS), output_bytes=len(BIG_IMAGE))


def false_part(number: int, payload: bytes, **changes) -> FalsePart:
    """A signed part against the commitment to an image of three parts."""
    made = FalsePart(
        sealed(FIRST_RANKED, builders.chunk(part=number, payload=payload)),
        sealed(FIRST_RANKED, BIG_COMMITMENT),
        leaf_hash(BIG_PARTS[number]),
        merkle_proof(BIG_PARTS, number),
    )
    return builders.changed(made, **changes)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_part_that_is_not_the_committed_one_is_an_offence(number):
    offence = verify_evidence(DOMAIN, false_part(number, b"another"), EPOCHS)
    assert (offence.fault, offence.signer) == (Fault.FALSE_PART, FIRST_RANKED.address)
    assert (offence.kind, offence.slot) == (Kind.RESULT_COMMITMENT, BIG_COMMITMENT.slot())
    assert not offence.slashable_by_contract


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_committed_parts_prove_nothing(number):
    with pytest.raises(InvalidMessage, match="the part is the committed one"):
        verify_evidence(DOMAIN, false_part(number, BIG_PARTS[number]), EPOCHS)


PART_OF = {"part": 1, "payload": b"another"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"leaf": bytes(32)}, "the leaf is not under the committed root"),
        ({"proof": ()}, "the leaf is not under the committed root"),
        ({"chunk": sealed(FIRST_RANKED, builders.chunk(part=3))}, "the leaf is not under the committed root"),
        (
            {"chunk": sealed(FIRST_RANKED, builders.chunk(chunk_kind=ChunkKind.PREVIEW))},
            "the chunk is not a part of an output",
        ),
        (
            {"chunk": sealed(FIRST_RANKED, builders.chunk(**PART_OF, task_id=bytes(32)))},
            "the statements are of different tasks",
        ),
        (
            {"chunk": sealed(SECOND_RANKED, builders.chunk(**PART_OF))},
            "the statements have different signers",
        ),
    ],
)
def test_a_part_that_proves_nothing(changes, why):
    with pytest.raises(InvalidMessage) as caught:
        verify_evidence(DOMAIN, false_part(1, b"another", **changes), EPOCHS)
    assert caught.value.reason == why


def test_the_largest_part_travels_as_a_file_and_the_rest_by_gossip():
    full = false_part(0, bytes(CHUNK_BYTES_MAX)).encode()
    assert len(full) > GOSSIP_BYTES_MAX
    assert decode_evidence(full)
    for piece in builders.all_evidence():
        assert len(piece.encode()) <= GOSSIP_BYTES_MAX
    assert len(sealed(FIRST_RANKED, builders.chunk(payload=bytes(CHUNK_BYTES_MAX)))) < (
        CHUNK_STATEMENT_BYTES_MAX
    )


COORDINATOR = builders.COORDINATOR
NEXT = builders.next_announcement()


FIRST_OF_NEXT = builders.announcement(0, epoch=8, previous=builders.TASK.digest)
OF_EPOCH_9 = builders.announcement(0, epoch=9, previous=NO_TASK)


@pytest.mark.parametrize(
    "later",
    [
        builders.changed(NEXT, previous=bytes(31) + b"\x01"),
        builders.changed(NEXT, previous=NO_TASK),
        builders.changed(FIRST_OF_NEXT, previous=NO_TASK),
        builders.changed(FIRST_OF_NEXT, previous=builders.TASK.message.previous),
    ],
    ids=["another", "none", "none, though there is one", "one that another follows"],
)
def test_a_chain_that_breaks_is_an_offence(later):
    evidence = BrokenSequence(builders.TASK.encoded, sealed(COORDINATOR, later))
    offence = verify_evidence(DOMAIN, evidence, {})
    assert (offence.fault, offence.signer) == (Fault.BROKEN_SEQUENCE, COORDINATOR.address)
    assert (offence.kind, offence.slot, offence.pair) == (Kind.TASK_ANNOUNCEMENT, later.slot(), None)


@pytest.mark.parametrize(
    ("later", "signer", "why"),
    [
        (NEXT, COORDINATOR, "the announcements may be of one chain"),
        (FIRST_OF_NEXT, COORDINATOR, "the announcements may be of one chain"),
        (
            builders.changed(FIRST_OF_NEXT, previous=bytes(31) + b"\x01"),
            COORDINATOR,
            "the announcements may be of one chain",
        ),
        (
            builders.changed(FIRST_OF_NEXT, number=1, previous=builders.TASK.message.previous),
            COORDINATOR,
            "the announcements may be of one chain",
        ),
        (OF_EPOCH_9, COORDINATOR, "the announcements may be of one chain"),
        (builders.announcement(13), COORDINATOR, "the announcements may be of one chain"),
        (builders.announcement(10), COORDINATOR, "the announcements may be of one chain"),
        (NEXT, FIRST_RANKED, "an announcement is signed by somebody else than its coordinator"),
        (
            builders.changed(NEXT, coordinator=FIRST_RANKED.address),
            FIRST_RANKED,
            "the statements have different signers",
        ),
    ],
)
def test_a_chain_that_holds_or_is_none(later, signer, why):
    with pytest.raises(InvalidMessage) as caught:
        verify_evidence(DOMAIN, BrokenSequence(builders.TASK.encoded, sealed(signer, later)), {})
    assert caught.value.reason == why


@pytest.mark.parametrize("details", [b"", b"\x82\x18\x40"])
def test_attack_a_broken_chain_that_the_contract_cannot_read_bars_no_other(details):
    """A piece that peers take and the contract refuses would stand in the place of every true one."""
    work = replace(builders.TASK.message.work, details=details)
    earlier = sealed(COORDINATOR, builders.changed(builders.TASK.message, work=work))
    later = sealed(COORDINATOR, builders.changed(NEXT, previous=NO_TASK))
    with pytest.raises(DecodeError):
        verify_evidence(DOMAIN, BrokenSequence(earlier, later), {})


def test_a_wrong_ranking_is_an_offence_for_whoever_knows_the_epoch():
    offence = verify_evidence(DOMAIN, builders.wrong_ranking(), EPOCHS)
    assert (offence.fault, offence.signer) == (Fault.WRONG_RANKING, COORDINATOR.address)
    with pytest.raises(UnknownEpoch) as caught:
        verify_evidence(DOMAIN, builders.wrong_ranking(), {})
    assert caught.value.epoch == builders.EPOCH.number


def test_a_ranking_that_proves_nothing():
    stranger = builders.announcement(coordinator=builders.STRANGER.address)
    for statement, why in [
        (builders.TASK.encoded, "the ranking is the draw's"),
        (sealed(builders.STRANGER, stranger), "the signer was not a coordinator of that epoch"),
    ]:
        with pytest.raises(InvalidMessage) as caught:
            verify_evidence(DOMAIN, WrongRanking(statement), EPOCHS)
        assert caught.value.reason == why
