"""The siege's table says what was measured, and what does not hold."""

from tests.attacks.siege.flood import LOGS_A_TRANSACTION, portions
from tests.attacks.siege.table import Row, at_most, table


def test_a_figure_holds_up_to_its_bound():
    assert at_most("a flood", "loop blocked", 10, 250, 250, "ms").cells() == (
        "a flood",
        "loop blocked",
        "10 ms",
        "250 ms",
        "at most 250 ms",
        "holds",
    )
    assert at_most("a flood", "loop blocked", 10, 250.1, 250, "ms").cells()[-1] == "FAILED"
    assert at_most("a flood", "stopped", 0.1, 1.239, 5, "s").cells()[2:4] == ("0.10 s", "1.24 s")


def test_a_figure_without_a_goal_has_no_verdict():
    assert Row("a flood", "pieces", "0", "10,000").cells()[-1] == ""


def test_an_attack_is_named_once():
    rows = [Row("a flood", "pieces", "0", "7"), Row("a flood", "slashed", "", "no", "yes", holds=False)]
    assert table(rows).splitlines() == [
        "attack   figure   before  during or after  goal",
        "a flood  pieces   0       7",
        "         slashed          no               yes   FAILED",
    ]


def test_a_flood_comes_in_transactions_of_a_bounded_size():
    assert portions(2 * LOGS_A_TRANSACTION + 1) == [LOGS_A_TRANSACTION, LOGS_A_TRANSACTION, 1]
    assert portions(LOGS_A_TRANSACTION) == [LOGS_A_TRANSACTION]
    assert portions(0) == []
