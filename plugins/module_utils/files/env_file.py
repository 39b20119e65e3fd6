# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of environment variables: what their values must be, and how they are read and written.

No message of this module holds a value of a variable that is or looks like a secret.
"""

from __future__ import annotations

import json
import re
import secrets
from urllib.parse import urlsplit

from ..stack.placeholders import MIN_LENGTH, REMEDY, is_secret, placeholder, url_password, weakness
from ..stack.refusal import ReleaseError
from ..stack.variables import env_text
from ..text import MASK

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TYPES = ("str", "int", "float", "bool", "url", "path", "json")
HEADER = "# Managed by Ansible (mainstay.vps.env_file); changes by hand are lost.\n"
GENERATED_BYTES = 64


class EnvError(ValueError):
    """Variables that cannot be used: one line for each problem, with the variable, the masked value and the remedy."""


# --- types --------------------------------------------------------------------------------------------------------------


def typed(value, kind):
    """A value as it stands in the file; ValueError with what to write instead."""
    if kind == "json":
        return _json(value)
    if isinstance(value, (dict, list)) or value is None:
        raise ValueError(f"write a text, a number, true or false (type: json takes lists and mappings), not a {_kind(value)}")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"int": _int, "float": _float, "bool": _bool, "url": _url, "path": _path, "str": str}[kind](text)


def _kind(value):
    return {dict: "mapping", list: "list", type(None): "null"}[type(value)]


def _json(value):
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            raise ValueError("write JSON, or a list or mapping to make it from") from None
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _int(text):
    if not re.fullmatch(r"[+-]?\d+", text.strip()):
        raise ValueError("write a whole number")
    return str(int(text))


def _float(text):
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text.strip()):
        raise ValueError("write a number")
    return text.strip()


def _bool(text):
    words = {"true": ("true", "yes", "on", "1"), "false": ("false", "no", "off", "0")}
    for result, known in words.items():
        if text.strip().lower() in known:
            return result
    raise ValueError("write true or false")


def _url(text):
    remedy = "write a URL with scheme and host, such as https://example.com/path"
    try:
        parts = urlsplit(text)
        host = parts.hostname or (parts.path if parts.scheme in ("unix", "file", "sqlite") else "")
        _port = parts.port
    except ValueError:
        raise ValueError(remedy) from None
    if not parts.scheme or not host or re.search(r"\s", text):
        raise ValueError(remedy)
    return text


def _path(text):
    if not text.startswith("/") or "\0" in text or "\n" in text:
        raise ValueError("write an absolute path")
    return text


# --- a file -------------------------------------------------------------------------------------------------------------

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*", re.ASCII)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#[^\n]*)?(?:\n|\Z)', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_BARE = re.compile(r"([^\n'\"]*?)[ \t]*(?:[ \t]#[^\n]*)?(?:\n|\Z)")
_SKIP = re.compile(r"[ \t]*(?:[#;][^\n]*)?(?:\n|\Z)")


def parse(text):
    """The variables of a file, {name: value}; EnvError with the number of the first line that cannot be read."""
    found, position = {}, 0
    while position < len(text):
        skipped = _SKIP.match(text, position)
        if skipped and skipped.end() > position:
            position = skipped.end()
            continue
        start = _LINE.match(text, position)
        value, end = _value(text, start.end()) if start else (None, 0)
        if value is None:
            number = text.count("\n", 0, position) + 1
            raise EnvError(f"line {number} is no NAME=value. Correct the line, or remove the file.")
        found[start[1]] = value
        position = end
    return found


def _unescaped(text):
    """In one pass: a backslash before a backslash belongs to it, not to the line's end that may follow."""
    return re.sub(r'\\(["\\`$\n])', lambda match: match[1].strip("\n"), text)


def _value(text, position):
    for pattern in (_DOUBLE, _SINGLE, _BARE):
        match = pattern.match(text, position)
        if match:
            return (_unescaped(match[1]) if pattern is _DOUBLE else match[1]), match.end()
    return None, 0


KEYS = ("value", "type", "secret", "generate", "min_length")


def declared(variables):
    """What a task says of each variable, complete: a plain value, or a mapping with value, type and so on.

    :raises EnvError: every problem, one line each.
    """
    result, problems = {}, []
    for name, given in variables.items():
        item = given if isinstance(given, dict) else {"value": given}
        unknown = [str(key) for key in item if key not in KEYS]
        kind, length = item.get("type") or "str", item.get("min_length", MIN_LENGTH)
        if not NAME.fullmatch(name):
            problems.append(f"{name}: it is no name of a variable. Use letters, digits and '_', and begin with no digit.")
        elif unknown:
            remedy = "For a mapping as a value, write value: {…} and type: json."
            problems.append(f"{name}: unknown key {unknown[0]!r}. Known keys: {', '.join(KEYS)}. {remedy}")
        elif kind not in TYPES:
            problems.append(f"{name}: type is {kind!r}. Known types: {', '.join(TYPES)}.")
        elif any(not isinstance(item.get(key, False), bool) for key in ("secret", "generate")):
            problems.append(f"{name}: secret and generate are true or false.")
        elif isinstance(length, bool) or not isinstance(length, int) or length < 1:
            problems.append(f"{name}: min_length is {length!r}. Write a number of characters.")
        result[name] = {
            "value": item.get("value"),
            "type": kind,
            "secret": item.get("secret", is_secret(name) and kind in ("str", "url")),
            "generate": item.get("generate", False),
            "min_length": length,
        }
    if problems:
        raise EnvError("\n".join(problems))
    return result


def compose(variables, before=None, required=(), exclusive=True, generate=secrets.token_urlsafe):
    """The variables as the file is to have them, and the names of those made now: ``(values, generated)``.

    ``variables`` is what :func:`declared` returned, ``before`` what the file holds. A generated secret is kept for ever once it
    is there; with ``exclusive`` everything that is not declared goes.

    :raises EnvError: every problem, one line each.
    """
    before = before or {}
    values, generated, problems = ({} if exclusive else dict(before)), [], {}
    for name, item in variables.items():
        problem, value = _kept(item, before.get(name, "")) if item["generate"] else _given(name, item)
        if problem:
            problems[name] = problem
        elif item["generate"] and not value:
            value = generate(GENERATED_BYTES)
            generated.append(name)
        values[name] = value
    for name in required:
        if not values.get(name):
            problems.setdefault(name, "it is required and has no value. Give it one in variables.")
    if problems:
        raise EnvError("\n".join(f"{name}: {problem}" for name, problem in problems.items()))
    return values, generated


def _kept(item, value):
    """(problem, value) of a variable that is generated, with what the file has of it."""
    if item["value"] is not None:
        return "it has a value and generate: true. Keep one of the two.", ""
    if item["type"] != "str":
        return f"a generated secret is a text, not {item['type']}. Remove type.", ""
    reason = weakness(value, item["min_length"]) if value else ""
    if reason:
        return f"the file has {MASK}, and {reason}. Remove the line from the file, and a new secret is made.", ""
    return "", value


def _given(name, item):
    """(problem, value) of a variable with a declared value; no value stands in the problem."""
    if item["value"] is None:
        return "it has no value. Give it one, or generate: true for a secret that is made here.", ""
    try:
        value = typed(item["value"], item["type"])
    except ValueError as error:
        return f"{MASK} is no {item['type']}; {error}.", ""
    password = url_password(value)
    if password is not None and placeholder(password):
        return f"the password in {MASK} is a placeholder. {REMEDY}", ""
    reason = weakness(value, item["min_length"]) if item["secret"] and password is None else ""
    if reason:
        return f"{MASK} is no secret: {reason}. {REMEDY}", ""
    try:
        env_text({name: value})
    except ReleaseError as error:
        return str(error).partition(": ")[2], ""
    return "", value


def render(values):
    return HEADER + env_text(values)


def differences(before, after):
    """What changes, for a diff: every name, no value."""

    def lines(values, other, side):
        return "".join(
            f"{name}={MASK}{'' if values[name] == other.get(name) else f' ({side})' if name in other else ''}\n" for name in sorted(values)
        )

    return lines(before, after, "old"), lines(after, before, "new")
