"""p2p/session/noise.py: beside another implementation of the framework, and over any bytes in any chunks."""

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from noise.connection import Keypair, NoiseConnection

from p2p.session.noise import RECORD_PLAINTEXT_BYTES_MAX, TAG_BYTES, Handshake, Transport
from protocol.errors import LocalError

STATICS = [X25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2)]
EPHEMERALS = [X25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (3, 4)]
LOW_ORDER_POINT = bytes(32)


def side(number, payload=b"payload"):
    return Handshake(
        initiator=number == 0, static=STATICS[number], ephemeral=EPHEMERALS[number], payload=payload
    )


def shake_hands(one, other):
    from_one, from_other = one.start(), other.start()
    while from_one or from_other:
        from_other += other.receive(from_one)
        from_one = one.receive(from_other)
        from_other = b""
    return one.transport()[0], other.transport()[0]


def framed(message):
    return len(message).to_bytes(2, "big") + message


def test_two_sides__learn_each_others_keys_and_payloads_and_can_talk():
    one, other = side(0, b"from one"), side(1, b"from the other")
    first, second = shake_hands(one, other)
    assert (one.remote_payload, other.remote_payload) == (b"from the other", b"from one")
    assert one.remote_static == STATICS[1].public_key().public_bytes_raw()
    assert other.remote_static == STATICS[0].public_key().public_bytes_raw()
    for sender, receiver in ((first, second), (second, first), (first, second)):
        assert receiver.open(sender.seal(b"hello")) == [b"hello"]


@pytest.mark.parametrize("initiator", [True, False])
def test_against_another_implementation__everything_agrees(initiator):
    theirs = NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_SHA256")
    theirs.set_keypair_from_private_bytes(Keypair.STATIC, STATICS[1].private_bytes_raw())
    (theirs.set_as_responder if initiator else theirs.set_as_initiator)()
    theirs.start_handshake()
    ours = Handshake(initiator=initiator, static=STATICS[0], ephemeral=EPHEMERALS[0], payload=b"ours")
    heard = []
    out = ours.start()
    while not (ours.done and theirs.handshake_finished):
        if out:
            heard.append(theirs.read_message(out[2:]))
            out = b""
        if not theirs.handshake_finished:
            out = ours.receive(framed(bytes(theirs.write_message(b"" if heard == [] else b"theirs"))))
    assert b"ours" in heard
    assert ours.remote_payload == b"theirs"
    transport, _ = ours.transport()
    for text in (b"first", b"second", bytes(60_000)):
        assert theirs.decrypt(transport.seal(text)[2:]) == text
        assert transport.open(framed(theirs.encrypt(text))) == [text]


def test_bytes_that_follow_the_handshake_at_once__are_kept_for_the_transport():
    one, other = side(0), side(1)
    last = one.receive(other.receive(one.start()))
    transport, _ = one.transport()
    other.receive(last + transport.seal(b"early"))
    theirs, early = other.transport()
    assert theirs.open(early) == [b"early"]


def test_a_payload_in_the_first_message__is_tolerated():
    other = side(1)
    ephemeral = EPHEMERALS[0].public_key().public_bytes_raw()
    assert other.receive(framed(ephemeral + b"early data"))
    assert other.violation is None


def test_a_transport_before_the_end__is_our_own_fault():
    with pytest.raises(LocalError):
        side(0).transport()


@pytest.mark.parametrize(("attack", "name"), [(b"short", "noise_message"), (LOW_ORDER_POINT, "noise_key")])
def test_attack_on_the_first_message__is_named(attack, name):
    other = side(1)
    assert other.receive(framed(attack)) == b""
    assert other.violation == name


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (b"short", "noise_message"),
        (LOW_ORDER_POINT + bytes(100), "noise_key"),
        (EPHEMERALS[1].public_key().public_bytes_raw() + bytes(100), "noise_tag"),
    ],
)
def test_attack_on_the_second_message__is_named(attack, name):
    one = side(0)
    one.start()
    assert one.receive(framed(attack)) == b""
    assert one.violation == name
    assert one.receive(b"more") == b""


@pytest.mark.parametrize(("attack", "name"), [(b"short", "noise_message"), (bytes(100), "noise_tag")])
def test_attack_on_the_third_message__is_named(attack, name):
    other = side(1)
    other.receive(framed(EPHEMERALS[0].public_key().public_bytes_raw()))
    other.receive(framed(attack))
    assert other.violation == name


def transports():
    keys = bytes([5]) * 32, bytes([6]) * 32
    return Transport(*keys), Transport(*reversed(keys))


def test_nothing__needs_no_record():
    sender, _ = transports()
    assert sender.seal(b"") == b""


def test_an_empty_record__is_one_and_no_violation():
    sender, receiver = transports()
    empty = sender._sending.encrypt(bytes(12), b"", None)
    assert receiver.open(framed(empty)) == [b""]


@pytest.mark.parametrize("size", [1, RECORD_PLAINTEXT_BYTES_MAX, RECORD_PLAINTEXT_BYTES_MAX + 1, 200_000])
def test_a_text_of_any_length__takes_as_few_records_as_can_be(size):
    sender, receiver = transports()
    sealed = sender.seal(bytes(size))
    opened = receiver.open(sealed)
    assert b"".join(opened) == bytes(size)
    assert len(opened) == -(-size // RECORD_PLAINTEXT_BYTES_MAX)
    assert len(sealed) == size + len(opened) * (2 + TAG_BYTES)


@pytest.mark.parametrize("place", [0, 1, 2, 10, -1])
def test_attack_changed_byte__ends_the_transport(place):
    sender, receiver = transports()
    sealed = bytearray(sender.seal(b"first") + sender.seal(b"second"))
    sealed[place] ^= 1
    opened = receiver.open(bytes(sealed) + bytes(70_000))
    assert opened in ([], [b"first"])
    assert receiver.violation in {"noise_tag", "noise_message"}
    assert receiver.open(sender.seal(b"third")) == []


def test_attack_replayed_swapped_or_dropped_record__ends_the_transport():
    sender, _ = transports()
    first, second = sender.seal(b"first"), sender.seal(b"second")
    for attack, opened in ((first + first, [b"first"]), (second + first, []), (second, [])):
        _, receiver = transports()
        assert receiver.open(attack) == opened
        assert receiver.violation == "noise_tag"


def heard(data, cuts):
    _, receiver = transports()
    opened = []
    places = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(places):
        opened += receiver.open(data[start:end])
    return opened, receiver.violation


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6), st.binary(max_size=60), st.data())
def test_law_any_bytes__open_the_same_however_they_are_cut(texts, garbage, data):
    sender, _ = transports()
    sealed = b"".join(sender.seal(text) for text in texts) + garbage
    whole = heard(sealed, [])
    assert whole[0][: len(texts)] == [text for text in texts if text]
    cuts = data.draw(st.lists(st.integers(0, len(sealed)), max_size=8))
    assert heard(sealed, cuts) == heard(sealed, range(len(sealed))) == whole


@given(st.binary(max_size=300), st.booleans(), st.data())
def test_law_any_bytes_to_a_handshake__give_the_same_however_they_are_cut(attack, honest_first, data):
    if honest_first:
        attack = framed(EPHEMERALS[0].public_key().public_bytes_raw()) + attack

    def answers(cuts):
        other, out = side(1), b""
        places = [0, *sorted(cuts), len(attack)]
        for start, end in itertools.pairwise(places):
            out += other.receive(attack[start:end])
        return out, other.violation, other.done

    cuts = data.draw(st.lists(st.integers(0, len(attack)), max_size=8))
    assert answers(cuts) == answers(range(len(attack))) == answers([])
    assert not answers([])[2]
