# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves and bars as SVG, of the status page and of the report of a verification.

Each has a title and a description for who does not see it. Shapes tell what colours tell.
"""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from itertools import count

from .text import printable

DAY = 86400
FULL, MOST = 99.9, 99.0  # percent: a whole day, and one with little time down
HEIGHTS = ((FULL, "good", 20), (MOST, "warn", 13), (0, "bad", 7))


def text(value, most=300):
    """Somebody's words as a part of the page: on one line, so long, and nothing in it that a browser obeys."""
    line = printable(" ".join(str(value).split()))
    return escape(line if len(line) <= most else f"{line[: most - 1]}…")


class Charts:
    """Makes them, with names that no two on the page share."""

    def __init__(self):
        self.numbers = count(1)

    def _svg(self, kind, size, title, description, body):
        number = next(self.numbers)
        return (
            f'<svg class="{kind}" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-labelledby="t{number} d{number}" '
            f'preserveAspectRatio="none"><title id="t{number}">{text(title)}</title><desc id="d{number}">{text(description)}</desc>{body}</svg>'
        )

    def curve(self, title, points, span, step, unit, limit=None, size=(144, 32), kind="spark"):
        """A curve of ``[(time, mean, high), …]`` over a span (from, until); where nothing was seen it has a gap.

        :param limit: drawn as a dashed line, where it is not far above.
        """
        if not points:
            return ""
        values = [mean for _time, mean, _high in points]
        lowest, mean, highest = min(values), sum(values) / len(values), max(high for _time, _mean, high in points)
        # A single peak would press all else flat: it leaves the picture at the top, and the description tells it.
        top = max(min(highest * 1.15, max(values) * 1.6), limit * 1.05 if limit and limit < 3 * highest else 0) or 1
        description = f"lowest {amount(lowest)}, mean {amount(mean)}, highest {amount(highest)} {unit}"
        if limit:
            description += f", the limit is {amount(limit)} {unit}"
        width, height = size

        def place(time, value):
            return f"{max(0, min(width, (time - span[0]) / (span[1] - span[0]) * width)):.1f} {height - 1 - min(value / top, 1) * (height - 3):.1f}"

        lines, areas = [], []
        for piece in _pieces(points, 2.5 * step):
            middle = [(time + step / 2, value) for time, value, _high in piece]
            if len(middle) == 1:  # a single look is a dash
                middle = [(piece[0][0], piece[0][1]), (piece[0][0] + step, piece[0][1])]
            lines.append("M" + "L".join(place(*point) for point in middle))
            edge = [(time + step / 2, high) for time, _mean, high in piece]
            base = [(edge[-1][0], 0), (edge[0][0], 0)]
            areas.append("M" + "L".join(place(*point) for point in [*edge, *base]) + "Z")
        body = f'<path class="area" d="{"".join(areas)}"/><path class="line" d="{"".join(lines)}"/>'
        if limit and limit <= top:
            level = place(0, limit).split()[1]
            body += f'<path class="limit" d="M0 {level}H{width}"/>'
        return self._svg(kind, size, title, description, body)

    def days(self, title, hours, now, number=30):
        """A bar for each day, a short one where something was down; of an unknown day a dot."""
        shares = {}
        for begin, times, _low, mean, _high in hours:
            known = shares.setdefault(begin // DAY, [0, 0.0])
            known[0] += times
            known[1] += times * mean
        today, body, told = int(now) // DAY, [], []
        for index in range(number):
            day = today - number + 1 + index
            name = datetime.fromtimestamp(day * DAY, timezone.utc).strftime("%Y-%m-%d")
            seen, up = shares.get(day, (0, 0))
            if not seen:
                body.append(f'<rect class="none" x="{index * 6 + 1}" y="18" width="2" height="2"><title>{name}: not known</title></rect>')
                continue
            share = 100 * min(up / seen, 1)
            kind, height = next((kind, height) for least, kind, height in HEIGHTS if share >= least)
            if kind != "good":
                told.append(f"{name} {share:.1f} %")
            body.append(
                f'<rect class="{kind}" x="{index * 6}" y="{20 - height}" width="4" height="{height}"><title>{name}: {share:.1f} %</title></rect>'
            )
        known = sum(today - number < day <= today for day in shares)
        description = f"{known} of {number} days are known; " + (f"with time down: {', '.join(told)}" if told else "none had time down")
        return self._svg("days", (number * 6 - 2, 20), title, description, "".join(body))

    def part(self, title, value, whole, kind="good"):
        """How much of a whole is used."""
        share = max(0.0, min(100.0, 100 * value / whole)) if whole else 0.0
        body = f'<rect class="rest" width="100" height="8"/><rect class="{kind}" width="{share:.1f}" height="8"/>'
        return self._svg("bar", (100, 8), title, f"{amount(value)} of {amount(whole)}, {share:.0f} %", body)


def _pieces(points, gap):
    """The points in pieces, between which nothing was seen."""
    piece = []
    for point in points:
        if piece and point[0] - piece[-1][0] > gap:
            yield piece
            piece = []
        piece.append(point)
    yield piece


def amount(value):
    """A number as people write it: three digits that count."""
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
