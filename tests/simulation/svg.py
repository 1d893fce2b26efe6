"""Line plots as SVG, without a library.

Is: axes with round ticks, several named lines, an optional logarithmic x axis.
Is not: anything else that plots can have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 150, 34, 46
COLOURS = ("#0b6e4f", "#d1495b", "#30638e", "#edae49", "#6a4c93", "#555555")
TICKS_WANTED = 5

Line = tuple[str, Sequence[tuple[float, float]]]
"""A name, and points with rising x."""


def plot(
    title: str, x_name: str, y_name: str, lines: Sequence[Line], *, log_x: bool = False, y_from: float = 0.0
) -> str:
    """An SVG document. :raises ValueError: no points."""
    points = [point for _, line in lines for point in line]
    if not points:
        raise ValueError("a plot without points")
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = min(y_from, *(y for _, y in points)), max(y for _, y in points)
    x_high, y_high = max(x_high, x_low + 1e-9), max(y_high, y_low + 1e-9)

    def place_x(x: float) -> float:
        share = math.log(x / x_low) / math.log(x_high / x_low) if log_x else (x - x_low) / (x_high - x_low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def place_y(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    xs = sorted({x for x, _ in points}) if log_x else ticks(x_low, x_high)
    for x in xs:
        at = f"{place_x(x):.1f}"
        parts.append(f'<line x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{at}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{x:,g}</text>')
    for y in ticks(y_low, y_high):
        at = f"{place_y(y):.1f}"
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at}" dy="4" text-anchor="end">{y:,g}</text>')
    for number, (name, line) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{place_x(x):.1f},{place_y(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        at = TOP + 14 * number + 8
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{at}" fill="{colour}">{escape(name)}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 4}" fill="#555">{escape(y_name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two bounds, about TICKS_WANTED of them."""
    raw = (high - low) / TICKS_WANTED
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    count = int((high - first * step) / step + 1e-9) + 1
    return [round((first + number) * step, 10) for number in range(count)]


def distribution(values: Sequence[float], points: int = 100) -> list[tuple[float, float]]:
    """The cumulative distribution of values as a line: (value, per cent at or below it)."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return [(ordered[last * step // points], 100.0 * step / points) for step in range(points + 1)]
