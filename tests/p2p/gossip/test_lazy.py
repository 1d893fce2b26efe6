"""p2p/gossip/lazy.py: IHAVE, IWANT and IDONTWANT, their limits, and promises."""

import pytest

from p2p.gossip.actions import Count, Forward, Rank, Validate
from p2p.gossip.router import MESHSUB_1_1, MESHSUB_1_2
from p2p.gossip.wire import encode_control, encode_messages, encode_subscriptions, message_id
from p2p.mesh import Validation
from tests.p2p.gossip.routers import TOPIC, judge, of_kind, peer, sent, spoil, subscribed

ALICE, BOB, CAROL = peer(1), peer(2), peer(3)
IDENTIFIER = message_id(TOPIC, b"data")
LARGE = bytes(1_024)


def test_a_message_missed__comes_by_ihave_and_iwant():
    router = subscribed(ALICE)
    (asked,) = sent(router.rpc_received(ALICE, encode_control(ihave=[(TOPIC, [IDENTIFIER])]), 0))
    assert asked == (ALICE, asked[1])
    assert asked[1].iwant == (IDENTIFIER,)
    giver = subscribed(BOB)
    giver.publish(TOPIC, b"data", 0)
    (given_,) = sent(giver.rpc_received(BOB, encode_control(iwant=[IDENTIFIER]), 0))
    assert given_[1].messages[0].data == b"data"


def test_ihave__does_not_ask_twice_until_the_promise_is_old_nor_for_what_is_known():
    router = subscribed(ALICE, BOB)
    offer = encode_control(ihave=[(TOPIC, [IDENTIFIER])])
    assert router.rpc_received(ALICE, offer, 0)
    assert router.rpc_received(BOB, offer, 0) == []
    late_ms = router.params.iwant_followup_ms + 1
    router.heartbeat(late_ms)
    assert router.rpc_received(BOB, offer, late_ms)
    judge(router, BOB, b"data", Validation.ACCEPT)
    router.heartbeat(2 * late_ms)
    assert router.rpc_received(ALICE, offer, 2 * late_ms) == []


def test_ihave__beyond_its_limits_is_not_answered():
    router = subscribed(ALICE, BOB, CAROL, ihave_messages_max=2, ihave_ids_max=3)
    offers = [
        encode_control(ihave=[(TOPIC, [bytes((number, i)) for i in range(1, 3)])]) for number in range(4)
    ]
    asked = [sent(router.rpc_received(ALICE, offer, 0)) for offer in offers]
    assert [len(found[0][1].iwant) if found else 0 for found in asked] == [2, 1, 0, 0]
    assert router.counts[Count.DROPPED_IHAVE] == 3
    router.heartbeat(700)
    assert router.rpc_received(ALICE, offers[3], 700)
    assert router.rpc_received(BOB, encode_control(ihave=[("other", [b"1"])]), 0) == []
    spoil(router, CAROL, 4_001)
    assert router.rpc_received(CAROL, encode_control(ihave=[(TOPIC, [b"new"])]), 0) == []


def test_iwant__gives_a_message_to_a_peer_only_so_often():
    router = subscribed(ALICE)
    router.publish(TOPIC, b"data", 0)
    wish = encode_control(iwant=[IDENTIFIER, IDENTIFIER])
    answers = [len(router.rpc_received(ALICE, wish, 0)) for _ in range(5)]
    assert answers == [1, 1, 1, 0, 0]
    assert router.counts[Count.DROPPED_IWANT] == 2


def test_iwant__gives_so_many_messages_between_heartbeats_and_splits_large_answers():
    router = subscribed(ALICE, iwant_messages_max=6, ihave_ids_max=3)
    data = [bytes((number,)) * 60_000 for number in range(8)]
    for item in data:
        router.publish(TOPIC, item, 0)
    wish = encode_control(iwant=[message_id(TOPIC, item) for item in data])
    answers = sent(router.rpc_received(ALICE, wish, 0))
    assert [len(rpc.messages) for _, rpc in answers] == [4, 2]
    router.heartbeat(700)
    assert len(sent(router.rpc_received(ALICE, wish, 700))) == 2


def test_a_peer_that_comes__is_told_at_once_of_all_that_is_held_and_only_once():
    router = subscribed(*[peer(number) for number in range(5)], ihave_ids_max=3, iwant_messages_max=6)
    for number in range(5):
        router.publish(TOPIC, b"%d" % number, number)
        router.heartbeat(700 * number)
    newest = tuple(message_id(TOPIC, b"%d" % number) for number in (2, 3, 4))
    hello = encode_subscriptions([(TOPIC, True)])
    router.peer_connected(peer(9), outbound=False, now_ms=9_000)
    first, second = (sent(router.rpc_received(peer(9), hello, 9_000)) for _ in range(2))
    assert [rpc.ihave for _, rpc in first if rpc.ihave] == [((TOPIC, newest),)]
    assert not [rpc.ihave for _, rpc in second if rpc.ihave]
    again = sent(router.stream_reopened(peer(9)))
    assert {item for _, rpc in again for _, items in rpc.ihave for item in items} == set(newest[1:])


def test_a_peer_below_the_gossip_threshold__is_told_of_nothing_when_it_comes():
    router = subscribed(ALICE)
    router.publish(TOPIC, b"data", 0)
    router.peer_connected(BOB, outbound=False, now_ms=0)
    spoil(router, BOB, 5_000)
    actions = sent(router.rpc_received(BOB, encode_subscriptions([(TOPIC, True)]), 0))
    assert not [rpc for _, rpc in actions if rpc.ihave]


def test_heartbeat__offers_recent_messages_outside_the_mesh_and_forgets_old_ones():
    router = subscribed(*[peer(number) for number in range(30)], history_length=6)
    router.publish(TOPIC, b"data", 0)
    for beat in range(1, 8):
        actions = sent(router.heartbeat(beat * 700))
        offered = [name for name, rpc in actions if rpc.ihave]
        if beat <= router.params.history_gossip:
            newcomers = router.overlay.mesh[TOPIC].keys() if beat == 1 else set()
            assert len(set(offered) - newcomers) == router.params.d_lazy
            assert set(offered) & router.overlay.mesh[TOPIC].keys() == newcomers
        else:
            assert not offered
    assert len(router.lazy.cache) == 0


def test_iwant__gives_so_many_bytes_between_heartbeats():
    router = subscribed(ALICE, iwant_bytes_max=130_000)
    data = [bytes((number,)) * 60_000 for number in range(4)]
    for item in data:
        router.publish(TOPIC, item, 0)
    wish = encode_control(iwant=[message_id(TOPIC, item) for item in data])
    assert sum(len(rpc.messages) for _, rpc in sent(router.rpc_received(ALICE, wish, 0))) == 2
    assert router.counts[Count.DROPPED_IWANT] == 2


# Promises


def offered(router, name, *identifiers, now_ms=0):
    return router.rpc_received(name, encode_control(ihave=[(TOPIC, identifiers)]), now_ms)


def test_a_promise_not_kept__is_a_misdeed_of_whoever_made_it():
    router = subscribed(ALICE, BOB)
    offered(router, ALICE, b"1" * 20, b"2" * 20)
    offered(router, BOB, b"1" * 20)  # asked of Alice already: no promise of Bob's
    router.heartbeat(router.params.iwant_followup_ms)
    assert router.counts[Count.PROMISE_BROKEN] == 1
    assert router.scores.get(ALICE).behaviour == 1
    assert router.scores.get(BOB).behaviour == 0
    router.heartbeat(2 * router.params.iwant_followup_ms)
    assert router.counts[Count.PROMISE_BROKEN] == 1


@pytest.mark.parametrize("verdict", Validation)
def test_a_promise__is_kept_by_whoever_brings_the_message_whatever_it_is_worth(verdict):
    router = subscribed(ALICE, BOB)
    offered(router, ALICE, IDENTIFIER)
    judge(router, BOB, b"data", verdict)
    router.heartbeat(router.params.iwant_followup_ms)
    assert router.counts[Count.PROMISE_BROKEN] == 0


def test_a_promise__is_kept_even_if_there_is_no_room_to_judge_the_message():
    router = subscribed(ALICE, pending_max=1)
    router.rpc_received(ALICE, encode_messages([(TOPIC, b"other")]), 0)
    offered(router, ALICE, IDENTIFIER)
    router.rpc_received(ALICE, encode_messages([(TOPIC, b"data")]), 0)
    assert router.counts[Count.DROPPED_PENDING_FULL] == 1
    router.heartbeat(router.params.iwant_followup_ms)
    assert router.counts[Count.PROMISE_BROKEN] == 0


def test_who_is_gone__is_not_blamed_for_a_promise():
    router = subscribed(ALICE)
    offered(router, ALICE, IDENTIFIER)
    router.peer_disconnected(ALICE)
    router.heartbeat(router.params.iwant_followup_ms)
    assert router.counts[Count.PROMISE_BROKEN] == 0


def test_attack_ihave_spam_with_bogus_ids__ends_graylisted():
    router = subscribed(ALICE)
    now_ms = number = 0
    while ALICE in router.overlay.peers and now_ms < 60_000:
        for _ in range(router.params.ihave_messages_max):
            number += 1
            offered(router, ALICE, number.to_bytes(20), now_ms=now_ms)
        now_ms += router.params.heartbeat_ms
        if router.heartbeat(now_ms) and router.counts[Count.GRAYLISTED]:
            router.peer_disconnected(ALICE)
    assert router.scores.is_graylisted(ALICE)
    assert now_ms < 10_000


# IDONTWANT


def modern(*peers, **changes):
    router = subscribed(*peers, **changes)
    for name in peers:
        router.protocol_agreed(name, MESHSUB_1_2)
    return router


def test_idontwant__goes_out_before_judging_a_large_message_to_those_who_understand_it():
    router = modern(ALICE, BOB, CAROL)
    router.protocol_agreed(CAROL, MESHSUB_1_1)
    actions = router.rpc_received(ALICE, encode_messages([(TOPIC, LARGE)]), 0)
    notice, question = actions
    assert isinstance(question, Validate)
    assert notice.rank is Rank.CONTROL
    assert sent([notice]) == [(BOB, sent([notice])[0][1])]
    assert sent([notice])[0][1].idontwant == (message_id(TOPIC, LARGE),)
    assert router.rpc_received(BOB, encode_messages([(TOPIC, LARGE)]), 0) == []


def test_idontwant__is_not_worth_it_for_a_small_message():
    router = modern(ALICE, BOB)
    assert len(router.rpc_received(ALICE, encode_messages([(TOPIC, LARGE[:-1])]), 0)) == 1


def test_idontwant__keeps_a_message_from_being_forwarded_to_whoever_has_it():
    router = modern(ALICE, BOB, CAROL)
    router.rpc_received(BOB, encode_control(idontwant=[message_id(TOPIC, LARGE)]), 0)
    (forward,) = of_kind(judge(router, ALICE, LARGE), Forward)
    assert forward.peers == [CAROL]
    assert router.counts[Count.FORWARD_UNWANTED] == 1


def test_idontwant__is_forgotten_after_its_heartbeats():
    router = modern(ALICE, BOB)
    router.rpc_received(BOB, encode_control(idontwant=[message_id(TOPIC, LARGE)]), 0)
    for beat in range(1, router.params.idontwant_heartbeats + 1):
        assert router.overlay.peers[BOB].unwanted
        router.heartbeat(beat * 700)
    assert not router.overlay.peers[BOB].unwanted


def test_attack_idontwant_spam__is_bounded_by_heartbeat_and_in_all():
    router = modern(ALICE, idontwant_ids_max=5)
    for start in (0, 8):
        ids = [bytes((number,)) for number in range(start, start + 8)]
        router.rpc_received(ALICE, encode_control(idontwant=ids), 0)
        assert len(router.overlay.peers[ALICE].unwanted) == 5
        router.heartbeat(700)
    assert list(router.overlay.peers[ALICE].unwanted) == [bytes((number,)) for number in range(8, 13)]
    assert router.counts[Count.DROPPED_IDONTWANT] == 6
    assert router.scores.score(ALICE) == 0
