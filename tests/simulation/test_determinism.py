"""The same seed gives the same run, bit by bit."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from protocol.rules import offers
from tests.limits import CHILD_TIMEOUT_S
from tests.simulation.links import LinkParams
from tests.simulation.market import Market
from tests.simulation.memo import shared_results
from tests.simulation.network import build

ROOT = Path(__file__).parents[2]
LINKS = LinkParams(jitter_ms_max=10, loss=0.02, duplication=0.02, reordering=0.1, egress_bytes_per_ms=500)


def trace(seed, *, shared=True):
    """A run with every kind of fault in it."""
    with shared_results() if shared else nullcontext():
        network = build(seed, 40, topics=[offers.TOPIC], links=LINKS, skew_ms_max=500)
        network.start(keeps_connections=True)
        network.warm_up(8)
        network.publish_offers(range(10), 100)
        network.nodes[3].crash()
        network.world.partition([range(20), range(20, 40)])
        network.run_for(9_000)
        network.world.heal()
        network.nodes[3].start()
        network.run_for(3_000)
    return network.world.trace


def market_trace(seed, *, shared=True):
    """A run of both roles' engines: orders, payments, a coordinator and miners that crash, a partition."""
    with shared_results() if shared else nullcontext():
        network = build(seed, 24, links=LINKS, skew_ms_max=500, coordinators=2)
        market = Market(network)
        network.start(keeps_connections=True)
        network.warm_up(8)
        market.ask_every(400, 8)
        network.run_for(900)
        for number in (0, 1, 23):
            network.nodes[number].crash()
        network.run_for(500)
        network.world.partition([range(0, 24, 2), range(1, 24, 2)])
        for number in (0, 1, 23):
            network.nodes[number].start()
        network.run_for(3_000)
        network.world.heal()
        market.run_until_over(60_000)
    assert all(order.winner for order in market.orders)
    return network.world.trace


def test_one_seed_is_one_market_and_another_seed_is_another():
    first = market_trace(1)
    assert market_trace(1) == first
    assert market_trace(2) != first


def test_sharing_pure_results_changes_no_market():
    assert market_trace(3, shared=False) == market_trace(3)


def test_one_seed_is_one_run_and_another_seed_is_another():
    first = trace(1)
    assert trace(1) == first
    assert trace(2) != first


def test_sharing_pure_results_changes_nothing():
    assert trace(5, shared=False) == trace(5)


@pytest.mark.process
def test_no_process_is_special():
    """Hashes of text and bytes differ from process to process; the run must not."""
    program = (
        "from tests.simulation.test_determinism import market_trace, trace; print(trace(3) + market_trace(4))"
    )
    traces = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": salt, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=CHILD_TIMEOUT_S,
        ).stdout.strip()
        for salt in ("1", "2")
    }
    assert traces == {trace(3) + market_trace(4)}
