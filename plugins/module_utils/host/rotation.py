# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logs a host's own files of logrotate name: of one that two of them name, logrotate skips the second."""

from __future__ import annotations

import re

from ..text import read
from .limits import names_in

FOLDER = "/etc/logrotate.d"
OURS = "mainstay-"
COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
SCRIPT = re.compile(r"^\s*(?:(?:pre|post)rotate|(?:first|last|pre)action)\b.*?^\s*endscript\b", re.MULTILINE | re.DOTALL)
HEAD = re.compile(r"([^{}]*)\{[^{}]*\}")
PATTERN = re.compile(r"\"(/[^\"]*)\"|'(/[^']*)'|(?:^|(?<=\s))(/\S+)")


def rotated(root="/"):
    """``[{file, pattern}]`` of the owner's files, in the order in which logrotate reads them."""
    found = []
    for name in names_in(f"{root}{FOLDER}"):
        if not name.startswith(OURS):
            text = SCRIPT.sub("", COMMENT.sub("", read(f"{root}{FOLDER}/{name}")))
            patterns = ("".join(groups) for head in HEAD.findall(text) for groups in PATTERN.findall(head))
            found += [{"file": f"{FOLDER}/{name}", "pattern": pattern} for pattern in dict.fromkeys(patterns)]
    return found
