"""p2p/backoff.py: not too soon, not all at once, not for ever."""

import random

from p2p import backoff as module
from p2p.backoff import Backoff
from p2p.identity import peer_id_from_secret
from tests.p2p.nodes import secret

PEERS = [peer_id_from_secret(secret(number)) for number in range(4)]


def test_it_doubles_up_to_its_cap_and_half_of_it_is_random():
    backoff = Backoff(random.Random(0), first_ms=1_000, longest_ms=8_000)
    pauses = []
    for failures in range(1, 50):
        assert backoff.failed(PEERS[0], 0) == failures
        pauses.append(next(ms for ms in range(10_000) if backoff.is_due(PEERS[0], ms)))
    for pause, full in zip(pauses, [1_000, 2_000, 4_000, *[8_000] * 50], strict=False):
        assert full // 2 <= pause <= full
    assert len(set(pauses[3:])) > 10
    assert backoff.is_due(PEERS[1], 0)
    backoff.succeeded(PEERS[0])
    assert backoff.is_due(PEERS[0], 0)
    assert backoff.failed(PEERS[0], 0) == 1


def test_it_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "BACKOFFS_MAX", 2)
    backoff = Backoff(random.Random(0), first_ms=500, longest_ms=60_000)
    for peer in PEERS:
        backoff.failed(peer, 0)
    assert len(backoff) == 2
    assert backoff.is_due(PEERS[0], 0)
    assert not backoff.is_due(PEERS[3], 0)
