"""The small form of the table: a job of two settings and of three cheats, its goals, and its bounds."""

import json

import pytest

from tests.audit_table import __main__ as table
from tests.audit_table.bounds import least, log_normal_tail, most
from tests.audit_table.document import tail_of
from tests.cheats.catalogue import CAUGHT, NOT_CAUGHT

CHOSEN = ("half of the network in fp16", "another seed")


def test_bounds_are_those_of_the_rule_of_three_and_of_tables():
    assert most(0, 10_000) == pytest.approx(3e-4, rel=0.01)
    assert least(10_000, 10_000) == pytest.approx(1 - 3e-4, rel=1e-4)
    # Clopper and Pearson for 2 of 20, one-sided.
    assert most(2, 20) == pytest.approx(0.2826, abs=1e-3)
    assert most(20, 20) == 1
    assert least(0, 20) == 0


def test_a_tail_is_that_of_the_normal_distribution():
    values = [1e-7, 1e-6, 1e-5]
    # Mean 1e-6, deviation a factor of ten.
    assert log_normal_tail(values, 1e-4) == pytest.approx(0.02275, rel=1e-3)
    assert log_normal_tail(values, 1e-6) == pytest.approx(0.5)
    assert log_normal_tail([0.0, 0.0], 1e-6) == 0


def test_a_step_is_bounded_by_its_excess_and_by_how_far_two_machines_were_apart():
    near, wide = [1e-9, 1e-8, 1e-7], [1e-7, 1e-5, 1e-3]
    by_excess = {"scores": [*near, 0.0, 0.0, 0.0], "distances": wide}
    assert tail_of(by_excess, 1e-5) == pytest.approx(log_normal_tail(near, 1e-5) / 2)
    by_apart = {"scores": wide, "distances": near}
    assert tail_of(by_apart, 1e-5) == pytest.approx(2 * log_normal_tail(near, 1e-5))
    assert tail_of({"scores": [0.0, 0.0], "distances": wide}, 1e-5) == 0


@pytest.mark.process
def test_the_table_is_made_and_its_goals_are_reached(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(table, "CAUGHT", [entry for entry in CAUGHT if entry.cheat.name in CHOSEN])
    monkeypatch.setattr(table, "NOT_CAUGHT", NOT_CAUGHT[:1])
    monkeypatch.setattr(table, "HONEST_JOBS", 1)
    monkeypatch.setattr(table, "CHEATED_JOBS", 1)
    out, folder = tmp_path / "README.md", tmp_path / "kept"
    words = ["--parts", "1", "--settings", "5", "7", "--out", str(out), "--folder", str(folder)]
    assert table.main(words) == 0
    text = out.read_text()
    assert "**0 of 32 honest steps accused**" in text
    assert "| half of the network in fp16 | 25% | R | 20 of 20 |" in text
    assert "| another seed | 100% | S | 1 of 1 |" in text
    assert "| weights with noise 1e-05 | 0 of 20 |" in text
    assert text.count("| 20 | 0 |\n") == 11
    assert "MISSED" not in capsys.readouterr().out
    # What is kept is not measured again, and an accusation of honest work is a missed goal.
    spoilt = json.loads((folder / "honest-5-0.json").read_text())
    (folder / "honest-5-0.json").write_text(json.dumps(spoilt | {"findings": ["one"]}))
    assert table.main(words) == 1
    said = capsys.readouterr().out
    assert "measured" not in said
    assert "no honest step accused: MISSED" in said
    assert "**1 of 32 honest steps accused**" in out.read_text()
