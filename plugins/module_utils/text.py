# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of others, such as an app's answers and log lines, on its way to somebody who reads it."""

from __future__ import annotations

import re

# What a terminal obeys instead of showing it: the controls of C0 and C1 but the ends of lines and tabs, and what turns the direction of
# writing (Unicode's bidirectional formatting).
CONTROL = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text):
    """The text with every character that a terminal obeys written out, such as ``\\x1b``."""
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}" if ord(match[0]) < 256 else f"\\u{ord(match[0]):04x}", text)
