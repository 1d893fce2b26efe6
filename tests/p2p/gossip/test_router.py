"""p2p/gossip/router.py: what happens to messages and to those who send them."""

import random
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.pubsub.pb import rpc_pb2 as pb

from p2p.gossip.actions import Count, Deliver, Disconnect, Forward, Spare, Validate
from p2p.gossip.messages import MessageTooLarge
from p2p.gossip.params import WITHOUT_MESH
from p2p.gossip.router import Router
from p2p.gossip.score_params import RARE, ScoreParams
from p2p.gossip.snapshot import limits
from p2p.gossip.wire import Prune, PxPeer, encode_control, encode_messages, encode_subscriptions, message_id
from p2p.mesh import Validation
from protocol.errors import LocalError
from tests.p2p.gossip.routers import (
    TOPIC,
    Network,
    judge,
    make_router,
    of_kind,
    peer,
    sendings,
    sent,
    spoil,
    subscribed,
)

ALICE, BOB, CAROL = peer(1), peer(2), peer(3)
MESSAGE = encode_messages([(TOPIC, b"data")])
IDENTIFIER = message_id(TOPIC, b"data")


def snapshot(router):
    return (
        {name: (state.outbound, list(state.topics)) for name, state in router.overlay.peers.items()},
        {topic: list(mesh) for topic, mesh in router.overlay.mesh.items()},
        len(router._messages._seen),
        len(router.lazy.cache),
        len(router._messages._pending),
    )


# The law


@given(st.binary(max_size=300))
def test_any_bytes__change_nothing_or_penalise_and_never_raise(data):
    router = subscribed(ALICE, BOB)
    before = snapshot(router)
    router.rpc_received(ALICE, data, 1)
    if router.counts[Count.DROPPED_MALFORMED]:
        assert snapshot(router) == before
        assert router.scores.score(ALICE) < 0
    assert router.scores.score(BOB) == 0


names = st.sampled_from([peer(number) for number in range(5)])
labels = st.sampled_from(["topic", "other", "third"])
events = st.one_of(
    st.tuples(st.just("connect"), names, st.booleans()),
    st.tuples(st.just("disconnect"), names),
    st.tuples(st.just("rpc"), names, st.binary(max_size=40)),
    st.tuples(
        st.just("rpc"), names, st.builds(lambda t, s: encode_subscriptions([(t, s)]), labels, st.booleans())
    ),
    st.tuples(
        st.just("rpc"),
        names,
        st.builds(lambda t, d: encode_messages([(t, d)]), labels, st.binary(max_size=2)),
    ),
    st.tuples(st.just("rpc"), names, st.builds(lambda t: encode_control(graft=[t]), labels)),
    st.tuples(
        st.just("rpc"),
        names,
        st.builds(
            lambda t, i: encode_control(ihave=[(t, [i])], iwant=[i]),
            labels,
            st.binary(min_size=1, max_size=20),
        ),
    ),
    st.tuples(
        st.just("rpc"),
        names,
        st.builds(
            lambda t, s, i: encode_control(prune=[Prune(t, s, (PxPeer(i, i),))], idontwant=[i]),
            labels,
            st.sampled_from([0, 1, 60, 2**64 - 1]),
            st.binary(min_size=1, max_size=20),
        ),
    ),
    st.tuples(st.just("application"), names, st.floats(-1e9, 1e9)),
    st.tuples(st.just("subscribe"), labels),
    st.tuples(st.just("unsubscribe"), labels),
    st.tuples(st.just("publish"), labels, st.binary(max_size=2)),
    st.tuples(st.just("heartbeat")),
)


def apply(router, event, now_ms):
    actions = []
    match event:
        case ("connect", name, outbound):
            actions = router.peer_connected(name, outbound=outbound, now_ms=now_ms, ip="192.0.2.1")
        case ("application", name, value):
            router.set_application_score(name, value)
        case ("disconnect", name):
            router.peer_disconnected(name)
        case ("rpc", name, data):
            actions = router.rpc_received(name, data, now_ms)
        case ("subscribe", topic) if topic not in router.overlay.mesh:
            actions = router.subscribe(topic, now_ms)
        case ("unsubscribe", topic):
            actions = router.unsubscribe(topic, now_ms)
        case ("publish", topic, data):
            actions = router.publish(topic, data, now_ms)
        case ("heartbeat",):
            actions = router.heartbeat(now_ms)
    return actions


@given(st.lists(st.tuples(events, st.sampled_from(Validation), st.integers(0, 50_000)), max_size=40))
def test_any_events__keep_the_invariants(sequence):
    router = make_router(
        d=3, d_low=2, d_high=4, d_out=1, d_score=2, pending_max=4, seen_max=8, topics_per_peer_max=2
    )
    now_ms = 0
    for event, verdict, later_ms in sequence:
        now_ms += later_ms
        actions = apply(router, event, now_ms)
        for action in of_kind(actions, Validate):
            actions += router.validation_result(action.message_id, verdict, now_ms)
        overlay = router.overlay
        tables = asdict(router.snapshot().tables)
        assert all(count <= asdict(limits(router.params))[name] for name, count in tables.items())
        for name, state in overlay.peers.items():
            assert state.standing is router.scores.get(name)
            in_mesh = {topic for topic, found in state.standing.topics.items() if found.in_mesh}
            assert in_mesh == {topic for topic, mesh in overlay.mesh.items() if name in mesh}
        for mesh in overlay.mesh.values():
            assert mesh.keys() <= overlay.peers.keys()
        assert all(len(state.topics) <= 2 for state in overlay.peers.values())
        assert all(action.peer in overlay.peers for action in sendings(actions))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3), st.integers(0, 5_000)), max_size=60))
def test_law_a_peer_that_only_sends_valid_new_messages__never_has_a_negative_score(sendings):
    honest = [peer(number) for number in range(8)]
    router = subscribed(*honest)
    for name in honest:
        router.rpc_received(name, encode_control(graft=[TOPIC]), 0)
    now_ms = 0
    for number, (sender, beats, later_ms) in enumerate(sendings):
        now_ms += later_ms
        judge(router, honest[sender], b"%d" % number, now_ms=now_ms)
        for _ in range(beats):
            now_ms += 700
            router.heartbeat(now_ms)
        assert min(router.scores.score(name) for name in honest) >= 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.sampled_from(["send", "beat"])), max_size=60)
)
def test_law_ignore__never_lowers_a_score(doings):
    router = subscribed(ALICE, BOB, CAROL)
    for name in (ALICE, BOB, CAROL):
        router.set_application_score(name, 7)
    for number, (sender, data, doing) in enumerate(doings):
        if doing == "beat":
            router.heartbeat(number * 700)
        else:
            judge(router, (ALICE, BOB, CAROL)[sender], b"%d" % data, Validation.IGNORE, number * 700)
        assert min(router.scores.score(name) for name in (ALICE, BOB, CAROL)) >= 7


# Messages


def test_a_message__is_validated_delivered_and_forwarded_to_the_mesh_but_its_sender():
    router = subscribed(ALICE, BOB, CAROL)
    actions = router.rpc_received(ALICE, MESSAGE, 0)
    assert actions == [Validate(IDENTIFIER, TOPIC, b"data", ALICE)]
    actions = router.validation_result(IDENTIFIER, Validation.ACCEPT, 0)
    assert of_kind(actions, Deliver) == [Deliver(TOPIC, b"data")]
    assert [name for name, rpc in sent(actions) if rpc.messages] == [BOB, CAROL]


def test_a_duplicate__is_not_validated_nor_forwarded_to_whoever_sent_it():
    router = subscribed(ALICE, BOB, CAROL)
    router.rpc_received(ALICE, MESSAGE, 0)
    assert router.rpc_received(BOB, MESSAGE, 0) == []
    assert router.counts[Count.DUPLICATE] == 1
    actions = router.validation_result(IDENTIFIER, Validation.ACCEPT, 0)
    assert [name for name, _ in sent(actions)] == [CAROL]


def test_a_message_seen_long_ago__is_validated_again():
    router = subscribed(ALICE)
    judge(router, ALICE, b"data", Validation.ACCEPT)
    late_ms = router.params.seen_ttl_ms + 1
    router.heartbeat(late_ms)
    assert of_kind(router.rpc_received(ALICE, MESSAGE, late_ms), Validate)


def test_an_ignored_message__is_dropped_without_penalty():
    router = subscribed(ALICE, BOB)
    for number in range(100):
        actions = judge(router, ALICE, bytes((number,)), Validation.IGNORE)
        assert not of_kind(actions, Deliver) + sendings(actions)
    assert router.scores.score(ALICE) == 0


def test_a_rejected_message__costs_all_who_forwarded_it_also_later():
    router = subscribed(ALICE, BOB, CAROL)
    router.rpc_received(ALICE, MESSAGE, 0)
    router.rpc_received(BOB, MESSAGE, 0)
    assert router.validation_result(IDENTIFIER, Validation.REJECT, 0) == []
    assert router.rpc_received(CAROL, MESSAGE, 0) == []
    assert {router.scores.score(name) for name in (ALICE, BOB, CAROL)} == {-820}
    assert router.counts[Count.DUPLICATE_OF_REJECTED] == 1


def test_attack_reject_spam__is_graylisted_within_ten_messages():
    router = subscribed(ALICE, BOB)
    disconnects = []
    for number in range(10):
        disconnects += of_kind(judge(router, ALICE, bytes((number,)), Validation.REJECT), Disconnect)
    assert disconnects == [Disconnect(ALICE, "graylisted")]
    assert ALICE not in router.overlay.mesh[TOPIC]
    assert router.rpc_received(ALICE, MESSAGE, 0) == []
    assert router.counts[Count.DROPPED_GRAYLISTED] >= 1
    router.peer_disconnected(ALICE)
    assert router.peer_connected(ALICE, outbound=False, now_ms=0) == [Disconnect(ALICE, "graylisted")]
    assert ALICE not in router.overlay.peers


def test_attack_reject_spam_spread_over_all_topics__is_graylisted_within_ten_messages_too():
    topics = [f"t{number}" for number in range(5)]
    router = make_router(score=ScoreParams(topics={"t3": RARE, "t4": RARE}))
    for topic in topics:
        router.subscribe(topic, 0)
    router.peer_connected(ALICE, outbound=True, now_ms=0)
    router.set_application_score(ALICE, 100)
    for number in range(10):
        (question,) = router.rpc_received(ALICE, encode_messages([(topics[number % 5], bytes((number,)))]), 0)
        actions = router.validation_result(question.message_id, Validation.REJECT, 0)
    assert of_kind(actions, Disconnect) == [Disconnect(ALICE, "graylisted")]


def test_a_verdict_that_comes_late__finds_its_forwarder_though_it_has_gone():
    router = subscribed(ALICE)
    router.rpc_received(ALICE, MESSAGE, 0)
    router.peer_disconnected(ALICE)
    assert router.validation_result(IDENTIFIER, Validation.REJECT, 0) == []
    assert router.scores.score(ALICE) == -820


def test_a_copy__counts_as_delivered_while_it_is_judged_and_within_the_window_once_each():
    router = subscribed(ALICE, BOB, CAROL, peer(4))
    window_ms = router.scores.window_ms(TOPIC)
    router.rpc_received(ALICE, MESSAGE, 0)
    router.rpc_received(BOB, MESSAGE, 10)
    router.validation_result(IDENTIFIER, Validation.ACCEPT, 20)
    for _ in range(3):
        router.rpc_received(CAROL, MESSAGE, 20 + window_ms - 1)
    router.rpc_received(peer(4), MESSAGE, 20 + window_ms)
    found = [router.scores.get(name).topics[TOPIC] for name in (ALICE, BOB, CAROL, peer(4))]
    assert [item.first_deliveries for item in found] == [1, 0, 0, 0]
    assert [item.mesh_deliveries for item in found] == [1, 1, 1, 0]


def test_forwarders__are_forgotten_when_the_window_is_over():
    router = subscribed(ALICE)
    judge(router, ALICE, b"data")
    known = router._messages._seen.get(IDENTIFIER)
    assert known.forwarders
    router.heartbeat(router.scores.window_ms(TOPIC))
    assert known.forwarders is None
    assert not router._messages._windows


def test_forwarders_of_one_message__are_bounded():
    many = [peer(number) for number in range(10)]
    router = subscribed(*many, forwarders_max=3)
    for name in many:
        router.rpc_received(name, MESSAGE, 0)
    router.validation_result(IDENTIFIER, Validation.REJECT, 0)
    assert sum(router.scores.score(name) < 0 for name in many) == 3


def test_a_message_in_another_spelling__is_the_same_message_and_goes_on_in_the_usual_one():
    router = subscribed(ALICE, BOB)
    odd = bytes.fromhex("120d") + b"\x22\x05" + TOPIC.encode() + b"\x12\x04data"
    assert odd != MESSAGE
    assert of_kind(router.rpc_received(ALICE, odd, 0), Validate) == [
        Validate(IDENTIFIER, TOPIC, b"data", ALICE)
    ]
    (forward,) = of_kind(router.validation_result(IDENTIFIER, Validation.ACCEPT, 0), Forward)
    assert forward == Forward(IDENTIFIER, MESSAGE, [BOB])
    assert router.rpc_received(BOB, odd, 0) == [Spare(BOB, IDENTIFIER)]
    assert router.rpc_received(BOB, MESSAGE, 0) == []
    assert router.counts[Count.DUPLICATE] == 2


def test_a_copy_from_a_peer_that_gets_a_forward__spares_it_once():
    router = subscribed(ALICE, BOB)
    actions = judge(router, ALICE, b"data")
    assert Forward(IDENTIFIER, MESSAGE, [BOB]) in actions
    assert router.rpc_received(BOB, MESSAGE, 10) == [Spare(BOB, IDENTIFIER)]
    assert router.rpc_received(BOB, MESSAGE, 20) == []
    assert router.rpc_received(ALICE, MESSAGE, 30) == []  # who brought it first gets none


def test_a_copy_of_what_is_not_forwarded__spares_nothing():
    for verdict in (Validation.REJECT, Validation.IGNORE):
        router = subscribed(ALICE, BOB)
        judge(router, ALICE, b"data", verdict)
        assert of_kind(router.rpc_received(BOB, MESSAGE, 10), Spare) == []
    router = subscribed(ALICE, BOB)
    router.rpc_received(ALICE, MESSAGE, 0)  # not judged yet
    assert router.rpc_received(BOB, MESSAGE, 10) == []
    assert sendings(router.validation_result(IDENTIFIER, Validation.ACCEPT, 20)) == []


def test_neighbours_of_one_address_or_the_applications_word__cut_a_peer_off_at_the_next_decay():
    router = make_router()
    router.subscribe(TOPIC, 0)
    for number in range(27):
        router.peer_connected(peer(number), outbound=False, now_ms=0, ip="192.0.2.1")
    router.heartbeat(700)
    farewells = of_kind(router.heartbeat(700 + router.params.score.decay_interval_ms), Disconnect)
    assert {item.peer for item in farewells} == {peer(number) for number in range(27)}


def test_a_graylisted_peer__is_forgiven_with_time():
    router = subscribed(ALICE)
    spoil(router, ALICE, 20_000)
    for beat in range(1, 1_800):
        router.heartbeat(beat * 700)
    assert router.scores.score(ALICE) >= 0
    assert router.scores.get(ALICE).behaviour == 0


@pytest.mark.parametrize("field", ["from_id", "seqno", "signature", "key"])
def test_a_signed_envelope__is_dropped_and_punished(field):
    router = subscribed(ALICE)
    rpc = pb.RPC()
    rpc.publish.add(topicIDs=[TOPIC], data=b"data", **{field: b"x"})
    assert router.rpc_received(ALICE, rpc.SerializeToString(), 0) == []
    assert router.counts[Count.DROPPED_SIGNED] == 1
    assert router.scores.score(ALICE) == -820


def test_a_message_on_an_unknown_topic__is_dropped_without_penalty():
    router = subscribed(ALICE)
    assert router.rpc_received(ALICE, encode_messages([("other", b"x")]), 0) == []
    assert router.counts[Count.DROPPED_NOT_SUBSCRIBED] == 1
    assert router.scores.score(ALICE) == 0


def test_an_rpc_of_a_stranger__is_dropped():
    router = subscribed()
    assert router.rpc_received(ALICE, MESSAGE, 0) == []
    assert router.counts[Count.DROPPED_UNKNOWN_PEER] == 1


def test_the_rest_of_an_rpc__is_not_read_once_its_sender_is_graylisted():
    router = subscribed(ALICE)
    rpc = pb.RPC()
    for number in range(50):
        rpc.publish.add(topicIDs=[TOPIC], data=bytes((number,)), seqno=b"1")
    actions = router.rpc_received(ALICE, rpc.SerializeToString(), 0)
    assert of_kind(actions, Disconnect) == [Disconnect(ALICE, "graylisted")]
    assert router.counts[Count.DROPPED_SIGNED] == 5


def test_a_validation_after_leaving_the_topic__delivers_nothing():
    router = subscribed(ALICE, BOB)
    router.rpc_received(ALICE, MESSAGE, 0)
    router.unsubscribe(TOPIC, 0)
    assert router.validation_result(IDENTIFIER, Validation.ACCEPT, 0) == []
    assert router.validation_result(IDENTIFIER, Validation.ACCEPT, 0) == []


# Publishing


def test_publish__floods_every_peer_of_the_topic_with_a_good_score():
    many = [peer(number) for number in range(20)]
    router = subscribed(*many)
    spoil(router, many[0], -router.params.score.publish_threshold + 1)
    assert [name for name, _ in sent(router.publish(TOPIC, b"x", 0))] == many[1:]


def test_publish__without_flood_goes_to_the_mesh():
    router = subscribed(*[peer(number) for number in range(20)], flood_publish=False)
    assert [name for name, _ in sent(router.publish(TOPIC, b"x", 0))] == list(router.overlay.mesh[TOPIC])


def test_publish__to_a_topic_not_joined_keeps_a_fanout_of_d_until_it_is_unused():
    router = make_router(flood_publish=False)
    for number in range(20):
        router.peer_connected(peer(number), outbound=False, now_ms=0)
        router.rpc_received(peer(number), encode_subscriptions([(TOPIC, True)]), 0)
    first = [name for name, _ in sent(router.publish(TOPIC, b"1", 0))]
    assert len(first) == router.params.d
    assert [name for name, _ in sent(router.publish(TOPIC, b"2", 1))] == first
    router.heartbeat(router.params.fanout_ttl_ms + 2)
    assert len(router.overlay.fanouts) == 0
    router.publish(TOPIC, b"3", 0)
    joined = {name for name, rpc in sent(router.subscribe(TOPIC, 1)) if rpc.graft}
    assert len(joined) == router.params.d


def test_publish__twice_sends_once():
    router = subscribed(ALICE)
    assert router.publish(TOPIC, b"data", 0)
    assert router.publish(TOPIC, b"data", 1) == []
    assert router.rpc_received(ALICE, MESSAGE, 1) == []
    assert router.counts[Count.DUPLICATE_PUBLISH] == router.counts[Count.DUPLICATE] == 1


def test_publish__refuses_what_is_too_large_and_what_has_no_name():
    router = subscribed()
    router.publish(TOPIC, bytes(router.params.message_bytes_max), 0)
    with pytest.raises(MessageTooLarge):
        router.publish(TOPIC, bytes(router.params.message_bytes_max + 1), 0)
    for topic in ("", "t" * (router.params.topic_bytes_max + 1)):
        with pytest.raises(LocalError):
            router.publish(topic, b"x", 0)


# Networks


def test_forty_routers_on_a_ring_with_chords__deliver_everything_once():
    network = Network(40)
    network.subscribe_all()
    for number in range(40):
        for step in (1, 7, 13):
            network.link(number, (number + step) % 40)
    for _ in range(3):
        network.heartbeat()
    messages = [b"%d" % number for number in range(40)]
    for number, data in enumerate(messages):
        network.publish(number, data)
    for number in range(40):
        assert sorted(network.delivered[peer(number)]) == sorted(messages[:number] + messages[number + 1 :])


def test_what_was_ignored__is_judged_again_when_it_comes_later_a_few_times():
    router = subscribed(ALICE, BOB)
    params = router.params
    times = [
        0,
        params.ignored_again_ms - 1,
        *[params.ignored_again_ms * 2 * number for number in range(1, 6)],
    ]
    judged = [
        len(of_kind(judge(router, BOB, b"early", Validation.IGNORE, now_ms), Validate)) for now_ms in times
    ]
    assert judged == [1, 0, 1, 1, 0, 0, 0]
    assert router.counts[Count.JUDGED_AGAIN] == params.ignored_judgements_max - 1
    assert router.scores.score(BOB) == 0


def test_attack_a_message_first_brought_by_one_who_has_had_its_share__is_judged_when_another_brings_it():
    """At once, and however often the first one brings it."""
    router = subscribed(ALICE, BOB)
    for number in range(10):
        assert of_kind(judge(router, BOB, b"proof", Validation.UNREAD, number), Validate)
    actions = judge(router, ALICE, b"proof", Validation.ACCEPT, 10)
    assert of_kind(actions, Deliver) == [Deliver(TOPIC, b"proof")]
    assert router.counts[Count.UNREAD] == 10
    assert router.scores.score(BOB) <= router.scores.score(ALICE)
    assert not of_kind(judge(router, BOB, b"proof", Validation.UNREAD, 11), Validate)


def test_what_was_ignored__is_asked_for_again_and_accepted_when_it_is_right_by_then():
    router = subscribed(ALICE, BOB, CAROL)
    judge(router, ALICE, b"early", Validation.IGNORE, 0)
    offer = encode_control(ihave=[(TOPIC, [message_id(TOPIC, b"early")])])
    assert not sent(router.rpc_received(BOB, offer, 100))
    asked = sent(router.rpc_received(BOB, offer, router.params.ignored_again_ms))
    assert [rpc.iwant for _, rpc in asked] == [(message_id(TOPIC, b"early"),)]
    actions = judge(router, BOB, b"early", Validation.ACCEPT, 1_000)
    assert of_kind(actions, Deliver) == [Deliver(TOPIC, b"early")]
    assert {name for name, rpc in sent(actions) if rpc.messages} == {ALICE, CAROL}


def test_what_was_missed_while_a_link_was_down__comes_once_as_soon_as_it_is_up():
    network = Network(3)
    network.subscribe_all()
    network.link(0, 1)
    network.link(1, 2)
    network.heartbeat()
    network.unlink(1, 2)
    network.publish(0, b"missed")
    network.link(2, 1)
    assert network.delivered[peer(2)] == [b"missed"]
    network.heartbeat()
    assert network.delivered[peer(2)] == [b"missed"]
    network.publish(2, b"back")
    assert [network.delivered[peer(number)] for number in range(2)] == [[b"back"], [b"missed", b"back"]]


def test_peers_that_know_but_a_bootstrap_peer__hear_everything_by_its_gossip():
    network = Network(12)
    network.routers[peer(0)] = Router(WITHOUT_MESH, random.Random(0))
    network.subscribe_all()
    for number in range(1, 12):
        network.link(number, 0)
    network.heartbeat()
    messages = [b"%d" % number for number in range(1, 12)]
    for number, data in enumerate(messages, start=1):
        network.publish(number, data)
    for _ in range(2):
        network.heartbeat()
    for number in range(1, 12):
        assert sorted(network.delivered[peer(number)]) == sorted(set(messages) - {b"%d" % number})
    assert network.routers[peer(0)].counts[Count.FORWARDED] == 0
    assert not network.disconnects


def test_the_same_seed__gives_the_same_run():
    def run():
        network = Network(12)
        network.subscribe_all()
        for number in range(12):
            for step in (1, 2, 5):
                network.link(number, (number + step) % 12)
        for number in range(12):
            network.publish(number, b"%d" % number)
            network.heartbeat()
        return network.delivered, [router.counts for router in network.routers.values()]

    assert run() == run()


def test_a_node_that_spreads_rubbish__is_cut_off_by_all_and_the_rest_goes_on():
    network = Network(8)
    network.subscribe_all()
    for number in range(8):
        for other in range(number):
            network.link(number, other)
    network.verdict = lambda _, data: Validation.REJECT if data.startswith(b"bad") else Validation.ACCEPT
    for number in range(10):
        network.publish(7, b"bad%d" % number)
    assert {name for name, action in network.disconnects if action.peer == peer(7)} == set(
        map(peer, range(7))
    )
    network.publish(0, b"good")
    assert all(network.delivered[peer(number)] == [b"good"] for number in range(1, 7))
