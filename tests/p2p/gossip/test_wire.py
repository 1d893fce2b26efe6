"""p2p/gossip/wire.py: any bytes give an RPC or a DecodeError, and framing survives any cut."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.pubsub.pb import rpc_pb2 as pb

from p2p.gossip.framing import FrameSplitter, frame
from p2p.gossip.params import GossipParams
from p2p.gossip.wire import (
    Message,
    Prune,
    PxPeer,
    Rpc,
    decode_rpc,
    decode_single,
    encode_control,
    encode_message,
    encode_messages,
    encode_subscriptions,
    message_id,
)
from protocol.errors import DecodeError

PARAMS = GossipParams()
topics = st.text(min_size=1, max_size=20).filter(lambda text: len(text.encode(errors="ignore")) == len(text))


def cut(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@given(st.lists(st.tuples(topics, st.binary(max_size=60)), max_size=5))
def test_messages_round_trip(messages):
    rpc = decode_rpc(encode_messages(messages), PARAMS)
    assert rpc == Rpc(messages=tuple(Message(topic, data) for topic, data in messages))


def test_subscriptions_and_control_round_trip():
    assert decode_rpc(encode_subscriptions([("a", True), ("b", False)]), PARAMS) == Rpc(
        subscriptions=(("a", True), ("b", False))
    )
    named = (PxPeer(b"one", b"record"), PxPeer(b"two"))
    data = encode_control(
        ihave=[("a", [b"1" * 20])],
        iwant=[b"2" * 20],
        graft=["a"],
        prune=[Prune("b", 60, named), Prune("c")],
        idontwant=[b"3" * 20],
    )
    assert decode_rpc(data, PARAMS) == Rpc(
        ihave=(("a", (b"1" * 20,)),),
        iwant=(b"2" * 20,),
        graft=("a",),
        prune=(Prune("b", 60, named), Prune("c")),
        idontwant=(b"3" * 20,),
    )


# Against the general parser of libp2p's own classes


def by_libp2p(topic, data):
    rpc = pb.RPC()
    rpc.publish.add(topicIDs=[topic], data=data)
    return rpc.SerializeToString()


@given(topics, st.one_of(st.binary(max_size=300), st.integers(0, 40_000).map(bytes)))
def test_a_message__is_written_as_libp2p_writes_it_and_read_as_it_reads_it(topic, data):
    encoded = encode_message(topic, data)
    assert encoded == by_libp2p(topic, data)
    assert decode_single(encoded, PARAMS) == Message(topic, data)
    assert decode_rpc(encoded, PARAMS).messages == (Message(topic, data),)


@given(st.lists(st.tuples(topics, st.binary(max_size=60)), max_size=5))
def test_several_messages__are_written_as_libp2p_writes_them(messages):
    assert encode_messages(messages) == b"".join(by_libp2p(topic, data) for topic, data in messages)
    together = pb.RPC()
    for topic, data in messages:
        together.publish.add(topicIDs=[topic], data=data)
    assert encode_messages(messages) == together.SerializeToString()


@given(st.binary(max_size=12), st.binary(max_size=8), st.data())
def test_the_short_way_of_reading__never_says_other_than_the_general_one(noise, content, data):
    raw = bytearray(encode_message("topic", content))
    at = data.draw(st.integers(0, len(raw)))
    raw[at : at + data.draw(st.integers(0, len(noise)))] = noise
    single = decode_single(bytes(raw), PARAMS)
    if single is not None:
        assert decode_rpc(bytes(raw), PARAMS) == Rpc(messages=(single,))
        assert encode_message(single.topic, single.data) == bytes(raw)


@pytest.mark.parametrize(
    "encoded",
    [
        by_libp2p("t", b"x") + by_libp2p("t", b"y"),
        by_libp2p("", b"x"),
        by_libp2p("t" * 129, b"x"),
        by_libp2p("t", bytes(PARAMS.message_bytes_max + 1)),
        bytes.fromhex("120812830078787822 0174"),  # a length of three with a needless byte
        bytes.fromhex("1206120178220274"),
        bytes.fromhex("12061201782201ff"),
        b"\x12",
        b"",
    ],
)
def test_the_short_way_of_reading__leaves_all_else_to_the_general_one(encoded):
    assert decode_single(encoded, PARAMS) is None


def test_control_of_all_kinds__is_what_libp2p_understands():
    rpc = pb.RPC()
    rpc.ParseFromString(
        encode_control(idontwant=[b"1", b"2"], prune=[Prune("t", 60, (PxPeer(b"id", b"r"), PxPeer(b"x")))])
    )
    assert list(rpc.control.idontwant[0].messageIDs) == [b"1", b"2"]
    (prune,) = rpc.control.prune
    assert (prune.topicID, prune.backoff) == ("t", 60)
    assert [(item.peerID, item.signedPeerRecord) for item in prune.peers] == [(b"id", b"r"), (b"x", b"")]
    assert not prune.peers[1].HasField("signedPeerRecord")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.binary(max_size=50), max_size=6))
def test_control_written_by_libp2p__is_read(identifiers, records):
    rpc = pb.RPC()
    rpc.control.idontwant.add(messageIDs=identifiers)
    prune = rpc.control.prune.add(topicID="t", backoff=7)
    for record in records:
        prune.peers.add(peerID=b"id", signedPeerRecord=record)
    found = decode_rpc(rpc.SerializeToString(), PARAMS)
    assert found.idontwant == tuple(identifiers)
    assert found.prune == (Prune("t", 7, tuple(PxPeer(b"id", record) for record in records)),)


@given(st.binary(max_size=200))
def test_any_bytes__give_an_rpc_or_a_decode_error(data):
    with contextlib.suppress(DecodeError):
        decode_rpc(data, PARAMS)


@given(st.binary(max_size=60), st.data())
def test_any_damage_to_a_valid_rpc__gives_an_rpc_or_a_decode_error(noise, data):
    raw = encode_messages([("topic", b"data")]) + encode_control(graft=["t"], ihave=[("t", [b"x" * 20])])
    at = data.draw(st.integers(0, len(raw)))
    with contextlib.suppress(DecodeError):
        decode_rpc(raw[:at] + noise + raw[at + len(noise) :], PARAMS)


@pytest.mark.parametrize("field", ["from_id", "seqno", "signature", "key"])
def test_a_signature_field__even_empty__is_seen(field):
    rpc = pb.RPC()
    rpc.publish.add(topicIDs=["t"], data=b"x", **{field: b""})
    assert decode_rpc(rpc.SerializeToString(), PARAMS).messages[0].signed


def over_the_limits():
    yield "size", bytes(PARAMS.rpc_bytes_max + 1)
    yield "messages", encode_messages([("t", b"")] * (PARAMS.rpc_messages_max + 1))
    yield "subscriptions", encode_subscriptions([("t", True)] * (PARAMS.rpc_subscriptions_max + 1))
    yield "grafts", encode_control(graft=["t"] * (PARAMS.rpc_control_max + 1))
    yield "ids", encode_control(iwant=[b"x"] * (PARAMS.rpc_message_ids_max + 1))
    yield "unwanted ids", encode_control(idontwant=[b"x"] * (PARAMS.rpc_message_ids_max + 1))
    named = tuple(PxPeer(b"x") for _ in range(PARAMS.rpc_px_peers_max + 1))
    yield "peers", encode_control(prune=[Prune("t", 0, named)])
    yield "id", encode_control(iwant=[b"x" * 65])
    yield "empty id", encode_control(iwant=[b""])
    yield "topic", encode_control(graft=["t" * (PARAMS.topic_bytes_max + 1)])
    yield "empty topic", encode_control(graft=[""])
    yield "topic not UTF-8", bytes.fromhex("1205220301fffe")
    yield "data", encode_messages([("t", bytes(PARAMS.message_bytes_max + 1))])
    two = pb.RPC()
    two.publish.add(topicIDs=["a", "b"])
    yield "two topics", two.SerializeToString()
    none = pb.RPC()
    none.publish.add(data=b"x")
    yield "no topic", none.SerializeToString()


@pytest.mark.parametrize("data", [pytest.param(data, id=what) for what, data in over_the_limits()])
def test_each_limit__is_refused_beyond(data):
    with pytest.raises(DecodeError):
        decode_rpc(data, PARAMS)


def test_message_id__is_the_published_formula_and_keeps_splits_apart():
    assert message_id("t", b"x") == hashlib.sha256(bytes(7) + b"\x01tx").digest()[:20]
    assert message_id("a", b"bc") != message_id("ab", b"c")


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_framing__whole_and_byte_at_a_time(rpcs):
    data = b"".join(map(frame, rpcs))
    assert FrameSplitter(1000).feed(data) == rpcs
    splitter = FrameSplitter(1000)
    assert [rpc for piece in cut(data) for rpc in splitter.feed(piece)] == rpcs
    assert splitter.feed(frame(b"x")) == [b"x"]  # nothing was left over


@given(st.binary(max_size=100))
def test_framing_of_any_bytes__is_the_same_cut_or_not(data):
    outcomes = []
    for pieces in ([data], cut(data)):
        splitter, found = FrameSplitter(50), []
        try:
            for piece in pieces:
                found += splitter.feed(piece)
        except DecodeError:
            outcomes.append("error")
        else:
            outcomes.append(found)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("data", [b"\x80\x00", b"\xff\xff\xff\xff", b"\x65"])
def test_framing__refuses_a_needless_byte_an_endless_length_and_too_large_a_frame(data):
    with pytest.raises(DecodeError):
        FrameSplitter(100).feed(data)
