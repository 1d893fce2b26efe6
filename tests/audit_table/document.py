"""The document: what was measured, as Markdown."""

from pathlib import Path

import numpy as np

from node.inference.audit.thresholds import class_a
from tests.audit_table.bounds import least, log_normal_tail, most

STEPS_A_YEAR = 365 * 86_400 * 3 * (2 * 0.02 + 0.05)
"""Opened, of a picture a second: 3 by each of two auditors of 2 % of them, and by the buyer of 5 %."""
EVER_ACCUSED_MAX = 1e-3
TEMPLATE = Path(__file__).parent / "template.md"


def percent(share):
    return f"{share:.0%}" if share else "0"


def document(honest, cheats, passed, lazy, place):
    """The whole of it, of dictionaries as `__main__` keeps them.

    :param honest: a row of each setting. :param cheats: of each cheat that must be found.
    :param passed: of those that need not. :param lazy: by name: sketches, and how many held.
    """
    faked, seen = (sum(row[name] for row in cheats) for name in ("faked", "seen"))
    return TEMPLATE.read_text().format(
        place=place,
        honest_rows="".join(map(honest_row, honest)),
        cheat_rows="".join(map(cheat_row, cheats)),
        passed_rows="".join(map(passed_row, passed)),
        lazy_rows="".join(f"| {name} | {trials:,} | {held} |\n" for name, (trials, held) in lazy.items()),
        found=seen,
        faked=faked,
        found_rate=least(seen, faked),
        guess=class_a().sketch.guess,
        **of_honest_work(honest),
    )


def honest_row(row):
    scores = np.array(row["scores"])
    return (
        f"| {row['name']} | {row['instructions']} | {scores.size:,} | {len(row['findings'])} "
        f"| {np.median(scores):.1e} / {np.quantile(scores, 0.999):.1e} / {scores.max():.1e} "
        f"| {max(row['distances']):.1e} | {row['held']:,} of {row['sketches']:,} |\n"
    )


def tail_of(row, accuse):
    """Chance that a step of a setting accuses: the smaller of two estimates, each of which bounds it.

    By its excess, where there is one; and by how far the two were apart, which no excess is beyond.
    """
    positive = sum(score > 0 for score in row["scores"]) / len(row["scores"])
    by_excess = positive * log_normal_tail(row["scores"], accuse)
    # Of a step two outputs are compared.
    return min(by_excess, 2 * log_normal_tail(row["distances"], accuse))


def of_honest_work(honest):
    """What all settings come to, and a year of the worst of them."""
    scores = np.concatenate([row["scores"] for row in honest])
    findings = sum(len(row["findings"]) for row in honest)
    held, sketches = (sum(row[name] for row in honest) for name in ("held", "sketches"))
    accuse = class_a().accuse_single
    tails = {row["name"]: tail_of(row, accuse) for row in honest}
    worst = max(tails, key=lambda name: tails[name])
    return {
        "findings": findings,
        "steps": scores.size,
        "bound": most(findings, scores.size),
        "largest": scores.max(),
        "parts": accuse / scores.max(),
        "held": held,
        "sketches": sketches,
        "rate": least(held, sketches),
        "year": STEPS_A_YEAR,
        "accuse": accuse,
        "chance": tails[worst],
        "worst": worst,
        "ever": min(1.0, STEPS_A_YEAR * tails[worst]),
        "goal": EVER_ACCUSED_MAX,
    }


def cheat_row(row):
    scores = row["scores"]
    excess = f"{min(scores):.1e} / {np.median(scores):.1e}" if row["check"] == "R" else "honest"
    return (
        f"| {row['name']} | {percent(row['saves'])} | {row['check']} | {row['seen']:,} of {row['faked']:,} "
        f"| {least(row['seen'], row['faked']):.2%} | {excess} | {moves(row)} |\n"
    )


def passed_row(row):
    seen = f"{row['seen']:,} of {row['faked']:,}"
    return f"| {row['name']} | {seen} | {max(row['scores']):.1e} | {moves(row)} |\n"


def moves(row):
    return f"{np.median(row['levels']):.0f}, {max(row['levels'])}"
