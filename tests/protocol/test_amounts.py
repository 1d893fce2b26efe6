"""Amounts of money as people type and read them: exact both ways, and nothing that could be misread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.amounts import (
    AMOUNT_TEXT_MAX,
    AMOUNT_WEI_MAX,
    WEI_PER_CAI,
    WEI_PER_MICRO_CAI,
    format_cai,
    parse_cai,
)
from protocol.errors import LocalError
from tests.protocol.strategies import lawful


def test_the_units():
    assert WEI_PER_CAI == 1_000_000 * WEI_PER_MICRO_CAI == 10**18


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("1", 10**18),
        ("0020", 20 * 10**18),
        ("20_000.5", 20_000 * 10**18 + 5 * 10**17),
        ("2,000,000", 2 * 10**24),
        ("2,000,000.25 CAI", 2_000_000 * 10**18 + 25 * 10**16),
        ("0.000000000000000001", 1),
    ],
)
def test_amounts(text, wei):
    assert parse_cai(text) == wei


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0",
            "0.0",
            "-1",
            "+1",
            "NaN",
            "Infinity",
            "five",
            "0x10",
            " 1",
            "1 ",
            "1.",
            ".5",
            "1__0",
            "_1",
        ),
        *("1e3", "0.0000000000000000001", "9" * 60, "1" * (AMOUNT_TEXT_MAX + 1), "٣", "1,2345", "12345,678"),
    ],
)
def test_bad_amounts(text):
    with pytest.raises(LocalError, match="is not an amount of CAI above zero, with at most 18 decimals"):
        parse_cai(text)


@pytest.mark.parametrize("text", ["0,5", "1,5", "1,50", "1.000,5", ",5", "1,0000"])
def test_a_comma_is_never_taken_for_a_point(text):
    with pytest.raises(LocalError):
        parse_cai(text)


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (0, "0 CAI"),
        (1, "0.000000000000000001 CAI"),
        (25_000 * 10**18 + 1, "25,000.000000000000000001 CAI"),
        (-5 * 10**17, "-0.5 CAI"),
        (600_000 * 10**18, "600,000 CAI"),
    ],
)
def test_amounts_are_shown_exactly(wei, text):
    assert format_cai(wei) == text


@lawful
@given(st.integers(1, AMOUNT_WEI_MAX))
def test_what_is_shown_can_be_typed(wei):
    text = format_cai(wei)
    assert parse_cai(text) == parse_cai(text.removesuffix(" CAI").replace(",", "")) == wei
    assert len(text) <= AMOUNT_TEXT_MAX


@lawful
@given(st.text("0123456789.,_ CAIe-x٣\n", max_size=200))
def test_any_text_is_an_amount_or_a_local_error(text):
    try:
        assert 0 < parse_cai(text) <= AMOUNT_WEI_MAX
    except LocalError as error:
        assert len(str(error)) < 1_500
