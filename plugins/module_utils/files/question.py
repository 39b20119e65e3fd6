# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one shell command that asks whether a host agrees with what is declared, and its answer."""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex
import stat

_MAGIC = re.compile(r"([*?]|\[!?[\w.-]+\])")
_BEGIN, _END = "mainstay probe", "mainstay end"
_STAT = r"--printf='%n\0%f\0%u\0%g\0%U\0%G\0'"

PROBE = r"""
LC_ALL=C
export LC_ALL
each() {{ [ "$#" -eq 0 ] || printf '%s\0' "$@"; }}
plain() {{ for path; do if [ -f "$path" ] && [ ! -L "$path" ]; then printf '%s\0' "$path"; fi; done; }}
found() {{ for path; do if [ -f "$path" ] || [ -L "$path" ]; then printf '%s\0' "$path"; fi; done; }}
exec 3>&1
printf '{begin}\0'
problems=$({{
  each {paths} | xargs -0 -r stat {stat} --
  printf 'directories\0'
  each {directories} | xargs -0 -r stat -L {stat} --
  printf 'digests\0'
  plain {files} | xargs -0 -r sha256sum -z --
  printf 'secrets\0'
  for path in {secrets}; do
    if [ -f "$path" ] && [ ! -L "$path" ]; then
      each "$path" "$({{ printf '%s' {salt}; cat -- "$path"; }} | sha256sum)"
    fi
  done
}} 2>&1 >&3)
case $problems in *'ermission denied'*) printf 'denied\0' ;; esac
printf 'purge\0'
found {purge}
printf 'pending\0'
found {state}/transactions/*.json
printf 'links\0'
each {links} | xargs -0 -r readlink -z --
printf '{end}\0'
"""


def _quote_pattern(pattern):
    parts = enumerate(_MAGIC.split(pattern))
    return "".join(part if number % 2 else part and shlex.quote(part) for number, part in parts)


def probe(entries, purge, state_dir, salt):
    """A POSIX shell script that prints, NUL-separated, all that decides whether the host has this set already.

    It needs sh, coreutils and xargs. Sensitive files are hashed together with ``salt``, which never leaves this script:
    the digest of a secret is no use to whoever reads the output.
    """

    def paths(*states, sensitive=None):
        chosen = [entry for entry in entries if entry.state in states and sensitive in (None, entry.sensitive)]
        return " ".join(shlex.quote(entry.dest) for entry in chosen)

    return PROBE.format(
        begin=_BEGIN,
        end=_END,
        stat=_STAT,
        paths=paths("file", "link", "absent"),
        directories=paths("directory"),
        files=paths("file", sensitive=False),
        secrets=paths("file", sensitive=True),
        links=paths("link"),
        salt=shlex.quote(salt),
        purge=" ".join(_quote_pattern(pattern) for pattern in purge),
        state=shlex.quote(state_dir),
    )


def agrees(output, entries, salt):
    """True when the probe's output shows the set in place, with nothing to purge and nothing unfinished.

    Whatever is odd about the output counts as a difference: the module then looks for itself.
    """
    found = read_probe(output)
    if found is None:
        return False
    kept = {entry.dest for entry in entries if entry.state != "absent"}
    if found["denied"] or found["pending"] or not kept.issuperset(found["purge"]):
        return False
    targets = dict(zip([e.dest for e in entries if e.state == "link"], found["links"]))
    if len(found["links"]) != len([entry for entry in entries if entry.state == "link"]):
        return False
    return all(_entry_agrees(entry, found, targets, salt) for entry in entries)


def _entry_agrees(entry, found, targets, salt):
    status = found["status"].get(entry.dest)
    if entry.state == "absent" or status is None:
        return entry.state == "absent" and status is None
    mode, uid, gid, owner, group = status
    kinds = {"file": stat.S_ISREG, "link": stat.S_ISLNK, "directory": stat.S_ISDIR}
    if not kinds[entry.state](mode) or entry.owner not in (uid, owner) or entry.group not in (gid, group):
        return False
    if entry.state == "link":
        return targets[entry.dest] == entry.target
    if stat.S_IMODE(mode) != entry.mode:
        return False
    if entry.state == "directory":
        return True
    content = salt.encode() + entry.content if entry.sensitive else entry.content
    return found["digests"].get(entry.dest) == hashlib.sha256(content).hexdigest()


def read_probe(output):
    """The probe's output as a dict; None when it is not whole."""
    begin = output.find(f"{_BEGIN}\0")
    if begin < 0 or not output.endswith(f"\0{_END}\0"):
        return None
    fields = iter(output[begin:].split("\0")[1:-2])
    found = {"status": {}, "digests": {}, "denied": False, "purge": [], "pending": [], "links": []}
    section = "paths"
    try:
        for field in fields:
            if section != "links" and not field.startswith("/") and field in _SECTIONS:
                section = field
                found["denied"] |= section == "denied"
            elif section in ("paths", "directories"):
                mode, uid, gid, owner, group = itertools.islice(fields, 5)
                found["status"][field] = (int(mode, 16), uid, gid, owner, group)
            elif section == "digests":
                found["digests"][field[66:]] = field[:64]
            elif section == "secrets":
                found["digests"][field] = next(fields)[:64]
            else:
                found[section].append(field)
    except (StopIteration, ValueError, KeyError):
        return None
    return found


_SECTIONS = ("directories", "digests", "secrets", "denied", "purge", "pending", "links")
