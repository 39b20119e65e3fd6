# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source as a draft looks at it: the files that tell what an app is, read once, and what they say. Nothing of it is run."""

from __future__ import annotations

import json
import os
import re
from pathlib import PurePath

try:
    import tomllib
except ImportError:  # Python 3.10 and older, on which no control node runs
    tomllib = None

from . import supervised

CODE = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts")
TOLD = (*CODE, ".toml", ".txt", ".ini", ".prisma", ".json")
NAMES = (
    "pnpm-workspace.yaml",
    "yarn.lock",
    "Procfile",
    "Dockerfile",
    "Containerfile",
    "Pipfile",
    ".nvmrc",
    ".node-version",
    ".python-version",
)
# What tells the variables of an app by an example: .env.example, .env.local.sample, env-example-relational, sample.env.
SAMPLE = re.compile(r"\.?env([.-][\w-]+)*[.-](example|sample|template|dist)([.-][\w-]+)*|(example|sample|template)\.env")
# What tells of tests, and of the tools that run them, tells nothing of the app.
OF_TESTS = re.compile(
    r"(test_.*|.*_test|.*[.-](test|spec|stories)|tests|conftest|(playwright|cypress|vitest|jest|karma)\.(config|setup).*)\.[a-z]+"
)
# What is no part of the app, or was made of it.
SKIPPED = frozenset(
    (
        *(
            "venv",
            "node_modules",
            "__pycache__",
            "tests",
            "test",
            "__tests__",
            "e2e",
            "cypress",
            "mocks",
            "docs",
            "dist",
            "build",
            "coverage",
        ),
        "site-packages",
    )
)
NPM_LOCK = "package-lock.json"
MOST_FILES, MOST_BYTES, DEEPEST = 4000, 300_000, 6

ASKED = re.compile(
    r"""(?:environ(?:\.get)?|\b\w*[eE]nv[a-z_]*(?:\.[a-z]\w*)?|\bconfig)\s*[\[(]\s*["']([A-Z][A-Z0-9_]+)["']"""
    r"""|\benv\.([A-Z][A-Z0-9_]+)\b|process\.env\[["']([A-Z][A-Z0-9_]+)["']"""
)
REQUIRED = re.compile(r"""\benviron\[["']([A-Z]\w+)["']\]|\b(?:env|config)(?:\.[a-z]\w*)?\(["']([A-Z]\w+)["']\)""")
# Several at once, as in: const { PORT, HOST = "::" } = process.env
TAKEN = re.compile(r"\{([^{}]*)\}\s*=\s*process\.env\b(?!\.)")
# What a WSGI server or CGI tells of a request, in a mapping that is called environ, too.
OF_A_REQUEST = re.compile(r"(HTTP|CONTENT|SERVER|REMOTE|REQUEST|PATH|SCRIPT|QUERY|GATEWAY)_[A-Z_]+")
ASSIGNED = re.compile(r"^(?:export )?([A-Z][A-Z0-9_]+)=(.*)", re.MULTILINE)
SETTING = re.compile(r"^ +([a-z][a-z0-9_]+)\s*:", re.MULTILINE)
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?\s*(?:[=<>!~;@ #]|$)")


def read(root):
    """The texts of a folder's files by their relative paths; of other files the name alone, with None. Links are not followed."""
    found = {}
    for folder, folders, names in os.walk(root):
        below = os.path.relpath(folder, root)
        depth = 0 if below == "." else below.count("/") + 1
        folders[:] = sorted(
            name
            for name in folders
            if depth < DEEPEST
            and not name.startswith((".", "tests_"))
            and (name not in SKIPPED or (depth == 0 and name in ("dist", "build")))
        )
        for name in sorted(names):
            path = os.path.join(folder, name)
            if len(found) >= MOST_FILES or os.path.islink(path) or not os.path.isfile(path):
                continue
            file = os.path.normpath(os.path.join(below, name))
            told = name.endswith(TOLD) or name in NAMES or name == "www" or SAMPLE.fullmatch(name) or supervised.READ.fullmatch(file)
            text = None
            if told and below.split("/")[0] not in ("dist", "build"):
                text = _engines(path) if name == NPM_LOCK else _text(path)
            found[file] = text
    return found


def _engines(path):
    """Of npm's lock, which is long, the Node that each package at its top wants."""
    with open(path, "rb") as file:
        try:
            packages = json.load(file)["packages"].items()
            wanted = {place.removeprefix("node_modules/"): package.get("engines") for place, package in packages}
            return json.dumps(
                {name: engines["node"] for name, engines in wanted.items() if isinstance(engines, dict) and "node" in engines}
            )
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return "{}"


def _text(path):
    with open(path, "rb") as file:
        return file.read(MOST_BYTES).decode(errors="replace")


class Tree:
    """What the files of a source say."""

    def __init__(self, files):
        self.files = files
        self.code = {
            name: text
            for name, text in files.items()
            if (name.endswith(CODE) or name == "bin/www") and text and not OF_TESTS.fullmatch(name.rpartition("/")[2])
        }
        self.samples = sorted(name for name, text in files.items() if text and "/" not in name and SAMPLE.fullmatch(name))

    def has(self, *names):
        """The first of some names that is there, or None."""
        return next((name for name in names if name in self.files), None)

    def text(self, name):
        return self.files.get(name) or ""

    def search(self, pattern, files=None):
        """Every match in the code with its file, files near the top first."""
        texts = self.code if files is None else files
        for name in sorted(texts, key=lambda name: (name.count("/"), name)):
            for match in pattern.finditer(texts[name]):
                yield name, match

    def first(self, pattern, files=None):
        return next(self.search(pattern, files), (None, None))

    def table(self, name, *keys):
        """A file of JSON or TOML as a dict, or what it has below some keys; empty where that is none."""
        try:
            value = json.loads(self.text(name)) if name.endswith(".json") else tomllib.loads(self.text(name))
            for key in keys:
                value = value.get(key)
        except (ValueError, AttributeError):
            return {}
        return value if isinstance(value, dict) else {}

    def asked(self):
        """The variables of the environment that the source asks for, each with the file that does."""
        found = {}
        for name, match in self.search(ASKED):
            variable = next(filter(None, match.groups()))
            if not OF_A_REQUEST.fullmatch(variable):
                found.setdefault(variable, name)
        settings = {name: text for name, text in self.code.items() if "BaseSettings" in text}
        for name, match in self.search(SETTING, settings):
            found.setdefault(match[1].upper(), name)
        for name, match in self.search(TAKEN):
            for variable in re.findall(r"(?:^|,)\s*([A-Z][A-Z0-9_]+)\b", match[1]):
                found.setdefault(variable, name)
        for name in self.samples:
            for variable, _value in ASSIGNED.findall(self.text(name)):
                found.setdefault(variable, name)
        return found

    def required(self):
        """Those of them without which Python's code raises an error."""
        return {next(filter(None, match.groups())) for _name, match in self.search(REQUIRED)}

    def sample(self, variable):
        """What an example has for a variable, without its quotes; an empty text where none has it."""
        texts = (dict(ASSIGNED.findall(self.text(name))) for name in self.samples)
        return next((text[variable].strip().strip("\"'") for text in texts if variable in text), "")

    def python_packages(self):
        """What a Python source requires, ``{name: (extras, file)}``."""
        found = {}

        def add(line, file):
            match = REQUIREMENT.match(line)
            if match:
                found.setdefault(re.sub(r"[._]+", "-", match[1].lower()), (match[2] or "", file))

        for file in sorted(name for name in self.files if re.fullmatch(r"(requirements[^/]*|requirements/[^/]+)\.(txt|lock|in)", name)):
            if not re.search(r"dev|test|lint|doc", file):
                for line in self.text(file).splitlines():
                    add(line, file)
        project = self.table("pyproject.toml")
        listed = project.get("project", {}).get("dependencies", [])
        for line in listed if isinstance(listed, list) else []:
            add(str(line), "pyproject.toml")
        for name, value in (project.get("tool", {}).get("poetry", {}).get("dependencies") or {}).items():
            extras = ",".join(map(str, value.get("extras", []))) if isinstance(value, dict) else ""
            found.setdefault(name.lower().replace("_", "-"), (extras, "pyproject.toml"))
        for name in re.findall(
            r'^"?([A-Za-z0-9_.-]+)"? *=', self.text("Pipfile").partition("[packages]")[2].partition("\n[")[0], re.MULTILINE
        ):
            found.setdefault(name.lower().replace("_", "-"), ("", "Pipfile"))
        found.pop("python", None)
        return found

    def node_packages(self, *members):
        """What a Node source requires, ``{name: (version, file)}``, with what some members of its workspace require."""
        found = {}
        for file in ("package.json", *(f"{folder}/package.json" for folder in members)):
            for part in ("dependencies", "devDependencies"):
                listed = self.table(file).get(part)
                for name, version in listed.items() if isinstance(listed, dict) else ():
                    found.setdefault(name, (str(version), file))
        return found

    def members(self):
        """The folders of a Node workspace's members, as npm and Yarn list them in package.json and pnpm in a file of its own."""
        listed = self.table("package.json").get("workspaces") or []
        listed = listed.get("packages", []) if isinstance(listed, dict) else listed
        listed = [
            *map(str, listed),
            *re.findall(r"^ *- *[\"']?([^\"'#\s]+)", self.text("pnpm-workspace.yaml").partition("packages:")[2], re.MULTILINE),
        ]
        patterns = [pattern.removeprefix("./").rstrip("/") for pattern in listed]
        folders = sorted(name.rpartition("/")[0] for name in self.files if name.endswith("/package.json"))
        return [folder for folder in folders if any(PurePath(folder).match(pattern) for pattern in patterns)]

    def for_development(self):
        """The packages of a Node source that are gone once it is built."""
        manifest = self.table("package.json")
        listed, kept = (manifest.get(part) for part in ("devDependencies", "dependencies"))
        return set(listed if isinstance(listed, dict) else ()) - set(kept if isinstance(kept, dict) else ())

    def scripts(self, folder=""):
        listed = self.table(os.path.join(folder, "package.json")).get("scripts")
        return {str(name): str(command) for name, command in listed.items()} if isinstance(listed, dict) else {}

    def procfile(self):
        """The lines of a Procfile, ``{process type: command}``."""
        found = re.findall(r"^([A-Za-z0-9_-]+):[ \t]*(\S.*)", self.text("Procfile"), re.MULTILINE)
        return {name: command.rstrip() for name, command in found}
