"""The page that a run leaves behind: figures, what held, and pictures, in one file without anything loaded.

Is: HTML from outcomes.
Is not: a judgement; an outcome has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.simulation.outcome import Outcome

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; color: #222 }
table { border-collapse: collapse; margin: .6rem 0 }
td { padding: .15rem 1.2rem .15rem 0; vertical-align: top }
.holds { color: #0b6e4f } .failed { color: #b00020; font-weight: bold } svg { max-width: 100%; height: auto }
code { font-size: 12px; color: #666 }
"""


def page(outcomes: Sequence[Outcome], title: str = "Simulation") -> str:
    """An HTML document."""
    holding = sum(outcome.holds for outcome in outcomes)
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>",
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>",
        f"<p>{holding} of {len(outcomes)} scenarios hold. The same seed gives the same run, bit by bit.</p>",
        *(_section(outcome) for outcome in outcomes),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _section(outcome: Outcome) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in outcome.figures
    )
    checks = "".join(
        f"<li class='{'holds' if holds else 'failed'}'>{escape(sentence)}{'' if holds else ': FAILED'}</li>"
        for sentence, holds in outcome.checks
    )
    trace = f"<p><code>seed {outcome.seed}, trace {escape(outcome.trace or '-')}</code></p>"
    return f"<h2>{escape(outcome.scenario)}</h2><table>{rows}</table><ul>{checks}</ul>{trace}" + "".join(
        f"<div>{svg}</div>" for svg in outcome.plots
    )
