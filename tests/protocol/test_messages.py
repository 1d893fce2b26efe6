import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, messages
from protocol.audit import CheckedStep, FaultPlace
from protocol.errors import DecodeError
from protocol.evidence import STATEMENT_BYTES_MAX
from protocol.hashing import keccak256, sha256
from protocol.messages import (
    KIND_OF,
    MESSAGE_OF,
    Kind,
    ModelOffer,
    PassedOver,
    PublicInput,
    RankedMiner,
    SealedInput,
    Source,
    TaskCall,
    TaskDecline,
    TaskInput,
    TaskReply,
    WorkOffer,
    integer_slot,
)
from protocol.pay import SignedVoucher
from protocol.rules.view import GOSSIP_BYTES_MAX
from protocol.schema import Bytes, Items, Text, Uint, _kind_of, _kinds, to_items
from protocol.statement import BODY_BYTES_MAX, Envelope
from protocol.work import (
    DETAILS_BYTES_MAX,
    NUMBERS_BYTES_MAX,
    PRICES_MAX,
    SPECS,
    ImageDetails,
    ImageNumbers,
    Work,
    WorkKind,
)
from tests.protocol import builders
from tests.protocol.strategies import lawful, mutations, structs, values

STRUCTS = [
    *MESSAGE_OF.values(),
    ModelOffer,
    WorkOffer,
    RankedMiner,
    Work,
    ImageDetails,
    ImageNumbers,
    TaskCall,
    TaskInput,
    PublicInput,
    SealedInput,
    Source,
    TaskReply,
    TaskDecline,
    SignedVoucher,
    Envelope,
    CheckedStep,
    FaultPlace,
]
EVERY_STRUCT = pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)


def largest(kind):
    """The largest value of a field's kind."""
    match kind:
        case Uint(maximum):
            return maximum
        case Bytes(_, maximum):
            return bytes(maximum)
        case Text(maximum):
            return "t" * maximum
        case Items(of, _, maximum):
            return (largest(_kind_of(of)),) * maximum
        case _:
            return kind(*(largest(field) for _, field in _kinds(kind)))


def out_of_bounds(kind):
    """Encodable values just outside a field's kind."""
    match kind:
        case Uint(maximum):
            return [maximum + 1, b"", "", ()] if maximum < cbor.UINT_MAX else [b"", "", ()]
        case Bytes(minimum, maximum):
            return [bytes(maximum + 1), 0, "", (), *([bytes(minimum - 1)] if minimum else [])]
        case Text(maximum):
            return ["t" * (maximum + 1), "é" * (maximum // 2) + "é", 0, b"", ()]
        case Items(of, minimum, maximum):
            most = to_items((largest(_kind_of(of)),) * (maximum + 1))
            return [most, 0, b"", "", *([()] if minimum else [])]
        case _:
            return [0, b"", "", ()]


@EVERY_STRUCT
def test_what_is_encoded_decodes_to_the_same(struct):
    @lawful
    @given(structs(struct))
    def law(message):
        assert struct.decode(message.encode()) == message

    law()


@EVERY_STRUCT
def test_any_bytes_decode_or_are_refused(struct):
    @lawful
    @given(st.binary(max_size=80) | values.map(cbor.encode) | mutations(structs(struct).map(struct.encode)))
    def law(data):
        try:
            message = struct.decode(data)
        except DecodeError:
            return
        assert message.encode() == data

    law()


@EVERY_STRUCT
def test_the_largest_of_all_values_is_allowed_and_one_more_is_not(struct):
    """A limit on everything: each field at its bound, then each field past it."""
    message = largest(struct)
    assert struct.decode(message.encode()) == message
    items = to_items(message)
    for place, (name, kind) in enumerate(_kinds(struct)):
        for wrong in out_of_bounds(kind):
            with pytest.raises(DecodeError, match=r"\w+ is (not|an array)"):
                struct.decode(cbor.encode((*items[:place], wrong, *items[place + 1 :])))
            with pytest.raises(ValueError, match=r"cannot be encoded|encode"):
                struct(
                    *(wrong if other == name else getattr(message, other) for other, _ in _kinds(struct))
                ).encode()


@pytest.mark.parametrize("struct", MESSAGE_OF.values(), ids=lambda struct: struct.__name__)
def test_the_largest_message_fits_where_it_must_go(struct):
    body = largest(struct).encode()
    assert len(body) <= BODY_BYTES_MAX
    envelope = Envelope(1, KIND_OF[struct], body, bytes(65)).encode()
    if KIND_OF[struct].slashable:
        assert len(envelope) <= STATEMENT_BYTES_MAX
        assert 2 * STATEMENT_BYTES_MAX + 16 <= GOSSIP_BYTES_MAX


def test_the_largest_input_fits_into_a_reply():
    assert len(largest(TaskInput).encode()) <= messages.CHUNK_BYTES_MAX


def test_kinds_of_work_are_numbers_that_never_change():
    assert {kind.name: int(kind) for kind in WorkKind} == {"TEXT_TO_IMAGE": 0, "IMAGE_TO_IMAGE": 1}


def test_kinds_are_numbers_that_never_change():
    assert {kind.name: (int(kind), kind.slashable) for kind in Kind} == {
        "OFFER": (1, True),
        "TASK_ANNOUNCEMENT": (2, True),
        "TASK_ACCEPTANCE": (3, True),
        "RESULT_COMMITMENT": (4, True),
        "AUDIT_VERDICT": (5, True),
        "RESULT_CHUNK": (64, False),
    }
    assert set(MESSAGE_OF) == set(Kind)


def test_slots():
    assert builders.offer(sequence=2**64 - 1).slot() == bytes(24) + b"\xff" * 8
    assert builders.announcement().slot() == bytes(23) + b"\x07" + bytes(7) + b"\x0b"
    assert builders.announcement(2**64 - 1, epoch=2**64 - 1, ranking=()).slot() == bytes(16) + b"\xff" * 16
    assert builders.acceptance().slot() == builders.TASK.digest
    assert builders.commitment().slot() == builders.TASK.digest
    assert builders.verdict().slot() == keccak256(
        builders.TASK.digest + bytes(12) + builders.FIRST_RANKED.address
    )
    assert builders.chunk(index=3).slot() == keccak256(builders.TASK.digest + bytes(31) + b"\x03")
    assert integer_slot(0) == bytes(32)


def test_assigned_are_those_not_passed_over():
    places = tuple(RankedMiner(bytes([reason]) * 20, int(reason)) for reason in PassedOver)
    assigned = builders.announcement(ranking=(*places, RankedMiner(b"\x09" * 20, 0))).assigned
    assert assigned == (bytes(20), b"\x09" * 20)


def test_reasons_for_passing_over_are_numbers_that_never_change():
    assert {reason.name: int(reason) for reason in PassedOver} == {
        "ASSIGNED": 0,
        "NO_OFFER": 1,
        "TOO_EXPENSIVE": 2,
        "BUSY": 3,
        "EXPERIENCE": 4,
    }


def test_the_commitment_to_an_input_hides_it_by_its_salt():
    task_input = builders.task_input()
    leaves = (b"\x00" + half.encode() for half in (task_input.public, task_input.sealed))
    assert task_input.commitment() == sha256(b"\x01" + b"".join(sha256(leaf) for leaf in leaves))
    assert builders.task_input(salt=bytes(32)).commitment() != task_input.commitment()


def test_an_output_of_the_largest_size_has_the_largest_number_of_parts():
    assert messages.OUTPUT_PARTS_MAX * messages.CHUNK_BYTES_MAX == messages.OUTPUT_BYTES_MAX
    assert len(messages.parts_of(bytes(messages.OUTPUT_BYTES_MAX))) == messages.OUTPUT_PARTS_MAX
    assert messages.parts_of(bytes(messages.CHUNK_BYTES_MAX + 1))[1:] == (b"\x00",)
    assert messages.parts_of(b"") == ()


def test_the_largest_details_and_numbers_of_every_kind_fit_where_they_must_go():
    for spec in SPECS.values():
        assert len(largest(spec.details).encode()) <= DETAILS_BYTES_MAX
        assert len(largest(spec.numbers).encode()) <= NUMBERS_BYTES_MAX
        assert 1 <= len(spec.priced) <= PRICES_MAX
        assert len(spec.roles) <= messages.SOURCES_MAX
