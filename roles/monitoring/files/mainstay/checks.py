# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a value of the configuration is refused: with its key, itself, and the remedy."""

from __future__ import annotations

import difflib
import re

UNIT = re.compile(r"[A-Za-z0-9:_.@-]+\.(service|timer)")


class ConfigError(ValueError):
    """The configuration cannot be used; the message names what to change."""


def mapping(value, where, known, required=frozenset()):
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is {value!r}; write a mapping")
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            raise ConfigError(
                f"{where} has the unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}")
            )
    for key in sorted(required):
        if value.get(key) is None:
            raise ConfigError(f"{where} has no {key}; add it")


def number(value, where, low, high, whole=False):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high or (whole and value != int(value)):
        raise ConfigError(f"{where} is {value!r}; use a {'whole ' if whole else ''}number from {low} to {high}")
    return int(value) if whole else value


def unit_name(value, where):
    if not isinstance(value, str) or not UNIT.fullmatch(value) or value.startswith("-"):
        raise ConfigError(f"{where} is {value!r}; write the name of a service or of a timer")
