# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that say where they come from, and the arithmetic of the plan."""

from __future__ import annotations

from collections import namedtuple


class Figure(int):
    """A planned number that can say why: the formula with its inputs, and the bound that decided."""

    def __new__(cls, value, reason, *inputs):
        figure = super().__new__(cls, value)
        figure.reason, figure.inputs = reason, inputs
        return figure

    @property
    def why(self):
        return self.reason.format(*(given() if callable(given) else given for given in self.inputs))


Choice = namedtuple("Choice", "value why")


def least(**bounds):
    """The smallest of some named bounds; each is a number, its arithmetic and its inputs, or None for no bound."""
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    decisive = min(bounds, key=lambda name: bounds[name][0])

    def listed():
        return "; ".join(f"{name} {text.format(*inputs)}" for name, (_value, text, *inputs) in bounds.items())

    return Figure(bounds[decisive][0], "{}; decided by {}", listed, decisive)


def clamp(value, low, high, formula):
    """A number kept between two bounds, and which of them decided."""
    if value < low:
        return Figure(low, "{} = {}, but at least {}; decided by the lower bound", formula, value, low)
    if high is not None and value > high:
        return Figure(high, "{} = {}, but at most {}; decided by the upper bound", formula, value, high)
    return Figure(value, "{}; decided by the formula", formula)


def ceiling_bound(ceiling):
    """The bound that keeps the sum of all connections possible, where one is needed at all."""
    return None if ceiling is None else (ceiling, "at most {} within max_connections", ceiling)


def steps(share, price, first=1):
    """The bound on what starts with some and gets one more for each time its price goes into the share."""
    number = first + share // price
    return number, "{} + share {} / {} = {}", first, share, price, number


def divide_up(number, divisor):
    return -(-number // divisor)


def round_down(number, step):
    return number - number % step


def first_true(predicate, low, high):
    """The smallest number for which a predicate holds that holds from there on; ``high`` if for none before it."""
    while low < high:
        middle = (low + high) // 2
        if predicate(middle):
            high = middle
        else:
            low = middle + 1
    return low


def power_of_two(number):
    """The next power of two that is not smaller."""
    return 1 << max(0, number - 1).bit_length()
