"""One test for each line of the rules of `offers`; each is also a vector."""

from protocol.draw import Snapshot
from protocol.messages import ModelOffer, WorkOffer
from protocol.rules.offers import OFFER_LIFE_MS_MAX
from protocol.rules.view import CLOCK_DISPARITY_MS_MAX, GOSSIP_BYTES_MAX
from protocol.statement import VERSION, Envelope
from protocol.work import KIND_MAX, PRICES_MAX
from tests.protocol import builders
from tests.protocol.builders import (
    EPOCH,
    MINERS,
    MODEL_ID,
    NOW_MS,
    OTHER_DOMAIN,
    STRANGER,
    changed,
    model_offer,
    offer,
    resigned,
    sealed,
)
from tests.vectors.situations import Gossip, Situation, accept, ignore, reject, view_with, view_without_epoch

ANN = MINERS["ann"]


def gossip(message=None, signer=ANN, **message_changes) -> Gossip:
    return Gossip("offers", sealed(signer, offer(**message_changes) if message is None else message))


def broken_signature(data: bytes) -> bytes:
    """The envelope with a v that no signature has."""
    return data[:-1] + b"\x00"


@accept
def test_offers__accept():
    return Situation(gossip())


@accept
def test_offers__accept_the_longest_life_of_a_clock_that_is_ahead():
    ahead = NOW_MS + CLOCK_DISPARITY_MS_MAX
    return Situation(gossip(issued_at_ms=ahead, valid_until_ms=ahead + OFFER_LIFE_MS_MAX))


@accept
def test_offers__accept_in_its_last_millisecond():
    return Situation(gossip(issued_at_ms=NOW_MS - 20_000, valid_until_ms=NOW_MS + 1))


@accept
def test_offers__accept_a_newer_one():
    return Situation(gossip(sequence=4), before=(gossip(sequence=3),))


@accept
def test_offers__accept_the_same_sequence_of_another_miner():
    return Situation(gossip(signer=MINERS["bob"]), before=(gossip(),))


@reject("message is too long")
def test_offers__reject_too_long():
    return Situation(Gossip("offers", gossip().data, padded_to=GOSSIP_BYTES_MAX + 1))


@reject("message does not decode")
def test_offers__reject_bytes_after_the_envelope():
    return Situation(Gossip("offers", gossip().data, padded_to=GOSSIP_BYTES_MAX))


@reject("message does not decode")
def test_offers__reject_nothing():
    return Situation(Gossip("offers", b""))


@reject("message does not decode")
def test_offers__reject_another_version():
    data = gossip().data
    return Situation(Gossip("offers", data[:1] + b"\x00" + data[2:]))


@reject("message does not decode")
def test_offers__reject_an_unknown_kind():
    data = gossip().data
    return Situation(Gossip("offers", data[:2] + b"\x06" + data[3:]))


@reject("message is of another topic")
def test_offers__reject_an_announcement():
    return Situation(gossip(builders.announcement(), builders.COORDINATOR))


@reject("offer's life is out of bounds")
def test_offers__reject_a_life_that_ends_when_it_begins():
    return Situation(gossip(valid_until_ms=NOW_MS))


@reject("offer's life is out of bounds")
def test_offers__reject_too_long_a_life():
    return Situation(gossip(valid_until_ms=NOW_MS + OFFER_LIFE_MS_MAX + 1))


@reject("offer's life is out of bounds")
def test_offers__reject_a_life_at_the_end_of_time():
    """No sum may wrap around: both times are the largest that can be said."""
    return Situation(gossip(issued_at_ms=2**64 - 1, valid_until_ms=2**64 - 1))


@reject("offer contradicts itself")
def test_offers__reject_no_capacity():
    return Situation(gossip(capacity=0))


@reject("offer contradicts itself")
def test_offers__reject_a_model_at_two_prices():
    return Situation(gossip(models=(model_offer(1), model_offer(2))))


@reject("offer contradicts itself")
def test_offers__reject_a_kind_of_work_twice():
    return Situation(gossip(models=(model_offer(kinds=(1, 1)),)))


@reject("offer contradicts itself")
def test_offers__reject_kinds_of_work_out_of_order():
    return Situation(gossip(models=(model_offer(kinds=(1, 0)),)))


@accept
def test_offers__accept_a_kind_of_work_that_is_not_known_here():
    """A kind that came later is offered and carried before everybody knows it."""
    prices = tuple(range(PRICES_MAX))
    return Situation(gossip(models=(ModelOffer(MODEL_ID, (WorkOffer(KIND_MAX, prices, 1),)),)))


@reject("message does not decode")
def test_offers__reject_a_model_without_a_kind_of_work():
    body = offer(models=(model_offer(kinds=(1,)),)).encode()
    without = body[: body.index(MODEL_ID) + 32] + b"\x80"
    return Situation(Gossip("offers", Envelope(VERSION, 1, without, bytes(65)).encode()))


@ignore("offer is from the future")
def test_offers__ignore_from_the_future():
    ahead = NOW_MS + CLOCK_DISPARITY_MS_MAX + 1
    return Situation(gossip(issued_at_ms=ahead, valid_until_ms=ahead + 1))


@ignore("offer has lapsed")
def test_offers__ignore_lapsed():
    return Situation(gossip(issued_at_ms=NOW_MS - 1, valid_until_ms=NOW_MS))


@reject("signature is malformed")
def test_offers__reject_a_malformed_signature():
    return Situation(Gossip("offers", broken_signature(gossip().data)))


@ignore("signer is not a miner of this epoch")
def test_offers__ignore_a_stranger():
    return Situation(gossip(signer=STRANGER))


@ignore("signer is not a miner of this epoch")
def test_offers__ignore_a_coordinator():
    return Situation(gossip(signer=builders.COORDINATOR))


@ignore("signer is not a miner of this epoch")
def test_offers__ignore_a_statement_for_another_network():
    return Situation(Gossip("offers", sealed(ANN, offer(), OTHER_DOMAIN)))


@ignore("signer is not a miner of this epoch")
def test_offers__ignore_a_miner_of_the_epoch_before():
    gone = changed(EPOCH, number=8, miners=Snapshot.of([(MINERS["bob"].address, 10**18)]))
    return Situation(gossip(), view=view_with(gone))


@ignore("signer is not a miner of this epoch")
def test_offers__ignore_before_the_first_epoch():
    return Situation(gossip(), view=changed(view_without_epoch(7), epochs={}))


@ignore("message was seen before")
def test_offers__ignore_a_duplicate():
    return Situation(gossip(), before=(gossip(),))


@ignore("statement was seen before")
def test_offers__ignore_the_same_words_under_another_signature():
    return Situation(Gossip("offers", resigned(ANN, offer())), before=(gossip(),))


@ignore("signer has said something else in this slot")
def test_offers__ignore_an_equivocation():
    return Situation(gossip(capacity=2), before=(gossip(capacity=1),))


@ignore("a newer offer is known")
def test_offers__ignore_an_older_one():
    return Situation(gossip(sequence=3), before=(gossip(sequence=4),))
