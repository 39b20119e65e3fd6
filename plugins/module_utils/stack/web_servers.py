# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command of a web process says of how many requests it serves at once, and what it would leave untrue in the plan."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from .refusal import refuse

# Where gunicorn looks for words before those of its command.
GUNICORN_WORDS = "GUNICORN_CMD_ARGS"
THREADS = "WEB_THREADS"


@dataclass(frozen=True)
class Server:
    """The options by which a server is told its processes, the threads of each, and how many seconds it lets requests end when it stops; none
    where it has no such thing."""

    workers: tuple = ()
    threads: tuple = ()
    graceful: tuple = ()


SERVERS = {
    "daphne": Server(),
    "granian": Server(workers=("--workers",), threads=("--blocking-threads",), graceful=("--workers-kill-timeout",)),
    "gunicorn": Server(workers=("--workers", "-w"), threads=("--threads",), graceful=("--graceful-timeout",)),
    "hypercorn": Server(workers=("--workers", "-w"), graceful=("--graceful-timeout",)),
    "sanic": Server(workers=("--workers", "-w")),
    "uvicorn": Server(workers=("--workers",), graceful=("--timeout-graceful-shutdown",)),
    "uwsgi": Server(workers=("--processes", "--workers", "-p"), threads=("--threads",)),
    "waitress-serve": Server(threads=("--threads",)),
}
# gunicorn's classes of workers that have threads; all others take what comes.
IN_THREADS = ("sync", "gthread")


@dataclass(frozen=True)
class Told:
    """A server and its words, those of its variable first: the last one wins."""

    name: str = ""
    words: tuple = ()
    env: tuple = ()

    @property
    def server(self):
        return SERVERS.get(self.name, Server())

    def option(self, names):
        """What the words say last of an option; nothing where they do not have it."""
        found = None
        for index, word in enumerate(self.words):
            for name in names:
                if word == name:
                    found = self.words[index + 1] if index + 1 < len(self.words) else None
                elif word.startswith(f"{name}="):
                    found = word.partition("=")[2]
                elif re.fullmatch(r"-[a-z]", name) and word.startswith(name):
                    found = word[len(name) :]
        variable = re.fullmatch(r"\$\{?(\w+)\}?", found or "")
        return dict(self.env).get(variable[1], found) if variable else found

    def number(self, names):
        """The same where it is a number that stands there, or in a variable that the app declares."""
        value = self.option(names)
        return int(value) if value and re.fullmatch(r"[1-9]\d{0,3}", value) else None

    @property
    def takes_what_comes(self):
        """Whether one of its processes serves any number of requests at once."""
        if self.name == "gunicorn":
            return (self.option(("--worker-class", "-k")) or "sync") not in IN_THREADS
        return self.name in SERVERS and not self.server.threads

    @property
    def threads(self):
        """The requests one process serves at once, where the words say so."""
        return None if self.takes_what_comes else self.number(self.server.threads)

    @property
    def one_at_a_time(self):
        """Whether one of its processes serves a single request at a time, as gunicorn's do by themselves; its own file may say more."""
        words = ("--threads", "--worker-class", "-k", "--config", "-c")
        return self.name == "gunicorn" and self.option(words) is None


def told(command, *envs):
    """The server that a command starts, with its words; ``envs`` are variables, the stronger ones last."""
    env = {name: value for variables in envs for name, value in variables.items()}
    words = _words(command or "")
    for index, word in enumerate(words):
        name = word.rpartition("/")[2]
        if name in SERVERS:
            before = _words(env.get(GUNICORN_WORDS, "")) if name == "gunicorn" else []
            return Told(name, (*before, *words[index + 1 :]), tuple(env.items()))
    return Told(env=tuple(env.items()))


def _words(text):
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def check(process, env, runtime, where):
    """Refuse a command that starts other numbers than those the plan counts, and threads that nobody would be told of."""
    command, words = process["command"] or "", told(process["command"], env, process["env"])
    workers = words.number(words.server.workers)
    if workers and workers != process["workers"]:
        remedy = f"it starts {workers} workers, and the plan counts {process['workers']}; write workers: {workers} beside it"
        refuse(f"{where}.command", command, f"{remedy}, and $WEB_CONCURRENCY into it")
    if process["threads"] is None:
        return
    where = f"{where}.threads"
    if runtime == "node" or words.takes_what_comes:
        refuse(where, process["threads"], f"its server ({words.name or runtime}) takes requests as they come, in no threads; remove it")
    if words.number(words.server.threads):
        option = words.server.threads[0]
        refuse(
            where, process["threads"], f"its command says {option} {words.threads}, which wins; write ${THREADS} there, or remove threads"
        )
    is_told = re.search(rf"\$\{{?{THREADS}\b", command) or words.name == "gunicorn" and GUNICORN_WORDS not in dict(words.env)
    if words.name and not is_told:
        refuse(where, process["threads"], f"only its command tells {words.name} of them; add {words.server.threads[0]} ${THREADS}")
