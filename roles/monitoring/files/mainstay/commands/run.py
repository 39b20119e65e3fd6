# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in an app's current release, as the app's user, with its environment and in the same kind of sandbox.

    mainstay run shop -- alembic current
    mainstay run shop -- python -m shop.shell
    mainstay run --memory 1G shop -- sh -c 'python -m shop.report > /srv/shop/shared/report.csv'

No shell runs unless you call one. The command may write to the app's shared folder and to /var/lib/<app>, and to no other place.
The variables of one process (PORT, DB_POOL_SIZE, ...) are not set. Exit status: that of the command.

In an app that is a container image the command runs in a container of its own, with the same limits, and may write to the shared
folder only. The image's entry point gets the command, as with podman run.
"""

from __future__ import annotations

import argparse
import contextlib
import grp
import os
import re
import secrets
import shlex
import sys
import tempfile

from ..cli import Refusal
from ..core.stack import containers, sandbox

MEMORY = "512M"
# What systemd-run ends with when a signal ended the command.
KILLED = 255
# As the units of the app have it, and its home below.
LOCALE = "LANG=C.UTF-8 LANGUAGE= LC_CTYPE= LC_COLLATE= LC_MESSAGES= LC_MONETARY= LC_NUMERIC= LC_TIME="
PROGRAMS = {"python": [".venv/bin"], "node": [".node/bin", "node_modules/.bin"]}


def memory(text):
    """A size as systemd writes it."""
    if not re.fullmatch(r"[1-9]\d*[KMG]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 512M or 1G")
    return text


def seconds(text):
    """A whole number of seconds, at least one."""
    if not re.fullmatch(r"[1-9]\d{0,6}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write seconds, such as 900")
    return int(text)


def arguments(parser):
    parser.usage = "mainstay run [--memory SIZE] [--time-limit SECONDS] [--variables FILE] APP [--] COMMAND..."
    parser.add_argument("--memory", type=memory, default=MEMORY, metavar="SIZE", help=f"how much memory it may use (default: {MEMORY})")
    parser.add_argument("--time-limit", type=seconds, metavar="SECONDS", help="when it is ended if it has not ended (default: never)")
    parser.add_argument("--variables", metavar="FILE", help="a file of further variables, which win over the app's own")
    parser.add_argument("app", metavar="APP", help="whose release, user and environment")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")


def run(options, context):
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise Refusal(f"no command to run; such as: mainstay run {options.app} -- env")
    if words[0].startswith("-"):
        raise Refusal(f"options stand before the app: mainstay run {words[0]} ... {options.app} -- COMMAND")
    app = context.config().app(options.app)
    context.need_root("running a command as another user")
    # The release that is current now, also when a deploy makes another one current in the meantime.
    release = os.path.realpath(f"{app.root}/current")
    release = f"{release}/{app.directory}".rstrip("/")
    if not os.path.isdir(release):
        raise Refusal(f"{app.name} has no release yet: {app.root}/current leads nowhere; deploy it first")
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    unit = f"mainstay-run-{app.name}-{secrets.token_hex(4)}.service"
    words = in_container(app, release, words, terminal, options.variables) if contained(app) else ["/usr/bin/env", *words]
    # A service that calls this has a folder of its own below /run, and may write to no other.
    with script(os.environ.get("RUNTIME_DIRECTORY") or context.paths.run, app, words) as path:
        try:
            # On a terminal systemd-run makes one of its own for the command.
            call = context.call if terminal else context.call_apart
            status = call(command(app, release, path, unit, options, terminal))
        except KeyboardInterrupt:
            context.call(["systemctl", "stop", "--", unit])
            raise
    if status == KILLED:
        print(f"mainstay: it was killed, or ended with {status}; it may use {options.memory} of memory (--memory)", file=sys.stderr)
    return status


def contained(app):
    return app.runtime == "container"


@contextlib.contextmanager
def script(folder, app, words):
    """A file with the command, for the app's group.

    When systemd is reloaded before the unit's process has started, as each installation of a package does, it reads the command
    line back from the unit it wrote, and up to version 257 a dollar or a semicolon comes back as something else.
    """
    with tempfile.NamedTemporaryFile("w", prefix=f"mainstay-run-{app.name}-", dir=folder, encoding="utf-8") as file:
        os.fchown(file.fileno(), -1, 0 if contained(app) else grp.getgrnam(app.user).gr_gid)
        os.fchmod(file.fileno(), 0o640)
        file.write(f"exec {shlex.join(words)}\n")
        file.flush()
        yield file.name


def command(app, release, path, unit, options, terminal):
    """The command line. The environment comes from its file: a command line is in every process list."""
    properties = [
        f"WorkingDirectory={release}",
        *([] if contained(app) else [f"Environment={LOCALE}", f"Environment=HOME=/var/lib/{app.name}"]),
        f"EnvironmentFile={app.env_file}",
        *([f"EnvironmentFile={os.path.abspath(options.variables)}"] if options.variables else []),
        f"MemoryMax={options.memory}",
        *([f"RuntimeMaxSec={options.time_limit}"] if options.time_limit else []),
        "TasksMax=256",
        "OOMScoreAdjust=500",
        f"SyslogIdentifier={app.name}-run",
        *([] if contained(app) else confined(app)),
    ]
    return [
        "systemd-run",
        "--quiet",
        "--wait",
        "--collect",
        "--pty" if terminal else "--pipe",
        "--service-type=exec",
        f"--unit={unit}",
        f"--description={app.name}: a command of {os.environ.get('SUDO_USER') or 'root'}",
        *([] if contained(app) else search_path(app, release)),
        *(f"--property={item}" for item in properties),
        "--",
        "/bin/sh",
        path,
    ]


def in_container(app, release, words, terminal, further=None):
    """The command line of podman. The image and its user stand in the release's own file."""
    options = [*containers.COMMAND, *(["--tty"] if terminal else [])]
    place = f"{release}/{containers.RELEASE_FILE}"
    if not os.path.isfile(place):
        raise Refusal(f"{app.name} is a container and its release is not: there is no {place}; deploy it")
    image, user = (variables(place)[name] for name in ("MAINSTAY_IMAGE", "MAINSTAY_USER"))
    names = {**variables(app.env_file), **(variables(further) if further else {})}
    return containers.podman_run(options, image, user, app.root, app.volumes, names, words)


def variables(path):
    """What a file of variables holds, as they are written there."""
    with open(path, encoding="utf-8") as file:
        return dict(re.findall(r"^(\w+)=(.*)$", file.read(), re.MULTILINE))


def search_path(app, release):
    programs = [f"{release}/{folder}" for folder in PROGRAMS.get(app.runtime, [])]
    return [
        f"--setenv=PATH={':'.join([*programs, '/usr/local/bin', '/usr/bin', '/bin'])}",
        *(["--setenv=PYTHONPATH=."] if app.runtime == "python" else []),
    ]


def confined(app):
    """What a command that runs on the host itself may do."""
    return [
        f"User={app.user}",
        f"Group={app.user}",
        f"ReadWritePaths={app.root}/shared",
        f"StateDirectory={app.name}",
        "StateDirectoryMode=0750",
        "UMask=0027",
        *sandbox.process(app.name, app.root),
    ]
