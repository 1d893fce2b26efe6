"""Bounds of evidence about a trace: the longest that can be valid fits, so padding shields nobody."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.evidence import decode_evidence
from protocol.evidence.faults import COMMITMENT_BYTES_MAX
from protocol.evidence.trace_faults import TRACE_FORMS
from protocol.evidence.trace_forms import ANNOUNCEMENT_BYTES_MAX, PUBLIC_BYTES_MAX, FalseStep
from protocol.messages import (
    MULTIADDR_BYTES_MAX,
    MULTIADDRS_MAX,
    OUTPUT_BYTES_MAX,
    RANKING_MAX,
    SOURCE_BYTES_MAX,
    SOURCES_MAX,
    Kind,
    PublicInput,
    RankedMiner,
    ResultCommitment,
    Source,
    TaskAnnouncement,
)
from protocol.rules.view import GOSSIP_BYTES_MAX
from protocol.schema import Items, Uint, _kind_of, _kinds
from protocol.statement import VERSION, Envelope
from protocol.work import DETAILS_BYTES_MAX, KIND_MAX, NUMBERS_BYTES_MAX, UNITS_MAX, Work
from tests.protocol import builders
from tests.protocol.builders import changed
from tests.protocol.strategies import lawful, structs
from tests.protocol.traces import trace_evidence

UINT64 = (1 << 64) - 1


def longest_announcement() -> bytes:
    """Every field of an announcement at its longest."""
    return TaskAnnouncement(
        coordinator=bytes(20),
        epoch=UINT64,
        number=UINT64,
        previous=bytes(32),
        model_id=bytes(32),
        work=Work(KIND_MAX, UNITS_MAX, bytes(DETAILS_BYTES_MAX)),
        input_commitment=bytes(32),
        price_micro_cai=UINT64,
        upfront_micro_cai=UINT64,
        announced_at_ms=UINT64,
        deadline_ms=UINT64,
        ranking=(RankedMiner(bytes(20), 4),) * RANKING_MAX,
        multiaddrs=(bytes(MULTIADDR_BYTES_MAX),) * MULTIADDRS_MAX,
    ).encode()


def longest_commitment() -> bytes:
    body = ResultCommitment(bytes(32), bytes(32), OUTPUT_BYTES_MAX, bytes(32), bytes(32), UNITS_MAX)
    return Envelope(VERSION, Kind.RESULT_COMMITMENT, body.encode(), bytes(65)).encode()


def longest_public() -> bytes:
    sources = (Source(255, SOURCE_BYTES_MAX, bytes(32)),) * SOURCES_MAX
    return PublicInput(bytes(NUMBERS_BYTES_MAX), sources).encode() + bytes(32)


def test_the_longest_statements_and_inputs_that_decode_fit_and_hardly_more():
    """An announcement that was padded until its evidence does not fit is one that nobody can read."""
    for longest, bound in [
        (longest_announcement(), ANNOUNCEMENT_BYTES_MAX),
        (longest_commitment(), COMMITMENT_BYTES_MAX),
        (longest_public(), PUBLIC_BYTES_MAX),
    ]:
        assert bound * 2 / 3 < len(longest) <= bound, len(longest)


def test_a_padded_announcement_shields_nobody():
    """Its coordinator may fill it to the last byte that anybody reads: the evidence still fits."""
    for piece in trace_evidence():
        padded = changed(piece, announcement=longest_announcement(), commitment=longest_commitment())
        assert len(padded.encode()) <= GOSSIP_BYTES_MAX // 6
        assert decode_evidence(padded.encode()) == padded


def longest(kind):
    match kind:
        case Uint(maximum):
            return maximum
        case Items(of, _, maximum):
            return (longest(_kind_of(of)),) * maximum
        case _:
            return bytes(kind.maximum)


@pytest.mark.parametrize("form", TRACE_FORMS, ids=lambda form: form.__name__)
def test_each_form_at_its_longest_travels_by_gossip(form):
    piece = form(*(longest(kind) for _, kind in _kinds(form)))
    assert len(piece.encode()) <= GOSSIP_BYTES_MAX // 6
    for name, kind in _kinds(form):
        value = longest(kind)
        more = value + 1 if isinstance(value, int) else value + (value[:1] or value)
        with pytest.raises(ValueError, match=f"{form.__name__} cannot be encoded"):
            changed(piece, **{name: more}).encode()


def at_size(pieces: int, leaves: int) -> FalseStep:
    """As long as it is for SDXL: 65,536 numbers, 50 steps, a table of 200; of a usual task."""
    task = builders.announcement()
    return FalseStep(
        announcement=task.encode(),
        commitment=longest_commitment(),
        trace=bytes(96),
        model=bytes(76),
        public=builders.task_input().public.encode() + bytes(32),
        step=48,
        number=65_535,
        row=bytes(40 + 15 * 32),
        leaves=(bytes(96 + 6 * 32),) * leaves,
        pieces=(bytes(128 + 10 * 32),) * pieces,
    )


def test_usual_evidence_is_short():
    assert len(at_size(4, 2).encode()) <= 4_096
    assert len(at_size(7, 3).encode()) <= 6_144


@lawful
@given(st.one_of(*map(structs, TRACE_FORMS)))
def test_what_is_encoded_decodes_to_itself(piece):
    assert decode_evidence(piece.encode()) == piece


@pytest.mark.parametrize("piece", trace_evidence(), ids=lambda piece: piece.FAULT.name)
def test_a_form_has_its_fields_and_no_others(piece):
    from protocol import cbor

    items = cbor.decode(piece.encode())
    assert items[0] == piece.FAULT
    assert len(items) == 1 + len(dataclasses.fields(piece))
    for wrong in (items[:-1], (*items, 0), (4, *items[1:]), (11, *items[1:])):
        with pytest.raises(DecodeError):
            decode_evidence(cbor.encode(wrong))
