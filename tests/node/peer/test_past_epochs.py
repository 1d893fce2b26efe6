"""Epochs that are over: kept as long as their tasks are audited, and bounded."""

import pytest

from node.peer import past_epochs
from node.peer.past_epochs import PastEpochs
from protocol.draw import EpochView, Snapshot
from tests.protocol import builders

LIFE_MS = 1_000
NOBODY = Snapshot.of([])


def epoch(number, nodes=1):
    miners = Snapshot.of((bytes([place + 1]) * 20, 10**18) for place in range(nodes))
    return EpochView(number, bytes(32), miners, NOBODY)


def follow(past, until, at_ms=0, nodes=1):
    """Two epochs at a time, the last of which is `until`."""
    for number in range(2, until):
        before = {at: epoch(at, nodes) for at in (number - 1, number)}
        past.renew(before, {at: epoch(at, nodes) for at in (number, number + 1)}, LIFE_MS, at_ms)


def test_what_is_over_is_kept_for_its_life():
    past = PastEpochs()
    both = {at: builders.epoch_view(at) for at in (1, 2)}
    assert past.renew({}, {1: both[1]}, LIFE_MS, 0) == {}
    assert past.renew({1: both[1]}, both, LIFE_MS, 0) == {}
    later = {at: builders.epoch_view(at) for at in (2, 3)}
    assert past.renew(both, later, LIFE_MS, 500) == {1: both[1]}
    assert past.renew(later, later, LIFE_MS, 1_499) == {1: both[1]}
    assert past.renew(later, later, LIFE_MS, 1_500) == {}


@pytest.mark.parametrize(("name", "limit", "nodes"), [("PAST_EPOCHS_MAX", 2, 3), ("PAST_NODES_MAX", 6, 3)])
def test_more_than_is_kept(name, limit, nodes, monkeypatch):
    monkeypatch.setattr(past_epochs, name, limit)
    past = PastEpochs()
    follow(past, 8, nodes=nodes)
    assert sorted(past.known) == [5, 6]


def test_an_epoch_that_is_named_again_is_no_past_one():
    """A reorganisation may bring an epoch back."""
    past, both = PastEpochs(), {at: epoch(at) for at in (1, 2)}
    past.renew({1: epoch(1)}, {2: epoch(2)}, LIFE_MS, 0)
    assert list(past.known) == [1]
    assert past.renew({2: epoch(2)}, both, LIFE_MS, 0) == {}
