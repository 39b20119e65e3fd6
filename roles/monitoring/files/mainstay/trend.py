# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a measure grows, and when it will meet its limit: by Theil's and Sen's slope, which no single jump bends."""

from __future__ import annotations

from collections import deque
from itertools import combinations

# Of all pairs of samples, so many have to rise for a growth: a plateau after a step, and a saw, have fewer.
RISING = 0.8


class Trend:
    """The last samples of one measure, taken at least `apart` seconds after each other."""

    def __init__(self, apart, least, most):
        self.apart, self.least, self.samples = apart, least, deque(maxlen=most)

    def add(self, now, value):
        if not self.samples or now - self.samples[-1][0] >= self.apart:
            self.samples.append((now, value))

    def clear(self):
        self.samples.clear()

    def slope(self):
        """Growth by the second; 0.0 while nobody can tell, and where it does not grow."""
        if len(self.samples) < self.least:
            return 0.0
        slopes = sorted((later - earlier) / (end - start) for (start, earlier), (end, later) in combinations(self.samples, 2))
        rising = sum(slope > 0 for slope in slopes)
        # The module statistics would be 0.7 MB of an agent that may be 25.
        half = len(slopes) // 2
        return max(0.0, (slopes[half] + slopes[~half]) / 2) if rising >= RISING * len(slopes) else 0.0

    def left(self, limit):
        """Seconds until the limit is met at this pace; None where it will not be."""
        slope = self.slope()
        return max(0.0, limit - self.samples[-1][1]) / slope if slope else None
