"""Pictures and pages: well-formed, and with what was measured in them."""

from xml.etree import ElementTree as ET

import pytest

from tests.simulation.outcome import Outcome
from tests.simulation.report import page
from tests.simulation.svg import distribution, plot, ticks


def test_a_plot_is_well_formed_and_names_everything():
    lines = [("a < b", [(100.0, 1.0), (1_000.0, 2.0)]), ("other", [(100.0, 0.5)])]
    svg = plot("Title & more", "x", "y", lines, log_x=True)
    texts = [element.text for element in ET.fromstring(svg).iter() if element.text]
    assert {"Title & more", "a < b", "other", "x", "y", "1,000"} <= set(texts)


def test_a_plot_of_one_flat_point_is_possible_and_of_none_is_not():
    assert plot("t", "x", "y", [("a", [(1.0, 0.0)])])
    with pytest.raises(ValueError, match="without points"):
        plot("t", "x", "y", [("a", [])])


def test_ticks_are_round():
    assert ticks(0.0, 97.0) == [0, 20, 40, 60, 80]


def test_a_distribution_ends_at_the_largest_value():
    line = distribution([3.0, 1.0, 2.0])
    assert line[0] == (1.0, 0.0)
    assert line[-1] == (3.0, 100.0)


def test_an_outcome_says_its_seed_first_and_a_page_what_failed():
    outcome = Outcome("storm", 42)
    outcome.figure("waves", "high")
    outcome.check("the boat floats", False)
    assert not outcome.holds
    assert outcome.text().startswith("storm, seed 42")
    assert "the boat floats: FAILED" in page([outcome])
