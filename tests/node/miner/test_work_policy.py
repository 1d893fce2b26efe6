"""When a miner pauses: its hours, over midnight too, others' work, on battery; and without flapping."""

import pytest

from node.miner.machine_load import MachineLoad
from node.miner.work_policy import (
    FREE_MEMORY_AFTER_MS,
    QUIET_MS,
    BadWorkPolicy,
    PauseDecision,
    WorkPolicy,
    parse_hours,
)

NOON = 12


def paused(decision, *shares, field="others_load", step_ms=QUIET_MS // 3):
    """Whether these shares pause it, one after another."""
    return [
        bool(decision.update(MachineLoad(NOON, **{field: share}), number * step_ms))
        for number, share in enumerate(shares)
    ]


@pytest.mark.parametrize(
    ("hours", "working"),
    [
        ((22, 7), {22, 23, 0, 1, 2, 3, 4, 5, 6}),
        ((9, 17), set(range(9, 17))),
        ((0, 0), set(range(24))),
        ((5, 5), set(range(24))),
        (None, set(range(24))),
    ],
)
def test_hours(hours, working):
    assert {
        hour for hour in range(24) if not PauseDecision(WorkPolicy(hours)).update(MachineLoad(hour), 0)
    } == working
    assert PauseDecision(WorkPolicy((22, 7))).update(MachineLoad(NOON), 0) == "outside its hours"


@pytest.mark.parametrize(
    ("field", "policy", "said"),
    [
        ("others_load", WorkPolicy(load_max=0.5), "other programs need the processors"),
        ("others_device_load", WorkPolicy(device_load_max=0.5), "other programs need the accelerator"),
    ],
)
def test_others_work_pauses_at_once_and_quiet_for_a_while_resumes(field, policy, said):
    decision = PauseDecision(policy)
    shares = (0.4, 0.5, 0.51, 0.3, 0.3, 0.3, 0.5)
    assert paused(decision, *shares, field=field) == [False, False, True, True, True, False, False]
    # Neither quiet nor over the limit: it goes on pausing, and the time of quiet begins anew.
    decision = PauseDecision(policy)
    shares = (0.6, 0.3, 0.3, 0.45, 0.3, 0.3, 0.3)
    assert paused(decision, *shares, field=field) == [True] * 6 + [False]
    assert decision.update(MachineLoad(NOON, **{field: 0.9}), 1_000_000) == said == decision.reason


def test_without_a_limit_nothing_is_too_much():
    assert PauseDecision(WorkPolicy()).update(MachineLoad(NOON, 1.0, 1.0, on_battery=True), 0) == ""


def test_on_battery_a_miner_that_saves_power_pauses():
    decision = PauseDecision(WorkPolicy(power_saving=True))
    assert decision.update(MachineLoad(NOON, on_battery=True), 0) == "on battery"
    assert decision.update(MachineLoad(NOON), 1) == ""


def test_memory_is_freed_in_a_long_pause():
    decision = PauseDecision(WorkPolicy((22, 7)))
    freed = []
    for now_ms in (0, FREE_MEMORY_AFTER_MS - 1, FREE_MEMORY_AFTER_MS):
        decision.update(MachineLoad(NOON), now_ms)
        freed.append(decision.frees_memory)
    assert freed == [False, False, True]
    decision.update(MachineLoad(23), FREE_MEMORY_AFTER_MS + 1)
    assert not decision.frees_memory
    # A new pause counts from its own begin.
    decision.update(MachineLoad(NOON), FREE_MEMORY_AFTER_MS + 2)
    assert not decision.frees_memory


def test_memory_is_freed_at_once_when_the_accelerator_is_wanted():
    decision = PauseDecision(WorkPolicy(device_load_max=0.1))
    assert not decision.frees_memory
    decision.update(MachineLoad(NOON, others_device_load=0.5), 0)
    assert decision.frees_memory


@pytest.mark.parametrize(
    ("text", "hours"), [("", None), ("22-7", (22, 7)), ("0-24", (0, 0)), ("08-17", (8, 17))]
)
def test_text(text, hours):
    assert parse_hours(text) == hours


@pytest.mark.parametrize("text", ["22", "22-25", "a-b", "1-2-3", "-1-5", "1 - 2", "٣-٤"])
def test_no_hours(text):
    with pytest.raises(BadWorkPolicy, match="not a span of hours"):
        parse_hours(text)


@pytest.mark.parametrize("wrong", [{"load_max": 1.5}, {"load_max": -0.1}, {"device_load_max": 80}])
def test_no_shares(wrong):
    with pytest.raises(BadWorkPolicy, match="from 0 to 1"):
        WorkPolicy(**wrong)
