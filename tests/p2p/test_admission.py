"""p2p/admission.py: whose streams are let in, and that no class takes another's room."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.admission import CLOSED, SPARE_STREAMS, Admission, OpenStreams, PeerClass, Share, StreamRefusal
from p2p.identity import peer_id_from_secret
from protocol.errors import LocalError
from tests.p2p.nodes import secret

PEERS = [peer_id_from_secret(secret(number)) for number in range(9)]
ASSIGNED, STAKED, STRANGERS = PEERS[:3], PEERS[3:6], PEERS[6:]


def nine_awaited(peer):
    return 9 * (peer in ASSIGNED)


SMALL = Admission(
    streams_awaited=nine_awaited, assigned=Share(3, 5), staked=Share(2, 3), strangers=Share(1, 2)
)


def is_staked(peer):
    return peer in ASSIGNED + STAKED


def let_in(streams, peers):
    """One stream of each peer; why the others are refused."""
    refused = []
    for peer in peers:
        peer_class = streams.classify(peer)
        refusal = streams.refusal(peer, peer_class)
        if refusal is None:
            streams.enter(peer, peer_class)
        else:
            refused.append(refusal)
    return refused


def test_a_peer__is_in_the_highest_class_that_it_can_be_in():
    streams = OpenStreams(SMALL, is_staked)
    found = [streams.classify(peers[0]) for peers in (ASSIGNED, STAKED, STRANGERS)]
    assert found == [PeerClass.ASSIGNED, PeerClass.STAKED, PeerClass.STRANGER]
    assert OpenStreams(Admission(), is_staked).classify(ASSIGNED[0]) == PeerClass.STAKED


@pytest.mark.parametrize(
    ("peers", "refused"),
    [
        (ASSIGNED[:1] * 4, [StreamRefusal.PEER_FULL]),
        (ASSIGNED * 2, [StreamRefusal.FULL]),
        (STAKED[:1] * 3, [StreamRefusal.PEER_FULL]),
        (STAKED * 2, [StreamRefusal.FULL] * 3),
        (STRANGERS[:1] * 2, [StreamRefusal.PEER_FULL]),
        (STRANGERS, [StreamRefusal.FULL]),
    ],
)
def test_a_share_that_is_taken__is_the_reason(peers, refused):
    assert let_in(OpenStreams(SMALL, is_staked), peers) == refused


def test_a_stream_that_ends__gives_its_room_back():
    streams = OpenStreams(SMALL, is_staked)
    assert let_in(streams, STRANGERS[:2]) == []
    streams.leave(STRANGERS[0], PeerClass.STRANGER)
    assert let_in(streams, [STRANGERS[2]]) == []


def test_a_closed_share__lets_nobody_in():
    admission = Admission(streams_awaited=nine_awaited, staked=CLOSED, strangers=CLOSED)
    refused = let_in(OpenStreams(admission, is_staked), [ASSIGNED[0], STAKED[0], STRANGERS[0]])
    assert refused == [StreamRefusal.CLOSED, StreamRefusal.CLOSED]


def test_attack_few_assigned_peers_hold_all_streams_of_the_assigned():
    """Each has as many as are waited for, and two."""
    awaited = dict(zip(ASSIGNED, (1, 2, 3), strict=True))
    admission = Admission(streams_awaited=lambda peer: awaited.get(peer, 0), assigned=Share(64, 16))
    streams = OpenStreams(admission, is_staked)
    refused = let_in(streams, [peer for peer in ASSIGNED[:2] for _ in range(64)])
    assert refused == [StreamRefusal.PEER_FULL] * (2 * 64 - (1 + 2) - 2 * SPARE_STREAMS)
    assert let_in(streams, [ASSIGNED[2]] * 3) == []


def test_what_shares_come_to__leaves_out_a_class_that_cannot_be():
    assert Admission(assigned=Share(1, 50), staked=Share(1, 3), strangers=Share(1, 2)).streams_max == 5
    assert SMALL.streams_max == 10
    with pytest.raises(LocalError, match="a share of streams is not negative"):
        Share(-1, 2)


@given(st.lists(st.tuples(st.sampled_from(PEERS), st.booleans()), max_size=80))
def test_law_no_order_of_streams__takes_room_from_another_class(steps):
    streams, refusals = OpenStreams(SMALL, is_staked), Counter()
    open_now = []
    for peer, ends in steps:
        if ends and open_now:
            streams.leave(*open_now.pop(0))
            continue
        peer_class = streams.classify(peer)
        refusal = streams.refusal(peer, peer_class)
        refusals[refusal] += 1
        share = SMALL.share_of(peer_class)
        of_class = [item for item in open_now if item[1] is peer_class]
        has_room = len(of_class) < share.total_max and (
            of_class.count((peer, peer_class)) < share.per_peer_max
        )
        assert (refusal is None) == has_room
        if refusal is None:
            streams.enter(peer, peer_class)
            open_now.append((peer, peer_class))
