# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ``config_set`` task says, made regular."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import shlex

from .changes import Entry

SOURCES = ("template", "content", "file", "link")
STATES = ("file", "link", "directory", "absent")
KEYS = ("dest", *SOURCES, "state", "vars", "owner", "group", "mode", "sensitive")
OPTIONS = (
    "files",
    "owner",
    "group",
    "mode",
    "purge",
    "brief",
    "validate",
    "validate_timeout",
    "backup",
    "state_dir",
    "backup_dir",
)
FILE_MODE, SENSITIVE_MODE, DIRECTORY_MODE = "0644", "0600", "0755"
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class SpecError(ValueError):
    """A declaration that cannot work: one line for each problem, with the entry, the value and the remedy."""


@dataclasses.dataclass
class Source:
    """One entry together with where its content comes from."""

    entry: Entry
    kind: str = ""  # template | content | file | '' (nothing to render)
    value: object = None
    variables: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Spec:
    """A whole task, checked and regular."""

    sources: list
    purge: list
    brief: list
    validate: list
    timeout: int
    backup: bool
    options: dict

    @property
    def entries(self):
        return [source.entry for source in self.sources]


def parse(arguments):
    """Check a task's arguments and complete them. Raises :class:`SpecError` with every problem found."""
    return _Parser(arguments).parse()


class _Parser:
    def __init__(self, arguments):
        self.arguments = {key: value for key, value in arguments.items() if value is not None}
        self.problems = []

    def parse(self):
        given = self.arguments
        self._known(given, OPTIONS, "config_set")
        files = given.get("files")
        if not isinstance(files, (list, tuple)):
            self._problem("files", f"{files!r} is not a list. Give a list of entries, each with a dest.")
            files = []
        sources = [source for number, item in enumerate(files) if (source := self._entry(number, item))]
        self._refuse_collisions([source.entry for source in sources])
        timeout = given.get("validate_timeout", 60)
        if isinstance(timeout, str) and timeout.isdigit():
            timeout = int(timeout)
        if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 1:
            self._problem("validate_timeout", f"{timeout!r} is not a number of seconds. Write a whole number above 0.")
        spec = Spec(
            sources,
            self._purge(),
            self._patterns("brief"),
            self._validate(),
            timeout,
            self._flag("backup", given.get("backup", True)),
            {key: given[key] for key in ("state_dir", "backup_dir") if key in given},
        )
        for key, value in spec.options.items():
            self._path(key, value)
        if self.problems:
            raise SpecError("\n".join(self.problems))
        return spec

    def _problem(self, where, text):
        self.problems.append(f"{where}: {text}")

    def _known(self, mapping, keys, where):
        for key in sorted(set(mapping) - set(keys), key=str):
            near = difflib.get_close_matches(str(key), keys, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            self._problem(where, f"unknown key {key!r}. {hint}Known keys: {', '.join(keys)}.")

    def _flag(self, where, value):
        if isinstance(value, bool):
            return value
        if str(value).lower() in (*TRUE, *FALSE):
            return str(value).lower() in TRUE
        self._problem(where, f"{value!r} is neither true nor false.")
        return False

    def _path(self, where, path):
        """A path that means one thing only: absolute and normal. Returns it without a closing slash."""
        if not isinstance(path, str) or not path.startswith("/"):
            self._problem(where, f"{path!r} is not an absolute path. Begin it with /.")
        elif "\0" in path:
            self._problem(where, f"{path!r} contains a NUL character, which no path can.")
        elif ".." in path.split("/"):
            self._problem(where, f"{path!r} goes through '..'. Write the path it leads to.")
        elif not path.strip("/"):
            self._problem(where, f"{path!r} is the root directory, which cannot be in a set.")
        else:
            return "/" + os.path.normpath(path).lstrip("/")
        return None

    def _entry(self, number, item):
        where = f"files[{number}]"
        if not isinstance(item, dict):
            self._problem(where, f"{item!r} is not an entry. Give a mapping with a dest.")
            return None
        given = {key: value for key, value in item.items() if value is not None}
        dest = given.get("dest")
        where = f"{where} ({dest})" if isinstance(dest, str) else where
        self._known(given, KEYS, where)
        if dest is None:
            self._problem(where, "has no dest. Say where on the host it goes.")
            return None
        dest = self._path(f"{where}: dest", dest)
        state, source = self._state(where, given)
        if state in ("file", "link") and str(given.get("dest", "")).endswith("/"):
            self._problem(where, "dest ends with a slash. Name the file itself.")
        if not dest or not state:
            return None
        sensitive = self._flag(f"{where}: sensitive", given.get("sensitive", False))
        entry = Entry(
            where,
            dest,
            state,
            self._account(where, "owner", given),
            self._account(where, "group", given),
            self._mode(where, given, state, sensitive),
            sensitive,
            target=self._target(where, given["link"]) if source == "link" else None,
        )
        variables = given.get("vars", {})
        if not isinstance(variables, dict):
            self._problem(where, f"vars is {variables!r}, not a mapping of names to values.")
            variables = {}
        elif variables and source != "template":
            self._problem(where, "vars goes with a template only. Remove vars, or name a template.")
        if source == "link" or not source:
            return Source(entry)
        value = given[source]
        if source == "content" and not isinstance(value, (str, bytes)):
            self._problem(
                where,
                f"content is a {type(value).__name__}, not a text. Pass it through to_nice_json, to_nice_yaml or string.",
            )
        elif source != "content" and (not isinstance(value, str) or not value):
            self._problem(where, f"{source} is {value!r}, not the name of a file.")
        return Source(entry, source, value, variables)

    def _state(self, where, given):
        """The state and where its content comes from."""
        sources = [key for key in SOURCES if key in given]
        state = given.get("state") or ("link" if sources == ["link"] else "file")
        if state not in STATES:
            self._problem(where, f"state is {state!r}. Known states: {', '.join(STATES)}.")
            return None, None
        wanted = {"file": ("template", "content", "file"), "link": ("link",)}.get(state, ())
        if len(sources) > 1:
            self._problem(where, f"has {' and '.join(sources)}. Keep the one that says what the file is.")
        elif sources and sources[0] not in wanted:
            self._problem(where, f"has {sources[0]}, but state is {state}. Remove one of the two.")
        elif wanted and not sources:
            self._problem(where, f"says nothing about its content. Add {' or '.join(wanted)}, or another state.")
        return state, sources[0] if len(sources) == 1 else None

    def _target(self, where, target):
        if not isinstance(target, str) or not target or "\0" in target:
            self._problem(where, f"link is {target!r}, not the path to point at.")
        return target

    def _account(self, where, kind, given):
        value = given.get(kind, self.arguments.get(kind, "root"))
        name = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        if not re.fullmatch(r"[^\s:/]+", name):
            self._problem(where, f"{kind} is {value!r}. Give the name or the number of one that exists on the host.")
        return name

    def _mode(self, where, given, state, sensitive):
        default = DIRECTORY_MODE if state == "directory" else SENSITIVE_MODE if sensitive else FILE_MODE
        if state == "file":
            default = self.arguments.get("mode", default)
        value = given.get("mode", default)
        if state == "link" and "mode" in given:
            self._problem(where, "has a mode, but a symbolic link has none. Remove mode.")
        if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3,4}", value):
            return int(value, 8)
        if isinstance(value, int) and not isinstance(value, bool):
            remedy = f'YAML makes a decimal number of it. Quote the octal digits, such as "0{value:o}".'
        else:
            remedy = 'Write three or four octal digits in quotes, such as "0644".'
        self._problem(where, f"mode {value!r} is not a quoted octal mode. {remedy}")
        return 0

    def _refuse_collisions(self, entries):
        seen = {}
        for entry in entries:
            if entry.dest in seen:
                self._problem(entry.label, f"the same dest as {seen[entry.dest].label}. Keep one of the two.")
            seen[entry.dest] = entry
        for entry in entries:
            parent = os.path.dirname(entry.dest)
            while parent != "/":
                if parent in seen and seen[parent].state != "directory" and entry.state != "absent":
                    above = f"{seen[parent].label}, which is {seen[parent].state}"
                    self._problem(entry.label, f"lies below {above}. Remove one of the two.")
                parent = os.path.dirname(parent)

    def _patterns(self, option):
        patterns = self.arguments.get(option, [])
        patterns = [patterns] if isinstance(patterns, str) else patterns
        if not isinstance(patterns, (list, tuple)):
            self._problem(option, f"{patterns!r} is not a list of patterns.")
            return []
        return [self._path(f"{option}[{number}]", pattern) for number, pattern in enumerate(patterns)]

    def _purge(self):
        kept = self._patterns("purge")
        for number, pattern in enumerate(kept):
            if pattern and pattern.count("/") < 3 and not re.search(r"[^*?]", os.path.basename(pattern)):
                self._problem(f"purge[{number}]", f"{pattern!r} would remove too much. Name a prefix or a suffix.")
            elif pattern and not _GLOB.fullmatch(pattern):
                self._problem(f"purge[{number}]", f"{pattern!r} has a [ that is no plain set like [a-z] or [!0-9]. Use * or ?.")
        return kept

    def _validate(self):
        commands = self.arguments.get("validate", [])
        commands = [commands] if isinstance(commands, str) else commands
        if not isinstance(commands, (list, tuple)):
            self._problem("validate", f"{commands!r} is not a command or a list of commands.")
            return []
        return [words for number, command in enumerate(commands) if (words := self._command(number, command))]

    def _command(self, number, command):
        where = f"validate[{number}]"
        try:
            words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
        except (TypeError, ValueError) as problem:
            self._problem(where, f"{command!r} cannot be read as a command: {problem}.")
            return None
        if not words:
            self._problem(where, "is empty. Remove it, or name a program.")
        elif words[0].startswith("-"):
            self._problem(where, f"{command!r} is an argument, not a command. Write each command whole, in one string.")
        return words


_GLOB = re.compile(r"(?:[^\[\]]|\[!?[\w.-]+\])+")
