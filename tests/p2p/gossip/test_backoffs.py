"""p2p/gossip/backoffs.py: when a back-off holds whom."""

from p2p.gossip.backoffs import Backoffs
from tests.p2p.gossip.routers import peer

TOPIC = "topic"
ALICE, BOB = peer(1), peer(2)


def test_a_backoff__holds_us_longer_than_them():
    found = Backoffs(10, slack_ms=5)
    found.add(TOPIC, ALICE, 100, 50)
    assert [found.began_ms(TOPIC, ALICE, now_ms) for now_ms in (100, 149, 150)] == [100, 100, None]
    assert [found.holds_us(TOPIC, ALICE, now_ms) for now_ms in (100, 150, 154, 155)] == [
        True,
        True,
        True,
        False,
    ]
    assert not found.holds_us("other", ALICE, 100)
    assert not found.holds_us(TOPIC, BOB, 100)


def test_a_backoff__is_prolonged_but_never_shortened():
    found = Backoffs(10, slack_ms=0)
    found.add(TOPIC, ALICE, 0, 100)
    found.add(TOPIC, ALICE, 10, 1)
    assert found.began_ms(TOPIC, ALICE, 99) == 10
    found.add(TOPIC, ALICE, 20, 100)
    assert found.began_ms(TOPIC, ALICE, 119) == 20


def test_backoffs__are_bounded_and_forgotten_when_over():
    found = Backoffs(3, slack_ms=5)
    for number in range(5):
        found.add(TOPIC, peer(number), 0, 100 + number)
    assert (len(found), found.evicted) == (3, 2)
    assert not found.holds_us(TOPIC, peer(1), 0)
    found.forget_old(107)
    assert len(found) == 2
    found.forget_old(109)
    assert len(found) == 0
