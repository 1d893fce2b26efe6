"""Which endpoints are used, and how long the others rest."""

from __future__ import annotations

import pytest

from contracts.endpoint_health import (
    LAG_BLOCKS_MAX,
    REST_FIRST_S,
    REST_MAX_S,
    STEADY_S,
    EndpointHealth,
    EndpointStatus,
    lags,
    majority,
)
from contracts.errors import ChainUnreachable, WrongChain

FAULT = ChainUnreachable("a.example", "HTTP 502")


def test_each_rest_is_twice_as_long_up_to_a_limit():
    health, now_s, rests = EndpointHealth("a.example"), 1_000.0, []
    for _ in range(12):
        health.failed(FAULT, now_s)
        rests.append(health.rest_until_s - now_s)
        now_s = health.rest_until_s
    assert rests[:4] == [REST_FIRST_S, 2 * REST_FIRST_S, 4 * REST_FIRST_S, 8 * REST_FIRST_S]
    assert rests[-1] == REST_MAX_S


def test_requests_that_were_on_their_way_prolong_no_rest():
    health = EndpointHealth("a.example")
    assert health.failed(FAULT, 0.0)
    assert [health.failed(FAULT, at_s) for at_s in (0.1, 0.2, 1.9)] == [False] * 3
    assert (health.rest_until_s, health.failures, health.rests) == (REST_FIRST_S, 4, 1)


@pytest.mark.parametrize(
    ("well_s", "rest_s"), [(1.0, 2 * REST_FIRST_S), (STEADY_S, REST_FIRST_S)], ids=["flapping", "steady"]
)
def test_one_that_fails_soon_after_it_came_back_rests_longer(well_s, rest_s):
    health = EndpointHealth("a.example")
    health.failed(FAULT, 0.0)
    assert health.came_back(10.0)
    assert not health.came_back(10.0)
    health.failed(FAULT, 10.0 + well_s)
    assert health.rest_until_s == 10.0 + well_s + rest_s


def test_status_says_why_it_is_passed_over():
    health = EndpointHealth("a.example")
    health.served()
    health.failed(WrongChain(1, 2), 0.0)
    assert health.is_foreign
    said = "the RPC serves chain 2, the configuration says 1"
    assert health.status() == EndpointStatus("a.example", said, None, requests=1, failures=1, rests=1)


@pytest.mark.parametrize(
    ("heads", "before", "behind"),
    [
        ({}, {}, {}),
        ({"a": 5}, {}, {}),
        ({"a": 0, "b": LAG_BLOCKS_MAX}, {"a": 0}, {}),
        ({"a": 0, "b": LAG_BLOCKS_MAX + 1}, {"a": 0}, {"a": LAG_BLOCKS_MAX + 1}),
        ({"a": LAG_BLOCKS_MAX + 1, "b": 0}, {"a": 1, "b": -1}, {"b": LAG_BLOCKS_MAX + 1}),
        ({"a": 5, "b": 10**9}, {"a": 4, "b": 4}, {}),
        ({"a": 5, "b": 10**9}, {"a": None, "b": None}, {}),
        ({"a": 100, "b": 101, "c": 60}, {}, {"c": 40}),
        ({"a": 60, "b": 100, "c": 101}, {"a": 59}, {"a": 40}),
        ({"a": 100, "b": 101, "c": 10**9}, {}, {}),
    ],
    ids=[
        "none",
        "alone",
        "a little",
        "the first of two stands still",
        "the second of two",
        "attack: the second of two invents blocks",
        "the first look",
        "one of three",
        "the first of three",
        "attack: one of three invents blocks",
    ],
)
def test_attack_an_endpoint_lags_behind_what_two_have_reached(heads, before, behind):
    assert lags(heads, before) == behind


@pytest.mark.parametrize(
    ("said", "answer"),
    [({}, None), ({"a": 1}, 1), ({"a": 1, "b": 2}, None), ({"a": 1, "b": 2, "c": 1}, 1)],
)
def test_a_majority_is_more_than_half(said, answer):
    assert majority(said) == answer
