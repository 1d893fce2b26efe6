"""Neighbours that bring evidence for nothing are read less; what is true goes its way."""

from contextlib import suppress

import pytest
from coincurve import PrivateKey

from node.peer import evidence_shares
from node.peer.evidence_shares import (
    FRUITLESS_MAX,
    REJECTED_MAX,
    WINDOW_MS,
    EvidenceShares,
    ShareCounts,
)
from p2p.identity import peer_id_from_public_key
from p2p.mesh import Validation
from protocol.errors import GossipIgnore, GossipReject
from protocol.evidence import TwoStatements
from protocol.rules import evidence
from protocol.rules.view import Seen
from tests.p2p.nodes import secret
from tests.protocol import builders

STRANGER, STAKED, HONEST = (
    peer_id_from_public_key(PrivateKey(secret(number)).public_key.format()) for number in range(3)
)
NOW_MS = 7 * WINDOW_MS


@pytest.fixture
def shares():
    return EvidenceShares(lambda peer: peer == STAKED)


def bring(shares, forwarder, pieces, now_ms=NOW_MS, *, is_rejected=False):
    """How many of the pieces, all fruitless, are read."""
    read = 0
    for _ in range(pieces):
        if shares.may_bring(forwarder, now_ms):
            shares.note_fruitless(forwarder, now_ms, is_rejected=is_rejected)
            read += 1
    return read


def test_attack_a_flood_of_fruitless_pieces_is_read_up_to_a_share_a_minute(shares):
    assert bring(shares, STRANGER, 1_000) == FRUITLESS_MAX
    assert shares.counts == ShareCounts(fruitless=FRUITLESS_MAX, unread=1_000 - FRUITLESS_MAX)
    assert shares.may_bring(HONEST, NOW_MS)
    assert bring(shares, STRANGER, 1_000, NOW_MS + WINDOW_MS) == FRUITLESS_MAX


@pytest.mark.parametrize("forwarder", [STRANGER, STAKED])
def test_attack_a_flood_of_false_proofs_is_read_up_to_a_share_with_stake_or_without(shares, forwarder):
    assert bring(shares, forwarder, 1_000, is_rejected=True) == REJECTED_MAX


def test_who_has_stake_may_bring_any_number_that_is_merely_ignored(shares):
    """A siege's flooder brings the one true piece itself, after ten thousand that cost nothing."""
    assert bring(shares, STAKED, 10_000) == 10_000
    assert shares.may_bring(STAKED, NOW_MS)


def test_what_is_true_is_not_counted(shares):
    assert all(shares.may_bring(STRANGER, NOW_MS) for _ in range(10_000))
    assert shares.counts == ShareCounts()


def test_more_forwarders_than_are_counted(monkeypatch):
    monkeypatch.setattr(evidence_shares, "FORWARDERS_MAX", 2)
    shares = EvidenceShares(lambda peer: False)
    for forwarder in (STRANGER, STAKED, HONEST):
        bring(shares, forwarder, FRUITLESS_MAX)
    assert [shares.may_bring(one, NOW_MS) for one in (STRANGER, STAKED, HONEST)] == [True, False, False]


def test_attack_pieces_about_strangers_do_not_keep_a_true_one_from_being_judged(shares):
    """Each is about a key of its own, without stake; then the flooder brings the true piece itself."""
    seen, view = Seen(), builders.view()

    def judge(data, forwarder):
        evidence.validate_evidence(seen, view, data, builders.NOW_MS)
        return Validation.ACCEPT

    validate = shares.guarded(judge, lambda: NOW_MS)
    spam = TwoStatements.pair(
        *(builders.sealed(builders.STRANGER, builders.commitment(units_done=done)) for done in (1, 2))
    ).encode()
    for _ in range(FRUITLESS_MAX):
        with pytest.raises(GossipIgnore, match="offender has no stake"):
            validate(spam, STRANGER)
    assert validate(builders.evidence().encode(), STRANGER) is Validation.UNREAD
    assert validate(builders.evidence().encode(), HONEST) is Validation.ACCEPT
    for _ in range(REJECTED_MAX):
        with suppress(GossipReject):
            validate(b"!", HONEST)
    assert validate(b"!", HONEST) is Validation.UNREAD
