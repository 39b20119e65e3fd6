# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines as a package.json, a Procfile or a Dockerfile has them: what of a line serves, and what belongs into build or migrate."""

from __future__ import annotations

import json
import re

# What finds a program that a release has on its path anyway.
RUNNER = re.compile(r"^(?:exec|cross-env(?:-shell)?|npx(?: --no-install| --yes| -y)?|(?:poetry|uv|pdm|pipenv|hatch) run) +(?=\S)")
ASSIGNMENTS = re.compile(r"^(?:[A-Za-z_]\w*=\S* +)*")
# What a shell alone understands; such a line is left whole.
OF_A_SHELL = re.compile(r"\|\||(?<!&)&(?!&)|[|<>`]|\$\(|\b(?:while|for|if|until|cd|set|source)\b")
SEPARATOR = re.compile(r"\s*(?:&&|;)\s*(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)")
MIGRATES = re.compile(r"\b(?:migrate|migrations?|migration:run|db:(?:migrate|deploy|push)|db (?:upgrade|push)|upgrade heads?)\b")
BUILDS = re.compile(
    r"(?:\b(?:npm|pnpm|yarn) (?:run )?build\b|^tsc\b|\bcollectstatic\b|\b(?:compile|compilemessages|compress|generate|build)\b)"
)
# What serves one developer: it compiles as it goes, watches files, and writes beside the code.
DEVELOPMENT = re.compile(
    r"\b(?:nodemon|ts-node-dev|(?:tsx|nest|parcel|remix vite:dev) watch|tsx --watch|node --watch|nx (?:run \S+:)?serve|vite(?: dev| serve|$)|next dev"
    r"|nuxt(?:i)? dev|nest start|ng serve|react-scripts start|webpack(?:-dev-server| serve)|vue-cli-service serve|astro dev|gatsby develop"
    r"|docusaurus start|(?:react-router|remix|svelte-kit|wrangler) dev|manage\.py runserver|flask run|fastapi dev)\b"
)
ALIAS = re.compile(r"^(?:npm|pnpm|yarn)(?: run)? ([\w:.-]+)$")
# A script of one member of a workspace, by its name or its folder.
MEMBER = (
    re.compile(r"^(?:pnpm (?:--filter|-F)|yarn workspace|npm (?:-w|--workspace))[= ](?P<member>\S+) (?:run )?(?P<script>[\w:.-]+)$"),
    re.compile(r"^npm (?:run )?(?P<script>[\w:.-]+) (?:-w|--workspace)[= ](?P<member>\S+)$"),
)
PROCESS_MANAGER = re.compile(r"^pm2(?:-runtime| start| reload)+ +(\S+)")
# Programs that are called otherwise than their package.
PROGRAMS = {
    "babel-node": "@babel/node",
    "dotenv": "dotenv-cli",
    "nest": "@nestjs/cli",
    "react-router-serve": "@react-router/serve",
    "remix-serve": "@remix-run/serve",
    "sequelize": "sequelize-cli",
    "tsc": "typescript",
}


def bare(line):
    """A command without what only looks for its program."""
    while True:
        head = ASSIGNMENTS.match(line)[0]
        shorter = head + RUNNER.sub("", line[len(head) :])
        if shorter == line:
            return line
        line = shorter


def parts(line):
    """The commands of a line that a shell runs one after the other; a line that needs a shell for more is one."""
    if OF_A_SHELL.search(line):
        return [line]
    return [bare(part) for part in SEPARATOR.split(line.strip()) if part] or [line]


def belongs(part):
    """Whether a command is one of the build or a migration: ``build``, ``migrate`` or None."""
    if MIGRATES.search(part):
        return "migrate"
    return "build" if BUILDS.search(part) else None


def composed(line):
    """What of a line serves, and what stands before it as ``{"build": […], "migrate": […]}``; all of it serves where that is not known."""
    *before, last = parts(line)
    found = {"build": [], "migrate": []}
    if any(belongs(part) is None for part in before):
        return line, found
    for part in before:
        found[belongs(part)].append(part)
    return last, found


def resolved(name, scripts, depth=0):
    """A script of package.json with the one before it, and what it is another name for."""
    line = scripts[name]
    alias = ALIAS.match(line)
    if alias and alias[1] in scripts and alias[1] != name and depth < 3:
        line = resolved(alias[1], scripts, depth + 1)
    before = scripts.get(f"pre{name}")
    return f"{before} && {line}" if before else line


def words(line, scripts, depth=0):
    """The words of a command, and of each script that it calls."""
    found = set(line.split())
    for called in re.findall(r"\b(?:npm|pnpm|yarn)(?: run)? ([\w:.-]+)", line):
        if called in scripts and depth < 3:
            found |= words(resolved(called, scripts), scripts, depth + 1)
    return found


def of_image(text):
    """The command that a Dockerfile's image runs, or an empty text: words in brackets, or a line of a shell."""
    text = re.sub(r"\\\n", " ", text)
    found = {}
    for instruction, line in re.findall(r"^(CMD|ENTRYPOINT)[ \t]+(.+)$", text, re.MULTILINE | re.IGNORECASE):
        try:
            told = json.loads(line) if line.startswith("[") else line
        except ValueError:
            continue
        found[instruction.upper()] = " ".join(map(str, told)) if isinstance(told, list) else " ".join(told.split())
    # With both the one is given to the other, such as to a script that waits for a database.
    return found.get("CMD") or found.get("ENTRYPOINT", "")
