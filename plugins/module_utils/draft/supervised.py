# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of another supervisor say that runs: pm2's, supervisord's, services of Compose, units of systemd."""

from __future__ import annotations

import configparser
import re
import shlex
from typing import NamedTuple

try:
    import yaml
except ImportError:  # nowhere but where Ansible is missing, too
    yaml = None

SUPERVISORD = re.compile(r"(?:.*/)?(?:supervisord?[\w.-]*|supervisor(?:d|/conf)?(?:\.d)?/.*)\.(?:conf|ini)")
COMPOSE = ("docker-compose.prod.yml", "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
PM2 = re.compile(r"(?:ecosystem|pm2|process)(?:\.[\w-]+)*\.(?:c?js|json)")
UNIT = re.compile(r"(?:.*/)?([\w-]+)@?\.service")
READ = re.compile("|".join((SUPERVISORD.pattern, UNIT.pattern, *map(re.escape, COMPOSE))))

# An object within one of an app in pm2's file, such as its variables, and one without any.
NESTED = re.compile(r"[\w\"']+\s*:\s*\{[^{}]*\}")
OBJECT = re.compile(r"\{([^{}]*)\}")
# The folder of an environment or of a host's programs, which a release has on its path.
PLACE = re.compile(r"^/\S*/bin/(?=\S)")
INTERPRETERS = ((".py", "python"), (".js", "node"), (".cjs", "node"), (".mjs", "node"), ("", "node"))
SHELL = re.compile(r"^(?:/bin/)?(?:ba)?sh -c (.+)$")


class Program(NamedTuple):
    """One program of such a file, and when it runs where it is not kept running."""

    name: str
    command: str
    file: str
    when: str = ""


def programs(tree):
    """All of them, by the first kind of file that has any: a source with two says the same twice."""
    for read in (_pm2, _supervisord, _compose, _units):
        found = [program for program in read(tree) if program.command]
        if found:
            return found
    return []


def _bare(command):
    """A command without where its program lies, and without a shell that does no more than run it."""
    command = PLACE.sub("", " ".join(command.split()))
    shell = SHELL.match(command)
    if shell:
        try:
            (line,) = shlex.split(shell[1])
        except ValueError:
            return command
        command = PLACE.sub("", line.removeprefix("exec "))
    return command


def _interpreter(script):
    """What pm2 runs a program with, where its file does not say."""
    return next(word for ending, word in INTERPRETERS if script.endswith(ending))


def _pm2(tree):
    for file in sorted(name for name in tree.files if PM2.fullmatch(name)):
        text = re.sub(r"^\s*//.*$", "", tree.text(file), flags=re.MULTILINE)
        while NESTED.search(text):
            text = NESTED.sub("", text)
        for match in OBJECT.finditer(text):
            told = {
                key: next(filter(None, values), "")
                for key, *values in re.findall(r"[\"']?\b(\w+)[\"']?\s*:\s*(?:\"([^\"]*)\"|'([^']*)'|`([^`]*)`)", match[1])
            }
            script = told.get("script", "").removeprefix("./")
            if script:
                runs = told.get("interpreter") or _interpreter(script)
                called = script if re.fullmatch(r"(?:npm|pnpm|yarn)|.* .*", script) or runs == "none" else f"{PLACE.sub('', runs)} {script}"
                yield Program(told.get("name", script), f"{called} {told.get('args', '')}".strip(), file, told.get("cron_restart", ""))


def _supervisord(tree):
    for file in sorted(name for name in tree.files if SUPERVISORD.fullmatch(name)):
        parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
        try:
            parser.read_string(tree.text(file))
        except configparser.Error:
            continue
        for section in parser.sections():
            if section.startswith("program:"):
                yield Program(section.partition(":")[2], _bare(parser.get(section, "command", fallback="")), file)


def _compose(tree):
    """Services of the app's own image that say what runs; the others are a database and its like, or what the image runs."""
    file = tree.has(*COMPOSE)
    try:
        services = yaml.safe_load(tree.text(file)).get("services").items() if file and yaml else ()
    except (yaml.YAMLError, AttributeError, RecursionError):
        return
    services = {str(name): service for name, service in services if isinstance(service, dict)}
    images = {service.get("image") for service in services.values() if _context(service) == "."}
    for name, service in services.items():
        if _context(service) == "." or (service.get("image") and service["image"] in images):
            command = service.get("command") or ""
            command = shlex.join(map(str, command)) if isinstance(command, list) else str(command)
            yield Program(name, _bare(command), file)


def _context(service):
    """The folder that a service's image is made of, where it is made at all."""
    build = service.get("build")
    context = build.get("context", ".") if isinstance(build, dict) else build
    return context and (str(context).removeprefix("./").rstrip("/") or ".")


def _units(tree):
    for file in sorted(name for name in tree.files if UNIT.fullmatch(name)):
        text = re.sub(r"\\\n\s*", "", tree.text(file))
        starts = re.search(r"^ExecStart\s*=\s*[-@:+!|]*(.+)$", text, re.MULTILINE)
        if starts:
            timer = tree.text(f"{file.removesuffix('.service')}.timer")
            when = re.search(r"^OnCalendar\s*=\s*(.+)$", timer, re.MULTILINE)
            yield Program(UNIT.fullmatch(file)[1], _bare(starts[1]), file, when[1].strip() if when else "")
