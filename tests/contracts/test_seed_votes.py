"""An epoch's seed as several endpoints tell it: one that invents an epoch is a voice and not the majority."""

from __future__ import annotations

import pytest

from contracts.epochs import EpochsClient
from contracts.records import Epoch
from contracts.rpc import connect
from tests.contracts.fakes import FakeEndpoint, FakeEndpoints

SEED, OTHER, NONE = b"\x01" * 32, b"\x02" * 32, bytes(32)
EPOCH = Epoch(9, SEED, 360)
IT_IS_OTHERWISE = "it has another seed of epoch 9 than most others"


def telling(seed):
    endpoint = FakeEndpoint()
    if seed is None:
        error = {"code": -32000, "message": "no"}
        endpoint.refusal = lambda method, _params: error if method == "eth_call" else None
    else:
        plain = endpoint.answer
        endpoint.answer = lambda method, params: (
            "0x" + seed.hex() if method == "eth_call" else plain(method, params)
        )
    return endpoint


async def doubt(seeds):
    """What is in doubt, and who is passed over and why."""
    net = FakeEndpoints(**{name: telling(seed) for name, seed in zip("abcde", seeds, strict=False)})
    async with connect(net.urls, transport=net) as rpc:
        found = await EpochsClient(rpc, bytes(20), bytes(20)).doubt_about(EPOCH)
        return found, {one.host[0]: one.passed_over for one in rpc.status().endpoints if one.passed_over}


@pytest.mark.parametrize(
    "seeds",
    [(SEED,), (SEED, SEED), (SEED, None), (SEED, NONE, SEED), (None, SEED, SEED)],
    ids=["alone", "both", "one answers", "one lags", "one is silent"],
)
async def test_more_than_half_of_the_answers_decide(seeds):
    assert await doubt(seeds) == (None, {})


async def test_attack_an_epoch_that_one_of_two_invents_is_not_drawn_from():
    said = (
        "the chain's RPCs disagree about the seed of epoch 9: "
        "a.example says 0x0101010101010101, b.example says that there is none"
    )
    assert await doubt((SEED, NONE)) == (said, {})


async def test_attack_an_epoch_that_one_of_three_invents_puts_it_aside():
    found, aside = await doubt((SEED, NONE, NONE))
    assert found is not None
    assert aside == {"a": IT_IS_OTHERWISE}


@pytest.mark.parametrize(
    ("seeds", "is_in_doubt"), [((SEED, OTHER, OTHER), True), ((SEED, OTHER, SEED), False)]
)
async def test_attack_whoever_tells_another_seed_than_most_is_put_aside(seeds, is_in_doubt):
    found, aside = await doubt(seeds)
    assert (found is not None) is is_in_doubt
    assert aside == {"a" if is_in_doubt else "b": IT_IS_OTHERWISE}


async def test_no_answer_at_all_is_a_doubt():
    assert await doubt((None, None)) == ("none of the chain's RPCs answers about the seed of epoch 9", {})
