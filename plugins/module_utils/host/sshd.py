# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sshd's own files say before and beside the one that the role ssh writes: of each setting the first value holds."""

from __future__ import annotations

import fnmatch
import glob
import os
import re

from ..text import read
from .limits import below

FOLDER = "/etc/ssh"
MAIN, OURS = f"{FOLDER}/sshd_config", f"{FOLDER}/sshd_config.d/00-mainstay.conf"
DEEPEST = 16  # as sshd has it
FORMER_VALUES = {"without-password": "prohibit-password"}
LINE = re.compile(r"^\s*(?P<name>[A-Za-z0-9]+)(?:\s*=\s*|\s+)(?P<value>.*?)\s*$")


def sshd(root="/"):
    """``{reads, before, asks}``, empty without sshd: whether the role's file counts for everybody, what is set before it (``{name, value, file}``,
    names small), and the files in which a login has to answer questions, such as for a code of one's telephone."""
    if not os.path.exists(below(root, MAIN)):
        return {}
    found = list(lines(root))
    ours = next((number for number, (name, *_rest) in enumerate(found) if name is None), None)
    reads = ours is not None and not found[ours][3]
    before = [
        {"name": name, "value": meaning(value), "file": file}
        for name, value, file, conditional in found[:ours]
        if reads and not conditional
    ]
    asks = [
        file for name, value, file, _conditional in found if name == "authenticationmethods" and "keyboard-interactive" in value.lower()
    ]
    return {"reads": reads, "before": before, "asks": list(dict.fromkeys(asks))}


def lines(root="/"):
    """(name, value, file, whether a Match stands above) of all lines, in the order in which sshd reads them; the name of our file's is None."""
    return _lines(MAIN, root)


def values(text):
    """(name, value) of the lines of one file."""
    for line in text.splitlines():
        found = LINE.match(line)
        if found:
            yield found["name"].lower(), found["value"]


def meaning(value):
    """A value as it is compared: without quotes and a comment behind it, and by its newer name."""
    text = value.split(" #")[0].strip().strip('"')
    return FORMER_VALUES.get(text.lower(), text)


def _lines(file, root, conditional=False, depth=0):
    for name, value in values(read(below(root, file))):
        if name == "match":
            conditional = value.split("#")[0].strip().lower() != "all"
        elif name != "include":
            yield name, value, file, conditional
        elif depth < DEEPEST:
            for pattern in value.replace('"', "").split():
                for path in _matching(os.path.join(FOLDER, pattern), root):
                    if path == OURS:
                        yield None, "", path, conditional
                    else:
                        yield from _lines(path, root, conditional, depth + 1)  # a Match in it ends with it


def _matching(pattern, root):
    """The files of an Include, with ours where it would be one."""
    found = {"/" + os.path.relpath(path, root) for path in glob.glob(below(root, pattern))}
    return sorted(found | ({OURS} if fnmatch.fnmatchcase(OURS, pattern) else set()))
