# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to their rotated logs, and from declared logs to what logrotate reads."""

from __future__ import annotations

import fnmatch
import posixpath
import re

from ..stack.apps import normalise
from ..stack.refusal import DeclarationError, mapping
from ..stack.tiers import tiers_of

LOG_PATH = re.compile(r"/[A-Za-z0-9._/@+*?\[\]-]+")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]*")
LOG_SIZE = re.compile(r"[1-9]\d*[kMG]?")


# Log rotation


def logrotate_files(apps, plan=None, hostname=None):
    """The log files of the apps where they run: relative to ``/srv/<app>/shared``, the folder that all releases have in common."""
    if "backend" not in tiers_of(plan or {}, hostname):
        return []
    return [
        {
            "name": app["name"],
            "user": app["user"],
            "group": app["user"],
            "paths": [f"{app['root']}/shared/{path}" for path in app["logs"]],
        }
        for app in normalise(apps).values()
        if app["logs"]
    ]


def logrotate_stanzas(files, frequency="daily", rotate=14, maxsize="100M"):
    """Each entry of ``logrotate_files`` with every key a stanza needs.

    Without commands that make the program reopen its log it goes on writing to the file it holds: then the file is
    copied and truncated instead of renamed.
    """
    stanzas = []
    for index, item in enumerate(files):
        where = f"logrotate_files[{index}]"
        mapping(item, where, ("name", "paths", "user", "group", "frequency", "rotate", "maxsize", "postrotate"), ("name", "paths", "user"))
        stanza = {
            "name": item["name"],
            "paths": list(item["paths"]),
            "user": item["user"],
            "group": item.get("group") or item["user"],
            "frequency": item.get("frequency") or frequency,
            "rotate": int(rotate if item.get("rotate") is None else item["rotate"]),
            "maxsize": item.get("maxsize") or maxsize,
            "postrotate": list(item.get("postrotate") or []),
        }
        for path in stanza["paths"]:
            if not LOG_PATH.fullmatch(path) or posixpath.normpath(path) != path:
                remedy = "Write an absolute path without spaces, quotes or '..'; * ? and [] are patterns."
                raise DeclarationError(f"{where}.paths", path, remedy)
            if path.endswith("*"):
                remedy = f"It matches the rotated files, too. End it with the logs' suffix: {path}.log."
                raise DeclarationError(f"{where}.paths", path, remedy)
        for key in ("name", "user", "group"):
            if not ACCOUNT.fullmatch(stanza[key]):
                raise DeclarationError(f"{where}.{key}", stanza[key], "Use small letters, digits, '-' and '_'.")
        if stanza["frequency"] not in ("hourly", "daily", "weekly", "monthly"):
            raise DeclarationError(f"{where}.frequency", stanza["frequency"], "Use hourly, daily, weekly or monthly.")
        if not LOG_SIZE.fullmatch(str(stanza["maxsize"])):
            raise DeclarationError(f"{where}.maxsize", stanza["maxsize"], "Write a size such as 100M.")
        if any("\n" in command or command.strip() == "endscript" for command in stanza["postrotate"]):
            raise DeclarationError(f"{where}.postrotate", stanza["postrotate"], "Write one command in each item.")
        stanzas.append(stanza)
    return stanzas


def refuse_rotated_twice(files, rotated, hostname):
    """Refuse logs that a file of the owner's rotates already: logrotate would skip the second that it reads.

    :param files: ``logrotate_files``.
    :param rotated: the snapshot's ``rotated``.
    """
    for item in files:
        for path in item["paths"]:
            twice = next((each for each in rotated if _meet(path, each["pattern"])), None)
            if twice:
                raise ValueError(
                    f"{hostname}: {twice['file']} rotates {twice['pattern']} already, and logrotate skips a log that two files name, as {path} would be. "
                    f"Take it out of that file, or {path} out of the app's logs. Nothing has changed."
                )


def _meet(one, other):
    """Whether two patterns can name one file, as far as one of them is a name of the other's."""
    return fnmatch.fnmatchcase(one, other) or fnmatch.fnmatchcase(other, one)
