"""An epoch as JSON: what goes round, its limit, and what is none."""

import json

import pytest

from protocol.draw import EpochView, Snapshot
from protocol.epoch_document import (
    MINERS_MAX,
    epoch_from_document,
    epoch_to_document,
    hex_bytes,
    integer,
    read,
)
from protocol.errors import DecodeError
from tests.protocol.builders import COORDINATOR, EPOCH, STRANGER

DOCUMENT = epoch_to_document(EPOCH, COORDINATOR.address)
MINER = DOCUMENT["miners"][0]


def read_epoch(document):
    return read(lambda: epoch_from_document(document, COORDINATOR.address), "an epoch")


def test_an_epoch_goes_round():
    assert read_epoch(json.loads(json.dumps(DOCUMENT))) == EPOCH


def test_of_the_coordinators_it_holds_the_one_in_question():
    assert epoch_to_document(EPOCH, STRANGER.address)["coordinator_weight_micro_cai"] == "0"
    two = EpochView(EPOCH.number, EPOCH.seed, EPOCH.miners, EPOCH.miners)
    document = epoch_to_document(two, EPOCH.miners.miner(0))
    read_back = epoch_from_document(document, EPOCH.miners.miner(0))
    assert read_back.coordinators.miners == (EPOCH.miners.miner(0),)


def test_an_epoch_without_miners_goes_round():
    empty = EpochView(1, bytes(32), Snapshot.of([]), Snapshot.of([]))
    assert len(read_epoch(epoch_to_document(empty, COORDINATOR.address)).miners) == 0


def test_the_limit_on_miners(monkeypatch):
    monkeypatch.setattr("protocol.epoch_document.MINERS_MAX", 5)
    assert read_epoch(DOCUMENT) == EPOCH
    monkeypatch.setattr("protocol.epoch_document.MINERS_MAX", 4)
    with pytest.raises(DecodeError, match="miners is not a list of at most 4"):
        read_epoch(DOCUMENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "00" * 31},
        {"seed": None},
        {"number": "7"},
        {"number": True},
        {"miners": {}},
        {"miners": [MINER, MINER]},
        {"miners": [MINER] * (MINERS_MAX + 1)},
        {"miners": [MINER | {"weight_micro_cai": "1.5"}]},
        {"coordinator_weight_micro_cai": 5},
    ],
)
def test_what_is_no_epoch(changes):
    with pytest.raises(DecodeError):
        read_epoch(DOCUMENT | changes)


def test_numbers_and_bytes_are_read_as_they_are_written():
    assert (integer(7), hex_bytes("0a")) == (7, b"\n")
    for value in (True, 7.0, "7"):
        with pytest.raises(TypeError):
            integer(value)
    for value in ("0x0a", "0 a", "0", "zz"):
        with pytest.raises(ValueError, match="hexadecimal"):
            hex_bytes(value)
