# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host that undo what the stack's own say, at once or with the next boot: each program reads many, in an order of its own.

The stack's files are the last of their folders, by names that begin with zz; what comes after them all the same is found here.
"""

from __future__ import annotations

import glob
import os
import re

from ..text import read
from . import sshd
from .limits import below, names_in

OURS = re.compile(r"zz-mainstay.*")
PLACES = ("/usr/lib", "/usr/local/lib", "/run", "/etc")  # of two files with one name that of the last place is read
# Of sshd only what decides who gets in, and how: a Match may well forbid more, or set a group's keep-alive.
LOGIN = ("kbdinteractiveauthentication", "passwordauthentication", "permitemptypasswords", "permitrootlogin")
APT_TOKEN = re.compile(r'"([^"\n]*)"|/\*.*?\*/|(?://|#(?!clear|include))[^\n]*|([{};])|([^\s{};"]+)', re.DOTALL)


def undone(root="/"):
    """``[{file, name, value, wanted}]``: of each such setting the file that has the last word, and what the stack's own file wants."""
    found = [
        *_last("sysctl.d", _sysctl, root),
        *_last("systemd/journald.conf.d", _assignments, root),
        *_last("security/limits.d", _limits, root, places=PLACES[-1:]),
        *_last("apt/apt.conf.d", _apt, root, places=PLACES[-1:], ends="", after=["/etc/apt/apt.conf"]),
        *_first_of_sshd(root),
        *_last_of_postgresql(root),
    ]
    return [dict(zip(("file", "name", "value", "wanted"), row)) for row in found]


def _last(folder, settings, root, places=PLACES, ends=".conf", after=()):
    """Where the last value of a setting is not the stack's, though a file of the stack's has one."""
    files = {name: f"{place}/{folder}/{name}" for place in places for name in names_in(below(root, f"{place}/{folder}"))}
    wanted, has = {}, {}
    for file in [*(files[name] for name in sorted(files) if name.endswith(ends)), *after]:
        for name, value in settings(read(below(root, file))):
            has[name] = (file, value)
            if OURS.fullmatch(os.path.basename(file)):
                wanted[name] = value
    for name, value in wanted.items():
        file, other = has[name]
        if other != value:
            yield file, name, other, value


def _sysctl(text):
    """What is set by name; a pattern leaves alone what is named anywhere."""
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("-").partition("=")
        name = name.strip()
        if equals and not name.startswith(("#", ";")) and not set(name) & set("*?["):
            first = re.search(r"[./]", name)
            yield (
                name.replace("/", "\0").replace(".", "/").replace("\0", ".") if first and first[0] == "/" else name,
                " ".join(value.split()),
            )


def _assignments(text):
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith(("#", ";")):
            yield name.strip(), value.strip()


def _limits(text):
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) == 4:
            domain, kind, item, value = words
            yield from ((f"{domain} {each} {item}", value) for each in (("soft", "hard") if kind == "-" else (kind,)))


def _apt(text):
    """The values of apt's configuration, by their whole names; lists add up, and have none."""
    stack, words = [], []
    for value, sign, word in (match.groups() for match in APT_TOKEN.finditer(text)):
        if value is not None:
            words.append(value)
        elif word:
            words.append(word)
        elif sign == "{":
            stack.append("".join(words))
            words = []
        elif sign:
            if len(words) == 2 and words[0] != "#clear" and not words[0].endswith("::"):
                yield "::".join([*stack, words[0]]), words[1]
            stack = stack[:-1] if sign == "}" else stack
            words = []


def _first_of_sshd(root):
    """What sshd takes before the stack's file, whose first value counts, and in a Match, which counts for whom it is about."""
    ours = dict(sshd.values(read(below(root, sshd.OURS))))
    comes_first = True
    for name, value, file, conditional in sshd.lines(root):
        comes_first = comes_first and name is not None
        wanted = ours.get(name)
        if name in LOGIN and wanted is not None and (comes_first or conditional) and sshd.meaning(value) != sshd.meaning(wanted):
            yield file, name, value, wanted


def _last_of_postgresql(root):
    """What ``ALTER SYSTEM`` has written, and the files of ``conf.d`` after the stack's."""
    for ours in sorted(glob.glob(below(root, "/etc/postgresql/*/main/conf.d/zz-mainstay.conf"))):
        folder = os.path.dirname(ours)
        main = dict(_quoted(read(f"{os.path.dirname(folder)}/postgresql.conf")))
        later = [f"{folder}/{name}" for name in names_in(folder) if name.endswith(".conf") and name > os.path.basename(ours)]
        later += [below(root, f"{main['data_directory']}/postgresql.auto.conf")] if "data_directory" in main else []
        wanted, has = dict(_quoted(read(ours))), {}
        for file in later:
            has.update((name, (file, value)) for name, value in _quoted(read(file)))
        for name, (file, value) in has.items():
            if _amount(value) != _amount(wanted.get(name, value)):
                yield f"/{os.path.relpath(file, root)}", name, value, wanted[name]


# As the server reads them: 'name = value', with or without the sign and the quotes.
POSTGRESQL_LINE = re.compile(r"^[ \t]*([A-Za-z_][\w.$]*)[ \t]*(?:=[ \t]*|[ \t])('(?:[^'\n]|'')*'|[^\s#']+)", re.MULTILINE)
AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?) *(B|kB|MB|GB|TB|us|ms|s|min|h|d)")
UNITS = {
    "kB": 1,
    "B": 1 / 1024,
    "MB": 1024,
    "GB": 1024**2,
    "TB": 1024**3,
    "ms": 1,
    "us": 0.001,
    "s": 1000,
    "min": 60000,
    "h": 3600000,
    "d": 86400000,
}
SWITCHES = {**dict.fromkeys(("on", "true", "yes"), "on"), **dict.fromkeys(("off", "false", "no"), "off")}


def _quoted(text):
    for name, value in POSTGRESQL_LINE.findall(text):
        yield name.lower(), value[1:-1].replace("''", "'") if value.startswith("'") else value


def _amount(value):
    """A setting of PostgreSQL's as it means the same: 1GB is 1024MB, and true is on."""
    match = AMOUNT.fullmatch(value)
    if match:
        return float(match[1]) * UNITS[match[2]]
    return SWITCHES.get(value.lower(), value)
