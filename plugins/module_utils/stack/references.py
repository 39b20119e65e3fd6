# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared values that refer to variables of the app: ``$NAME`` or ``${NAME}``, and ``$$`` for a dollar."""

from __future__ import annotations

import re

REFERENCE = re.compile(r"\$(?:(\$)|(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*)))")


def names(text):
    """The variables that a text refers to."""
    return {braced or bare for dollar, braced, bare in REFERENCE.findall(text) if not dollar}


def resolve(text, variables):
    """The text with each reference replaced by the value of that variable.

    :raises KeyError: the variable is not there; a declaration that was read by ``apps`` has no such reference.
    """
    return REFERENCE.sub(lambda match: match[1] or variables[match[2] or match[3]], text)
