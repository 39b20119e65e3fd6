# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A draft as YAML: each line with what it was guessed from, and TODO where only the user knows."""

from __future__ import annotations

import json
import re

WIDTH = 140
LONGEST = 1500
PLAIN = re.compile(r"[A-Za-z/.$][A-Za-z0-9_/.$@+=:-]*(?: [A-Za-z0-9_/.$@+=:-]+)*")
# What YAML reads as something else than a text.
WORDS = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~|\.inf|\.nan|[0-9.]+(e[0-9]+)?")


class Said:
    """A value, or a mapping of further ones, and why it stands there."""

    def __init__(self, value, why=""):
        self.value, self.why = value, why


class Todo(str):
    """A line that stands as a comment: what cannot be known, or has to be looked at."""

    __slots__ = ()


def clean(text):
    """A text of a source within a comment: one line, without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in " ".join(str(text).split()))[:LONGEST]


def short(text):
    """The beginning of a text of a source, to be told it by."""
    text = clean(text)
    return text if len(text) <= 80 else f"{text[:79]}…"


def scalar(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    is_plain = PLAIN.fullmatch(value) and not WORDS.fullmatch(value) and not re.search(r":( |$)", value)
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def flow(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def lines(entries, depth=0):
    """The lines of a mapping: ``{key: Said}``, with a Todo under any key of its own."""
    indent = "  " * depth
    for key, entry in entries.items():
        if isinstance(entry, Todo):
            yield from comment(f"TODO: {entry}", indent)
            continue
        nested = is_nested(entry)
        line = f"{indent}{scalar(key)}:" + ("" if nested else f" {flow(entry.value)}")
        why = clean(entry.why)
        if why and len(line) + len(why) + 3 > WIDTH:
            yield from comment(why, indent)
            why = ""
        yield f"{line}  # {why}" if why else line
        if nested:
            yield from lines(entry.value, depth + 1)


def comment(text, indent=""):
    """A comment, folded where it is long."""
    line = f"{indent}#"
    for word in clean(text).split(" "):
        if len(line) + len(word) + 1 > WIDTH:
            yield line
            line = f"{indent}#  "
        line += f" {word}"
    yield line


def document(entries, head=(), modeline=""):
    return "\n".join([*([modeline] if modeline else []), "---", *(line for text in head for line in comment(text)), *lines(entries)]) + "\n"


def is_nested(entry):
    return isinstance(entry.value, dict) and any(isinstance(item, (Said, Todo)) for item in entry.value.values())


def bare(entries):
    """The values alone, as a YAML parser would find them."""
    return {key: bare(entry.value) if is_nested(entry) else entry.value for key, entry in entries.items() if isinstance(entry, Said)}
