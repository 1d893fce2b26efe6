"""p2p/trimming.py: who goes when there are too many."""

from hypothesis import given
from hypothesis import strategies as st

from p2p.identity import peer_id_from_secret
from p2p.trimming import ConnectedPeer, peers_to_trim
from tests.p2p.nodes import secret

PEERS = [peer_id_from_secret(secret(number)) for number in range(12)]
LIMITS = {"high": 6, "low": 4, "grace_ms": 1_000}


def connected(count, *, outbound=()):
    return [ConnectedPeer(PEERS[number], number * 10, number in outbound) for number in range(count)]


def trimmed(peers, protected=(), now_ms=100_000):
    return [
        PEERS.index(peer) for peer in peers_to_trim(peers, lambda peer: peer in protected, now_ms, **LIMITS)
    ]


def test_up_to_the_high_mark__nobody_goes():
    assert trimmed(connected(6)) == []


def test_above_it__the_longest_here_go_down_to_the_low_mark_callers_first():
    assert trimmed(connected(7)) == [0, 1, 2]
    assert trimmed(connected(7, outbound={0, 1})) == [2, 3, 4]
    assert trimmed(connected(7, outbound=range(7))) == [0, 1, 2]


def test_mesh_and_staked_peers_and_newcomers__stay():
    assert trimmed(connected(7), protected=PEERS[:5]) == [5, 6]
    assert trimmed(connected(7), now_ms=1_010) == [0, 1]
    assert trimmed(connected(12), protected=PEERS) == []


@given(st.integers(0, 12), st.sets(st.sampled_from(PEERS)), st.integers(0, 2_000))
def test_never_too_many_and_never_a_protected_one(count, protected, now_ms):
    gone = peers_to_trim(connected(count), protected.__contains__, now_ms, **LIMITS)
    assert not set(gone) & protected
    assert len(gone) <= max(0, count - LIMITS["low"])
