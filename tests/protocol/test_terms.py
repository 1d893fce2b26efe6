"""What a network gives all its tasks and audits: times, to the millisecond."""

from protocol.terms import AuditTerms, TaskTerms
from tests.protocol.builders import announcement


def test_a_rank_has_its_head_start_over_the_next():
    task = announcement()
    starts_ms = [TaskTerms(3_000, 120_000).starts_at_ms(task, rank) for rank in range(3)]
    assert [start_ms - task.announced_at_ms for start_ms in starts_ms] == [0, 3_000, 6_000]


def test_dice_are_thrown_after_the_margin_and_verdicts_end_with_the_window():
    terms = AuditTerms(beacon_margin_ms=20_000, window_ms=3_600_000)
    assert (terms.beacon_from_ms(7), terms.ends_at_ms(7)) == (20_007, 3_600_007)
