"""Other programs' share of the processors, from two readings of the times."""

import pytest

from node.miner.machine_load import CpuTimes


@pytest.mark.parametrize(
    ("now", "others"),
    [
        (CpuTimes(110, 50, {1: 10}), 0.0),
        (CpuTimes(110, 58, {1: 10}), 0.8),
        (CpuTimes(110, 58, {1: 15}), 0.3),
        # A worker that is new, and one that has ended.
        (CpuTimes(110, 58, {1: 10, 2: 8}), 0.0),
        (CpuTimes(110, 58, {}), 0.8),
        # Clocks of different grain.
        (CpuTimes(110, 55, {1: 17}), 0.0),
        (CpuTimes(100, 50, {1: 10}), 0.0),
    ],
)
def test_our_own_work_is_not_others(now, others):
    assert now.others_since(CpuTimes(100, 50, {1: 10})) == pytest.approx(others)
