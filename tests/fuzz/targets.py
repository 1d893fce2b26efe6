"""What is fuzzed: every decoder and every validator, each as a function of bytes.

The law of all: any bytes give a value, or a `ProtocolError` or `GossipIgnore`; anything else is a bug. Where
something decodes, encoding it must give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from libp2p.relay.circuit_v2.pb.dcutr_pb2 import HolePunch
from multiaddr import Multiaddr

from p2p.dial_back import ports_of
from p2p.discovery import encode_records, split_records
from p2p.framing import FrameReader, FrameWriter
from p2p.gossip.params import GossipParams
from p2p.gossip.wire import (
    Prune,
    PxPeer,
    Rpc,
    decode_rpc,
    decode_single,
    encode_control,
    encode_message,
    encode_messages,
    encode_subscriptions,
)
from p2p.identity import key_pair_from_secret, peer_id_from_secret
from p2p.records import open_record, seal_record
from p2p.relay.circuit_messages import HopMessage, Status, StopMessage, open_voucher, seal_voucher
from p2p.relay.hole_punch import ADDRESSES_MAX, addresses_of
from protocol import cbor, receipt
from protocol.clock import ClockAnswer, ClockQuestion
from protocol.draw import follows_draw
from protocol.errors import ProtocolError
from protocol.evidence import decode_evidence, verify_evidence
from protocol.evidence_document import from_document, to_document
from protocol.messages import MESSAGE_OF, TaskCall, TaskInput, TaskReply
from protocol.model_card import ModelCard, ProvedCard
from protocol.model_table import ModelHead
from protocol.pay import SignedVoucher
from protocol.png import require_picture, require_preview
from protocol.rules.view import Seen
from protocol.signature import recover
from protocol.statement import Envelope, open_statement, read_envelope
from protocol.trace import Opening, OpeningRequest, TraceBinding, TraceLeaf, open_leaves, verify_opening
from protocol.transfer import ModelRequest
from tests.fuzz.gossip import Besieged
from tests.fuzz.session_targets import session_targets
from tests.fuzz.target import Target
from tests.protocol import builders
from tests.protocol.builders import AUDITOR, COORDINATOR, DOMAIN, FIRST_RANKED, MINERS, NOW_MS, TASK, sealed
from tests.protocol.pictures import plain_picture
from tests.vectors.situations import RULES

EPOCHS = builders.view().epochs
SIGNERS = (MINERS["ann"], COORDINATOR, FIRST_RANKED, FIRST_RANKED, AUDITOR, FIRST_RANKED)
STATEMENTS = tuple(
    sealed(signer, message) for signer, message in zip(SIGNERS, builders.messages(), strict=True)
)
PEER_RECORDS = tuple(
    seal_record(bytes(31) + b"\1", count, [Multiaddr("/ip4/192.0.2.7/tcp/4001")] * count)
    for count in range(3)
)
RELAY = peer_id_from_secret(bytes(31) + b"\1")
_ADDRESS = Multiaddr("/ip4/8.8.8.8/tcp/4001").to_bytes()
RELAY_MESSAGES = (
    seal_voucher(key_pair_from_secret(bytes(31) + b"\1"), RELAY, 1),
    HolePunch(type=HolePunch.CONNECT, ObsAddrs=[_ADDRESS]).SerializeToString(),
    HopMessage(type=HopMessage.STATUS, status=Status.OK).SerializeToString(),
)
_WRITER = FrameWriter()
DIRECT_STREAM = b"".join(
    (*_WRITER.payload(b"one"), _WRITER.credit(1 << 20), *_WRITER.payload(b"two"), _WRITER.end())
)
GOSSIP = GossipParams()
RPCS = (
    encode_messages([("tasks", b"data")]),
    encode_messages([("tasks", b"one"), ("offers", b"two")]),
    encode_subscriptions([("tasks", True), ("other", False)]),
    encode_control(
        ihave=[("tasks", [bytes(20)])],
        iwant=[bytes(20)],
        graft=["tasks"],
        prune=[Prune("offers", 60, (PxPeer(bytes(39), b"record"),))],
        idontwant=[bytes(20)],
    ),
)
EVIDENCE = tuple(piece.encode() for piece in builders.all_evidence())
PICTURES = tuple(plain_picture(4, 2, level) for level in (0, 9))

LEAVES = [TraceLeaf.of(bytes([step, 0]), b"", b"output") for step in range(5)]
TRACE = TraceBinding(bytes(32), bytes(20), bytes(32), len(LEAVES), bytes(32))
OPENING_REQUEST = OpeningRequest(bytes(32), (1, 4), 0)
PROVED_CARD = ProvedCard(
    builders.model_card().encode(), (bytes(32),) * 4, builders.MODEL_HEAD.encode(), bytes(32)
)
OPENING = open_leaves(bytes(32), LEAVES, bytes(32), OPENING_REQUEST.steps)


def _cbor(data: bytes) -> None:
    assert cbor.encode(cbor.decode(data)) == data


def _decoder(struct: type[Any]) -> Callable[[bytes], None]:
    def judge(data: bytes) -> None:
        assert struct.decode(data).encode() == data

    return judge


def _statement(data: bytes) -> None:
    envelope, message = read_envelope(data)
    again = Envelope(envelope.version, envelope.kind, message.encode(), envelope.signature)
    assert again.encode() == data
    open_statement(DOMAIN, data, type(message))


def _signature(data: bytes) -> None:
    assert len(recover(data[:32].ljust(32, b"\x00"), data[32:]).address) == 20


def _evidence(data: bytes) -> None:
    evidence = decode_evidence(data)
    assert evidence.encode() == data
    verify_evidence(DOMAIN, evidence, EPOCHS)


def _opening(data: bytes) -> None:
    opening = Opening.decode(data)
    assert opening.encode() == data
    verify_opening(TRACE, TRACE.root(OPENING.steps_root, bytes(32)), OPENING_REQUEST, opening)


def _ranking(data: bytes) -> None:
    task = MESSAGE_OF[TASK.kind].decode(data)
    follows_draw(builders.EPOCH.miners, task.input_commitment, task.ranking)


def _peer_record(data: bytes) -> None:
    record = open_record(data)
    assert record.envelope == data
    assert all(str(address).endswith(f"/p2p/{record.peer}") for address in record.addresses)


def _relay_messages(data: bytes) -> None:
    """A reservation's answer and its voucher, a call, a hole's addresses, a question whether we can dial."""
    with suppress(ProtobufError):
        for raw in HopMessage.FromString(data).reservation.addrs:
            ports_of([raw])
        ports_of(StopMessage.FromString(data).peer.addrs)
        assert len(addresses_of(HolePunch.FromString(data))) <= ADDRESSES_MAX
    open_voucher(data, RELAY, RELAY)


def _peer_records(data: bytes) -> None:
    for envelope in split_records(data):
        open_record(envelope)


def _frames(data: bytes) -> None:
    """Whole and cut in two, the same frames or the same error; what was read before it included."""
    outcomes = [_frames_of(data), _frames_of(data[: len(data) // 2], data[len(data) // 2 :])]
    assert outcomes[0] == outcomes[1]


def _frames_of(*pieces: bytes) -> list[object]:
    reader = FrameReader()
    found: list[object] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (frame := reader.next_frame()) is not None:
                found.append(frame)
        reader.end_of_file()
    except ProtocolError as error:
        found.append(type(error))
    return found


def _json(read: Callable[[object], Any]) -> Callable[[bytes], None]:
    def judge(data: bytes) -> None:
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return
        read(document)

    return judge


def _evidence_document(document: object) -> None:
    domain, evidence, epochs = from_document(document)
    verify_evidence(domain, evidence, epochs)


def _rpc(data: bytes) -> None:
    """The short way of reading says what the general one does, and what it read is written the same."""
    single = decode_single(data, GOSSIP)
    rpc = decode_rpc(data, GOSSIP)
    if single is not None:
        assert rpc == Rpc(messages=(single,))
        assert encode_message(single.topic, single.data) == data


def _picture(data: bytes) -> None:
    """Whole as a picture, and as what it says its size is: so that mutants come by the header at times."""
    require_preview(data, 64, 64)
    require_picture(data, 4, 2)


def _router() -> Callable[[bytes], None]:
    """One router among enemies; its tables must stay within their limits."""
    world = Besieged(seed=1)

    def judge(data: bytes) -> None:
        world.hear(data)
        if world.now_ms % 1_000 == 0:
            world.check()

    return judge


def _rule(topic: str) -> Callable[[bytes], None]:
    """One peer that hears everything: what it remembers must stay bounded, too."""
    seen, view = Seen(), builders.view()
    RULES["tasks"](seen, view, TASK.encoded, NOW_MS)

    def judge(data: bytes) -> None:
        RULES[topic](seen, view, data, NOW_MS)

    return judge


def targets() -> list[Target]:
    """All targets, each with a state of its own."""
    decoders = [
        (MESSAGE_OF[statement.kind], statement.message.encode()) for statement in map(_opened, STATEMENTS)
    ]
    decoders += [
        (TaskInput, builders.task_input().encode()),
        (TaskCall, TaskCall(bytes(32)).encode()),
        (TaskReply, TaskReply(0, b"input", "why").encode()),
        (Envelope, STATEMENTS[0]),
        (OpeningRequest, OPENING_REQUEST.encode()),
        (SignedVoucher, SignedVoucher.of(5, 2**70, b"s" * 65).encode()),
        (ClockQuestion, ClockQuestion(bytes(16)).encode()),
        (ClockAnswer, ClockAnswer(bytes(16), NOW_MS).encode()),
        (ModelRequest, ModelRequest(bytes(32), "unet/config.json", 0).encode()),
        (ProvedCard, PROVED_CARD.encode()),
    ]
    documents = [to_document(DOMAIN, piece, EPOCHS) for piece in builders.all_evidence()]
    return [
        Target("cbor", _cbor, (*STATEMENTS, *EVIDENCE)),
        Target("model head", ModelHead.decode, (builders.MODEL_HEAD.encode(),)),
        Target("model card", ModelCard.read, (builders.model_card().encode(),)),
        *(Target(f"decode {struct.__name__}", _decoder(struct), (seed,)) for struct, seed in decoders),
        Target("decode an RPC", _rpc, RPCS),
        Target("gossip router", _router(), RPCS),
        Target("open a statement", _statement, STATEMENTS),
        Target("recover a signer", _signature, (TASK.digest + TASK.encoded[-65:],)),
        Target("opening of a trace", _opening, (OPENING.encode(),)),
        Target("picture", _picture, PICTURES),
        Target("follow the draw", _ranking, (TASK.message.encode(),)),
        Target("evidence", _evidence, EVIDENCE),
        Target("evidence document", _json(_evidence_document), tuple(_dump(one) for one in documents)),
        Target("direct stream", _frames, (DIRECT_STREAM, DIRECT_STREAM[:40])),
        Target("peer record", _peer_record, tuple(record.envelope for record in PEER_RECORDS)),
        Target("peer records", _peer_records, (encode_records(PEER_RECORDS),)),
        Target("relay messages", _relay_messages, RELAY_MESSAGES),
        Target(
            "receipt document",
            _json(receipt.verify_document),
            (_dump(receipt.to_document(builders.receipt())),),
        ),
        *session_targets(),
        *(Target(f"validate {topic}", _rule(topic), (*STATEMENTS, *EVIDENCE)) for topic in RULES),
    ]


def _opened(data: bytes) -> Any:
    _, message = read_envelope(data)
    return open_statement(DOMAIN, data, type(message))


def _dump(document: object) -> bytes:
    return json.dumps(document).encode()
