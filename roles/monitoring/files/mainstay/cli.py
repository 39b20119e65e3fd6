# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `mainstay`: one module of `commands` for each subcommand, loaded only when it is called."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from . import config
from .answers import refused
from .core.output import written
from .core.text import printable
from .paths import Paths
from .units import Systemd, SystemdError, run

COMMANDS = {
    "status": "what runs, how it is, and what happened last",
    "history": "deploys and incidents: what went wrong, what was done, how long it took",
    "why": "the last incident of an app, a process or a server: what was seen, what was done, what to do",
    "diagnose": "what is wrong, why it matters, and what to do",
    "report": "how available everything was, what went wrong, what is used up",
    "alert": "tell people what has happened; --test tries every channel",
    "backups": "the backups there are, and whether they have been proved",
    "plan": "the capacity plan, and how far reality is from it",
    "top": "what each unit uses right now: processor, memory, threads, files, connections, ports",
    "env": "the variables and packages an app runs with, against what a start would give it; no values",
    "queries": "the database's statements that take the most time",
    "logs": "the journal of an app, a process, a server or the agent",
    "start": "start an app or a process",
    "stop": "stop an app or a process; it stays stopped until it is started again",
    "restart": "restart an app or a process, one instance after the other",
    "rollback": "return an app to the release that served before, where only its code has changed",
    "run": "run a command in an app's release, as its user, with its environment",
    "clean": "free an app's ports from stray processes of its user",
    "maintenance": "tell the agent to keep its hands off for a while",
    "check": "check the agent's configuration, or that it is watching",
    "version": "the version of this command and of the agent",
}
# Started by systemd, not by people.
SERVICES = ("agent", "act", "ping", "reclaim", "remember", "reports", "visits")

USAGE = """\
usage: mainstay COMMAND [options]

Look at and steer the applications of this host.

{commands}

Names: APP is a declared application (shop), APP/PROCESS one of its processes (shop/web), APP/PROCESS/INSTANCE one unit
(shop/web/8000). `mainstay COMMAND --help` tells more.
"""


class Refusal(Exception):
    """Something the user has to know or do; shown without a traceback, exit status 2."""


def show(argv):
    """Run a program whose words apps have chosen, and say them as everything here is said; its exit status."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
    return process.returncode


def call_apart(argv):
    """Run a program of an app's as `subprocess.call` does, but give it no terminal of the operator's.

    Who has one could hand it to another process of the app, which reads what is typed there from then on, root's passwords too.
    """
    ends = {name: subprocess.PIPE for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)) if os.isatty(number)}
    with subprocess.Popen(argv, **ends) as process:
        if process.stdin:
            threading.Thread(target=_hand_over, args=(process.stdin,), daemon=True).start()
        streams = {stream: number for stream, number in ((process.stdout, 1), (process.stderr, 2)) if stream}
        for stream, chunk in written(process, streams):
            os.write(streams[stream], chunk)
    return process.returncode


def _hand_over(stream):
    """What is typed, to a program that may have ended or never reads."""
    with contextlib.suppress(OSError, ValueError):
        while chunk := os.read(0, 65536):
            stream.write(chunk)
            stream.flush()
        stream.close()


@dataclass
class Context:
    """What a command may touch."""

    paths: Paths = field(default_factory=Paths)
    systemd: Systemd = field(default_factory=Systemd)
    clock: object = time
    call: object = subprocess.call
    call_apart: object = call_apart
    show: object = show
    run: object = run
    filesystem: str = "/"
    root: bool = field(default_factory=lambda: os.geteuid() == 0)

    def config(self):
        return config.load(self.paths.config)

    def need_root(self, what):
        if not self.root:
            raise Refusal(f"{what} needs root: use sudo")


class Plain:
    """A stream to which apps have said some of what is written, and nothing that a terminal obeys is."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        return self.stream.write(printable(text))

    def __getattr__(self, name):
        return getattr(self.stream, name)


def usage():
    width = max(map(len, COMMANDS))
    return USAGE.format(commands="\n".join(f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items()))


def main(argv=None, context=None):
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0 if argv else 2
    name, *rest = argv
    if name == "--version":
        name = "version"
    if name in SERVICES:
        return importlib.import_module(f".{name}", __package__).main(rest)
    if name not in COMMANDS:
        print(f"mainstay: there is no command {name!r}\n\n{usage()}", end="", file=sys.stderr)
        return 2
    module = importlib.import_module(f".commands.{name}", __package__)
    parser = argparse.ArgumentParser(
        prog=f"mainstay {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.arguments(parser)
    options = parser.parse_args(rest)
    try:
        with contextlib.redirect_stdout(Plain(sys.stdout)):
            return module.run(options, context or Context())
    except (Refusal, config.ConfigError, SystemdError) as error:
        return refuse(name, options, str(error))
    except PermissionError as error:
        return refuse(name, options, f"only root and the group mainstay may read {error.filename}: use sudo")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return refuse(name, options, str(error))
    except KeyboardInterrupt:
        return 130


def refuse(name, options, reason):
    """Say why a command did nothing, to people, and to programs that have asked for JSON."""
    if getattr(options, "json", False):
        print(refused(name, reason))
    print(printable(f"mainstay: {reason}"), file=sys.stderr)
    return 2
