# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of others, such as an app's answers, log lines and files, on its way to somebody who reads it."""

from __future__ import annotations

import re

# What stands for a secret wherever one would be shown
MASK = "********"
# What a terminal obeys instead of showing it: the controls of C0 and C1 but the ends of lines and tabs, and what turns the direction of
# writing (Unicode's bidirectional formatting).
CONTROL = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def read(path):
    """The text of a file of the system's, and none where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def printable(text):
    """The text with every character that a terminal obeys written out, such as ``\\x1b``."""
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}" if ord(match[0]) < 256 else f"\\u{ord(match[0]):04x}", text)


def mask(text, secrets):
    """The text as it may be shown: without any of the secrets or the password of any URL, and without what a terminal obeys."""
    text = without((item for item in secrets if len(item) >= 6), text)
    return printable(re.sub(r"(\w://[^\s:/@]*:)[^\s/@]+@", rf"\1{MASK}@", text))


def without(secrets, text):
    """The text without any of the secrets; of two that contain each other, the longer goes first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
