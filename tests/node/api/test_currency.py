"""Prices in the operator's currency: the file's form, its changes, and spending by day."""

import json

import pytest

from node.api.currency import FILE_BYTES_MAX, BadRate, Currency, read_rate
from protocol.amounts import WEI_PER_MICRO_CAI
from tests.node.api.desk import api, client_of, new_token


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "rate.json", {"currency": "EUR", "per_cai": "0.25"})


def written(path, document):
    partial = path.with_suffix(".partial")
    partial.write_text(document if isinstance(document, str) else json.dumps(document))
    partial.replace(path)
    return path


async def test_models_quotes_and_spending_say_prices_in_it(path):
    built = api(currency=Currency(path))
    ann = built.services.tokens.find(new_token(built).encode(), 1)
    built.services.tokens.own(b"task", ann.token_id)
    built.services.tokens.note_paid(b"task", b"m", 8_000 * WEI_PER_MICRO_CAI + 1, 86_400_000)
    built.services.tokens.note_paid(b"other", b"m", 2_000 * WEI_PER_MICRO_CAI, 86_400_000)
    async with client_of(built) as http:
        model = (await http.get("/v1/models")).json()["data"][0]["cuckoo"]
        quote = (await http.post("/v1/cuckoo/quote", json={"prompt": "a cat", "n": 2})).json()
        (day,) = (await http.get("/v1/cuckoo/spending")).json()["days"]
    assert model["price"] == {"currency": "EUR", "amount": "0.002000"}
    assert quote["total_most"] == {"currency": "EUR", "amount": "0.005000"}
    assert (day["day"], day["spent_wei"]) == ("1970-01-02", str(10_000 * WEI_PER_MICRO_CAI + 1))
    assert day["spent"] == {"currency": "EUR", "amount": "0.002501"}
    assert {item["name"] for item in day["tokens"]} == {"ann", "operator"}


async def test_spending_of_all_is_for_the_operator():
    built = api()
    async with client_of(built, new_token(built)) as http:
        assert (await http.get("/v1/cuckoo/spending")).status_code == 403


def test_a_change_is_seen_and_a_bad_one_leaves_the_last_that_was_good(path):
    currency = Currency(path)
    written(path, {"currency": "CHF", "per_cai": "2"})
    assert currency.price(1_000_000) == {"currency": "CHF", "amount": "2.000000"}
    written(path, "{")
    assert currency.price(1_000_000) == {"currency": "CHF", "amount": "2.000000"}
    assert "cannot be read" in currency.status().problem
    written(path, {"currency": "CHF", "per_cai": "3"})
    assert (currency.status().per_cai, currency.status().problem) == ("3", "")


def test_without_a_file_there_are_no_prices():
    assert Currency(None).price(5) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"currency": "EUR", "per_cai": 0.25}',
        '{"currency": "EUR", "per_cai": "-1"}',
        '{"currency": "EUR", "per_cai": "0"}',
        '{"currency": "EUR", "per_cai": "NaN"}',
        '{"currency": "EUR", "per_cai": "1e30"}',
        '{"currency": "<b>", "per_cai": "1"}',
        " " * (FILE_BYTES_MAX + 1),
    ],
)
def test_what_is_no_rate_is_refused_at_the_start(tmp_path, content):
    with pytest.raises(BadRate, match="the rate in "):
        read_rate(written(tmp_path / "rate.json", content))
