"""Amounts and addresses as people type them."""

import pytest

from node.commands.chain import parse_address, parse_wei, show_cai
from protocol.errors import LocalError


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("1", 10**18),
        ("20_000.5", 20_000 * 10**18 + 5 * 10**17),
        ("2,000,000", 2 * 10**24),
        ("0.000000000000000001", 1),
    ],
)
def test_amounts(text, wei):
    assert parse_wei(text) == wei


@pytest.mark.parametrize("text", ["", "0", "-1", "NaN", "Infinity", "1e-19", "1e99", "five", "0x10"])
def test_bad_amounts(text):
    with pytest.raises(LocalError):
        parse_wei(text)


def test_amounts_are_shown_exactly():
    assert show_cai(25_000 * 10**18 + 1) == "25,000.000000000000000001 CAI"


def test_addresses():
    assert parse_address("0x" + "aB" * 20) == b"\xab" * 20


@pytest.mark.parametrize("text", ["", "0x", "0x12", "zz" * 20, "0x" + "ab" * 21])
def test_bad_addresses(text):
    with pytest.raises(LocalError):
        parse_address(text)
