"""A market under faults; each scenario says what must hold."""

from tests.simulation.trading import faults, offences, partition


def test_halves_apart_for_half_a_minute__agree_on_every_task_two_heartbeats_after_redial():
    outcome = partition(seed=1, nodes=60)
    assert outcome.holds, outcome.text()


def test_honest_nodes_that_crash__with_wrong_clocks__never_equivocate_and_are_never_graylisted():
    outcome = faults(seed=1, nodes=40, minutes=0.7)
    assert outcome.holds, outcome.text()


def test_without_the_guard_they_do():
    """So the test above can fail."""
    outcome = faults(seed=1, nodes=40, minutes=1.0, guarded=False)
    assert ("nobody is accused", False) in outcome.checks, outcome.text()


def test_every_slashable_act_yields_evidence_and_nobody_honest_is_accused():
    outcome = offences(seed=1, nodes=60)
    assert outcome.holds, outcome.text()
