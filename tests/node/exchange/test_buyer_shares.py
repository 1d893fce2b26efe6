"""A buyer's bytes: enough for all audits that it may make, bounded, each buyer for itself."""

from node.exchange import buyer_shares
from node.exchange.buyer_shares import BUYER_BYTES_MAX, BUYER_WINDOW_MS, BuyerCounts, BuyerShares
from protocol.audit_draw import STEPS_EACH_MAX

ANN, BOB, CAT = (bytes([number]) * 20 for number in range(3))
NOW_MS = 3 * BUYER_WINDOW_MS


def test_attack_more_bytes_than_a_share():
    shares = BuyerShares()
    shares.note(ANN, BUYER_BYTES_MAX - 1, NOW_MS)
    assert shares.has_left(ANN, NOW_MS)
    shares.note(ANN, 1, NOW_MS + BUYER_WINDOW_MS - 1)
    assert not shares.has_left(ANN, NOW_MS + BUYER_WINDOW_MS - 1)
    assert shares.has_left(BOB, NOW_MS)
    assert shares.has_left(ANN, NOW_MS + BUYER_WINDOW_MS)
    assert shares.counts == BuyerCounts(given_bytes=BUYER_BYTES_MAX, refused=1)


def test_a_share_is_enough_for_the_audits_of_a_fast_miners_buyer():
    """One task in five of 3,000 pictures an hour of SDXL: three steps, last latent, and a picture of 2 MB."""
    step_bytes, latent_bytes = 393_568, 131_072
    audits = 3_000 / 5 * BUYER_WINDOW_MS / 3_600_000
    assert audits * (STEPS_EACH_MAX * step_bytes + latent_bytes + 2 * 10**6) < BUYER_BYTES_MAX


def test_more_buyers_than_are_counted(monkeypatch):
    monkeypatch.setattr(buyer_shares, "BUYERS_MAX", 2)
    shares = BuyerShares()
    for buyer in (ANN, BOB, CAT):
        shares.note(buyer, BUYER_BYTES_MAX, NOW_MS)
    assert [shares.has_left(buyer, NOW_MS) for buyer in (ANN, BOB, CAT)] == [True, False, False]
