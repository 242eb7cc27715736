"""Line charts as SVG, small enough to be committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 36, 48
COLOURS = ("#0b6e4f", "#c8553d", "#3d5a80", "#8a6d3b")
Points = Sequence[tuple[float, float]]


def line_chart(title: str, x_title: str, y_title: str, series: Mapping[str, Points]) -> str:
    """A chart with both axes from zero."""
    most_x = max(x for points in series.values() for x, _ in points)
    most_y = _round_up(max(y for points in series.values() for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + x / most_x * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        "<style>text{font-size:12px}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_title)}</text>',
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>',
    ]
    for share in range(5):
        value = most_y * share / 4
        _, y = place(0, value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in sorted({x for points in series.values() for x, _ in points}):
        x, y = place(value, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{value / 1000:g}k</text>')
    for number, (name, points) in enumerate(series.items()):
        parts += _line(name, [place(*one) for one in points], COLOURS[number % len(COLOURS)], TOP + 14 + 20 * number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(name: str, places: Points, colour: str, legend_y: float) -> list[str]:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return [
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        f'<text x="{WIDTH - RIGHT + 12}" y="{legend_y}" fill="{colour}">{escape(name)}</text>',
    ]


def _round_up(value: float) -> float:
    """The next number that four equal steps divide nicely."""
    step = 1.0
    while step * 10 <= value:
        step *= 10
    while step > value:
        step /= 10
    return next(step * one for one in (1, 2, 4, 6, 8, 10, 20) if step * one >= value)
