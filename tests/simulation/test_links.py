"""tests/simulation/links.py"""

import itertools

import pytest

from tests.simulation.links import MTU_OVERHEAD_BYTES, Link, LinkParams
from tests.simulation.randomness import generator

COUNT = 2_000


def arrivals(params, size=100, spacing_ms=1.0, count=COUNT):
    link, rng = Link(50.0), generator(1, "test")
    return [link.arrivals(number * spacing_ms, size, params, rng) for number in range(count)]


def test_latency_is_exact_without_faults():
    assert arrivals(LinkParams(), count=3) == [[50.0], [51.0], [52.0]]


def test_jitter_never_changes_the_order():
    times = [time for times in arrivals(LinkParams(jitter_ms_max=30.0)) for time in times]
    assert times == sorted(times)
    assert max(time - number for number, time in enumerate(times)) == pytest.approx(80.0, abs=1.0)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_loss_and_duplication_are_as_frequent_as_asked(share):
    lost = sum(not times for times in arrivals(LinkParams(loss=share)))
    twice = sum(len(times) == 2 for times in arrivals(LinkParams(duplication=share)))
    assert lost / COUNT == pytest.approx(share, abs=0.03)
    assert twice / COUNT == pytest.approx(share, abs=0.03)


def test_reordering_lets_some_overtake():
    times = [time for (time,) in arrivals(LinkParams(jitter_ms_max=30.0, reordering=0.2))]
    assert any(later < earlier for earlier, later in itertools.pairwise(times))


def test_bandwidth_queues_what_comes_too_fast():
    bytes_each = 100 + MTU_OVERHEAD_BYTES
    params = LinkParams(link_bytes_per_ms=bytes_each / 2)
    times = [time for (time,) in arrivals(params, count=10)]
    assert times == [50.0 + 2.0 * (number + 1) for number in range(10)]
