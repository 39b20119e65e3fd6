# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs: a Procfile's lines, an image's command, where a process listens and how it says that it is well."""

from __future__ import annotations

import re

from ..deploy.unit_commands import exec_words
from ..stack import celery, web_servers
from ..stack.refusal import DeclarationError
from ..stack.services import RESERVED_PORTS
from . import commands, supervised
from .data import OWN_ADDRESS
from .page import Said, Todo, short

# Whose clients begin without a websocket, by several requests that one process has to answer.
POLLING = ("socket.io", "flask-socketio", "python-socketio", "@nestjs/platform-socket.io", "sockjs")
UNKNOWN = "web: {command: …, port: 8000}, a command that listens on $HOST:$PORT; nothing in the source says which"
IMAGE_FILES = ("Dockerfile", "Containerfile")
HEALTH = re.compile(r"""["'`](?:[A-Z]+ )?(/?(?:[a-z0-9]+/){0,2}_?(?:healthz?|health-?check|livez?|liveness|ping|up)/?)\$?["'`]""")
READY = re.compile(r"""["'`](?:[A-Z]+ )?(/?(?:[a-z0-9]+/){0,2}_?(?:readyz?|readiness|health/ready)/?)\$?["'`]""")
DEFAULT_PORT = re.compile(r"\bPORT\b[\"')\]]*\s*(?:\?\?|\|\||,|:-)\s*[\"']?(\d{4,5})\b")
PROCESS_PORTS = {"python": 8000, "node": 3000, "container": 8000, "command": 8000}
# How a route is told from a text that merely looks like one.
ROUTED = re.compile(r"""(?:[.@](?:get|route|all|add_url_rule|add_api_route|add_get)\(\s*["'`]|\bRoute\(\s*["'`]|["'`]GET )$""")
# By which names the whole app goes; a route of another object may have a prefix.
OF_A_PART = re.compile(r"""\b(?!(?:app|application|server|fastify)\b)(\w+)\.(?:get|route|all)\(\s*["'`]$""")
DECORATED = re.compile(r"""@(?:Get|Controller)\(\s*["'`]$""")
JINJA = re.compile(r"\{[{%#]")
# What a file of a supervisor's fills in by itself.
FILLED_IN = re.compile(r"%[a-zA-Z(]|\$\{")
LISTENING = re.compile(r"\bPORT\b|\.listen\(|\bHTTPServer\b")
SOCKET = re.compile(r"((?:--bind|-b|--uds)[ =])(?:unix:)?/\S+")
# A port by its number, which one set of a process cannot share with the next.
FIXED_PORT = re.compile(r"((?:--port|--http-port|-p)[ =]|(?:--bind|-b|--listen|--http-socket|--http)[ =][\w.$*{}]*:)\d{4,5}\b")
EVERY_ADDRESS = re.compile(r"(?<![\d.])0\.0\.0\.0(?![\d.])")


def _is_decorated(match):
    """Whether Nest is told the path, which it takes without the slash that begins it, and below that of the controller."""
    return bool(DECORATED.search(match.string[: match.start(1)]))


def _named(told):
    """A name as a process may have it, or None."""
    name = re.sub(r"[^a-z0-9-]", "-", told.lower())[:25].strip("-")
    return name if re.match("[a-z]", name) else None


def _kind(command):
    """What a command runs, without how: two of a kind are one and the same, guessed and told."""
    if celery.is_beat_alone(command):
        return ("celery", "beat")
    words = command.split()
    return tuple(words[: {"python": 2, "python3": 2, "node": 2, "npm": 3}.get(words[0], 1) + ("manage.py" in words[:2])])


def _is_of_a_part(match):
    return OF_A_PART.search(match.string[: match.start(1)])


class Processes:
    """That part of a guess; see guess.py."""

    def _volumes(self):
        if self.runtime != "container":
            return {}
        text = self.tree.text(self.tree.has(*IMAGE_FILES))
        places = re.findall(r"(/[\w./@-]+)", " ".join(re.findall(r"^VOLUME +(.*)$", text, re.MULTILINE | re.IGNORECASE)))
        volumes = {re.sub(r"[^A-Za-z0-9_]+", "-", place.strip("/")): place.rstrip("/") for place in places if place.strip("/")}
        return {"volumes": Said(volumes, "guessed from VOLUME")} if volumes else {}

    def _processes(self, procfile):
        if self.runtime == "container":
            return {"web": self._container()}
        if procfile:
            return self._of_procfile(procfile)
        found = {"python": self._python, "node": self._node}.get(self.runtime, dict)()
        if "web" not in found and self.runtime in ("python", "node") and not self._static():
            found = {**self._of_image(), **found}
        if not self._static():
            found = self._supervised(found)
        if not found and not self._static():
            below = sorted(
                {name.rpartition("/")[0] for name in self.tree.files if re.fullmatch(r"[\w./-]+/(pyproject\.toml|package\.json)", name)}
            )
            if below:
                self.todo.append(
                    f"the app may be in one of these folders, source: {{path: …, directory: {below[0]}}}: {', '.join(below[:8])}"
                )
            return {"web": Todo(UNKNOWN)}
        if "web" not in found and not self._static():
            self.todo.append(f"{UNKNOWN}, if anything of it has visitors")
        return found

    def _supervised(self, found):
        """What is found, and what else another supervisor's file says that runs: of its workers it knows better than a guess."""
        web, workers = found.get("web"), {}
        for program in supervised.programs(self.tree):
            serving, before = commands.composed(self._of_script(program.command))
            why = f"guessed from {program.name} in {program.file}"
            if self._serves(serving, web):
                if web is None and not FILLED_IN.search(serving):
                    self._keep(before)
                    command, notes = self._command(SOCKET.sub(r"\1$HOST:$PORT", serving), is_web=True)
                    web = self._web(
                        command, "; ".join([why, *notes]) + self._gone(command) + (self._listens() if self.runtime == "node" else "")
                    )
                continue
            name = _named(program.name.removeprefix(f"{self.name}-"))
            if not name or name == "web" or FILLED_IN.search(serving) or JINJA.search(serving):
                self.todo.append(f"{program.name} in {program.file} cannot be declared as it is: {short(program.command)}")
                continue
            command, notes = self._command(serving)
            if program.when:
                self.todo.append(f"{name}: {{command: {short(command)}, schedule: …}}, for {program.file} runs it at {program.when}")
                continue
            workers[name] = self._worker(command, "; ".join([why, *notes]) + self._gone(command))
        told = {_kind(worker.value["command"].value) for worker in workers.values()}
        kept = {name: process for name, process in found.items() if name == "web" or _kind(process.value["command"].value) not in told}
        return {**({"web": web} if web else {}), **kept, **workers}

    def _serves(self, command, web=None):
        """Whether it is what answers requests, as far as its words or its file tell."""
        words = command.split()
        if words[0] in web_servers.SERVERS or commands.DEVELOPMENT.search(command):
            return True
        if isinstance(web, Said) and _kind(command) == _kind(web.value["command"].value):
            return True
        return any(LISTENING.search(self.tree.code.get(word.removeprefix("./"), "")) for word in words)

    def _of_image(self):
        """What an image of the app would run, where nothing else says what serves."""
        file = self.tree.has(*IMAGE_FILES)
        line = commands.of_image(self.tree.text(file)) if file else ""
        if not line or JINJA.search(line):
            return {}
        serving, before = commands.composed(line)
        self._keep(before)
        command, notes = self._command(serving, is_web=True)
        return {"web": self._web(command, "; ".join([f"guessed from what the image of {file} runs: {short(line)}", *notes]))}

    def _keep(self, before):
        for part, lines in before.items():
            self.before[part] += lines

    def _of_procfile(self, procfile):
        found = {}
        for kind, line in procfile.items():
            if kind == "release":
                continue
            name = _named(kind)
            if not name or JINJA.search(line):
                self.todo.append(f"the line {kind} of Procfile cannot be declared as it is: {short(line)}")
                continue
            serving, before = commands.composed(self._of_script(line))
            self._keep(before)
            command, notes = self._command(serving, is_web=name == "web")
            notes += ["what stood before it is in build and migrate"] if any(before.values()) else []
            if commands.DEVELOPMENT.search(command):
                notes.append("TODO: it is a server for development")
            why = "; ".join([f"guessed from the line {kind} of Procfile", *notes]) + self._gone(command)
            if name == "web":
                found[name] = self._web(command, why)
                continue
            found[name] = self._worker(command, why)
        return found

    def _of_script(self, line):
        """What a line runs by a script of package.json, where that is a program of Node's: npm beside it would take memory and time of its own."""
        alias, scripts = commands.ALIAS.match(line), self.tree.scripts() if self.runtime == "node" else {}
        if not alias or alias[1] not in scripts:
            return line
        resolved = commands.resolved(alias[1], scripts)
        return resolved if re.match(r"(\S+=\S+ )*node ", commands.composed(resolved)[0]) else line

    def _worker(self, command, why):
        if celery.is_worker(command):
            children = celery.children(command) or 1
            told = {"workers": Said(children, "as its command says; the plan counts them")} if children > 1 else {}
            return Said({"command": Said(command, why), "kind": Said("celery", "guessed from the command"), **told})
        if celery.is_beat(command):
            return Said({"command": Said(command, why), "singleton": Said(True, "it runs once, for it tells the time")})
        return Said({"command": Said(command, why)})

    def _command(self, line, is_web=False):
        """A command of a shell as it is declared, and what was changed of it."""
        command, notes = commands.bare(line), []
        if re.match(r"rq worker\b", command) and not re.search(r"\s(-u|--url|-c|--config)\b", command):
            command = command.replace("rq worker", "rq worker --url $REDIS_QUEUE_URL", 1)
            notes.append("told which Redis")
        if is_web and FIXED_PORT.search(command):
            command = FIXED_PORT.sub(r"\1$PORT", command)
            notes.append("$PORT for a number")
        if EVERY_ADDRESS.search(command):
            command = EVERY_ADDRESS.sub("$HOST", command)
            notes.append("$HOST for 0.0.0.0")
        if "${PORT:-" in command:
            command = re.sub(r"\$\{PORT:-\d+\}", "$PORT", command)
            notes.append("$PORT without its default")
        if is_web and re.match(r"(\S+=\S+ )*gunicorn\b", command) and not re.search(r"(--bind|-b)\b", command):
            command += " --bind $HOST:$PORT"
            notes.append("told where to listen")
        if is_web and re.match(r"(\S+=\S+ )*uvicorn\b", command):
            for option, variable in (("--host", "$HOST"), ("--port", "$PORT")):
                if option not in command:
                    command += f" {option} {variable}"
                    notes.append(f"with {option}")
        if re.search(r"(--bind|-b)[ =]:\$PORT", command):
            command = re.sub(r"((?:--bind|-b)[ =]):\$PORT", r"\1$HOST:$PORT", command)
            notes.append("$HOST told")
        if celery.is_worker(command) and not re.search(r"(-c|--concurrency)\b", command):
            command += " -c $CELERY_CONCURRENCY"
            notes.append("with the plan's concurrency")
        try:
            exec_words(command)
        except DeclarationError:
            if "'" in command:
                command = command.replace("'", '"')
                notes.append("TODO: the quotes were changed, look at it")
            command = f"sh -c '{command}'"
            notes.append("a shell runs it, for it is written for one")
        return command, notes

    def _web(self, command, why, port=None, health=None):
        own = {name: f"${match[1]}" for name in sorted(self.asked) if (match := OWN_ADDRESS.fullmatch(name)) and name not in command}
        told = {"env": Said(own, "where it listens, under names of its own")} if own else {}
        words = web_servers.told(command)
        workers = words.number(words.server.workers)
        told |= {"workers": Said(workers, "as its command says; the plan counts them")} if workers and workers > 1 else {}
        polling = next((name for name in POLLING if name in self.packages), None)
        if polling:
            told["instances"] = Said(
                1,
                f"clients of {polling} begin with requests that have to meet one and the same; more where all say transports: [websocket]",
            )
        return Said({"command": Said(command, why), "port": port or self._port(), **told, **self._checks(health)})

    def _port(self):
        file, match = self.tree.first(DEFAULT_PORT)
        if match and 1024 <= int(match[1]) <= 65000 and int(match[1]) not in RESERVED_PORTS:
            return Said(int(match[1]), f"guessed from {file}; twice its instances are its own, from here on")
        return Said(PROCESS_PORTS[self.runtime], "nothing says which; TODO: another one where another app has it")

    def _checks(self, known=None):
        """Where the process says that it lives, and that it can work; ``known`` is the path of a server, and which one it is."""
        if known:
            return {"health": Said({"path": known[0]}, f"as {known[1]} has it")}
        file, path = self._answer(HEALTH)
        found = {"health": Said({"path": path}, f"guessed from {file}")}
        if not path:
            found = {
                "health": Said({"path": "/"}, "nothing in the source looks like a health check; TODO: a path that answers 200 at once")
            }
        file, path = self._answer(READY)
        if path:
            found["readiness"] = Said({"path": path}, f"guessed from {file}; TODO: json: {{status: …}}, what it says when all is well")
        return found

    def _answer(self, pattern):
        found = [
            (file, match)
            for file, match in self.tree.search(pattern)
            if match[1].startswith("/") or (file.endswith("urls.py") and "path(" in self.tree.text(file)) or _is_decorated(match)
        ]
        routed = [
            (file, match)
            for file, match in found
            if ROUTED.search(match.string[: match.start(1)]) or file.endswith("urls.py") or _is_decorated(match)
        ]
        file, match = next(iter(routed or found), (None, None))
        if not match:
            return None, None
        if not routed:
            file += "; TODO: whether it is one that is answered"
        elif _is_of_a_part(match):
            file += f"; TODO: behind the prefix of {_is_of_a_part(match)[1]}, where it has one"
        elif _is_decorated(match):
            file += "; TODO: behind the prefix of its controller or of all, where there is one"
        return file, "/" + match[1].lstrip("/")

    def _container(self):
        file = self.tree.has(*IMAGE_FILES)
        text = self.tree.text(file)
        exposed = re.search(r"^EXPOSE +(\d+)", text, re.MULTILINE | re.IGNORECASE)
        started = re.findall(r"^(?:CMD|ENTRYPOINT) +(.*)$", text, re.MULTILINE | re.IGNORECASE)
        number = int(exposed[1]) if exposed else 8000
        why = f"guessed from EXPOSE of {file}" if exposed else f"{file} exposes no port; TODO: where it listens"
        if not 1024 <= number <= 65000 or number in RESERVED_PORTS:
            number, why = 8000, f"{file} exposes {number}, which no app may have"
        web = {"port": Said(number, why), **self._checks()}
        runs = f"the image runs {short(started[-1])}" if started else "the image says what runs"
        web["command?"] = Todo(f"{runs}; it has to listen on $HOST:$PORT, else give a command or env: {{…: $PORT}} here")
        return Said(web)
