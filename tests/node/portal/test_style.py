"""Colours that can be read: each pair that the sheet puts on each other, by WCAG 2.2, 1.4.3 and 1.4.11."""

import re

import pytest

from node.portal.files import load_files

SHEET = load_files()["/style.css"].body.decode()
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root \{(.*?)\}", SHEET, re.DOTALL)
)
TEXT, SHAPE = 4.5, 3.0
PAIRS = [
    *[(ink, paper, TEXT) for ink in ("ink", "quiet", "accent") for paper in ("paper", "card")],
    ("on-accent", "accent", TEXT),
    ("bad", "bad-paper", TEXT),
    ("bad", "card", TEXT),
    ("warn-ink", "warn-paper", TEXT),
    *[(shape, paper, SHAPE) for shape in ("focus", "c2") for paper in ("paper", "card")],
]


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure():
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "paper", "least"), PAIRS)
def test_what_is_written_can_be_read(colours, ink, paper, least):
    assert contrast(colours[ink], colours[paper]) >= least


def test_dark_has_a_colour_for_each_of_light():
    assert set(LIGHT) == set(DARK)
