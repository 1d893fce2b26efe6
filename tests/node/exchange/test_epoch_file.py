"""An epoch on disk: all of it comes back, and damage is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.exchange.epoch_file import EpochDamaged, epoch_from_bytes, epoch_to_bytes
from protocol.draw import EpochView, Snapshot
from tests.protocol import builders
from tests.protocol.strategies import lawful


def test_an_epoch_comes_back():
    data = epoch_to_bytes(builders.EPOCH)
    found = epoch_from_bytes(data)
    assert found == builders.EPOCH
    assert found.registrations == builders.registrations()
    assert len(data) == 143 + 76 * (len(builders.MINERS) + 1)


def test_an_epoch_without_anybody_comes_back():
    nobody = EpochView(2**64 - 1, b"s" * 32, Snapshot.of([]), Snapshot.of([]))
    assert epoch_from_bytes(epoch_to_bytes(nobody)) == nobody


@lawful
@given(st.integers(0, 5_000), st.integers(1, 255))
def test_a_changed_byte_is_damage(at, change):
    data = bytearray(epoch_to_bytes(builders.EPOCH))
    data[at % len(data)] ^= change
    with pytest.raises(EpochDamaged):
        epoch_from_bytes(bytes(data))


@lawful
@given(st.integers(0, 600))
def test_a_file_that_ends_early_is_damage(length):
    data = epoch_to_bytes(builders.EPOCH)
    with pytest.raises(EpochDamaged):
        epoch_from_bytes(data[: length % len(data)])
