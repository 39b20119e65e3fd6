# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment in which an app's processes run: their variables, against those that a start would give them, and the packages of its
release, against those of the release before.

No function gives a value away: what is said of one is its name, its length and the beginning of its digest.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shlex
from types import SimpleNamespace

from .commands import run as commands
from .core.text import read
from .units import SystemdError

FILE, UNIT, SYSTEMD = "file", "unit", "systemd"
# What systemd tells a service by itself (systemd.exec(5), "Environment Variables in Spawned Processes").
TOLD = re.compile(
    r"(HOME|LANG|LOGNAME|PATH|SHELL|USER|TERM|MAINPID|JOURNAL_STREAM|NOTIFY_SOCKET|INVOCATION_ID|SYSTEMD_EXEC_PID|CREDENTIALS_DIRECTORY"
    r"|(RUNTIME|STATE|CACHE|LOGS|CONFIGURATION)_DIRECTORY|WATCHDOG_(PID|USEC)|MEMORY_PRESSURE_(WATCH|WRITE)|(LISTEN|MANAGER|TRIGGER)_\w+)"
)
NAME = re.compile(r"[A-Za-z_]\w*")
TELLING = 12  # letters from which the beginning of a digest helps nobody to guess the value
PIP = "/usr/share/python-wheels/pip-*.whl"  # Debian's, which runs as it lies there
LOCK_BYTES = 32 << 20


def variables(words):
    """{name: value} of what a process was told, as the kernel and `env -0` write it."""
    pairs = (word.partition("=") for word in words.split("\0"))
    return {name: value for name, equals, value in pairs if equals and NAME.fullmatch(name)}


def told(app, context):
    """The variables in the app's file, as systemd itself reads them."""
    reader = [
        "systemd-run",
        "--quiet",
        "--wait",
        "--collect",
        "--pipe",
        "--service-type=exec",
        f"--property=EnvironmentFile={app.env_file}",
    ]
    whole = variables(context.run([*reader, f"--property=User={app.user}", "--", "/usr/bin/env", "-0"], timeout=30))
    names = set(re.findall(r"^\s*([A-Za-z_]\w*)=", read(app.env_file), re.MULTILINE))
    return {name: value for name, value in whole.items() if name in names}


def of_unit(unit, context):
    """The variables in a unit, by its name."""
    shown = context.run(["systemctl", "show", "--property=Environment", "--value", "--", unit])
    return variables("\0".join(shlex.split(shown)))


def running(pid, root="/"):
    """The variables that a process was started with."""
    return variables(read(f"{root.rstrip('/')}/proc/{pid}/environ"))


def compared(has, file, unit):
    """(rows {name, from, length, sha256}, differences {name: word}) of one process: what it has, and what a start would give it."""
    wanted = {**unit, **file}
    rows = [
        {"name": name, "from": FILE if name in file else UNIT if name in unit else SYSTEMD, "length": len(value), "sha256": digest(value)}
        for name, value in sorted(has.items())
    ]
    differs = {name: "not there yet" for name in wanted if name not in has}
    differs |= {name: "gone" for name in has if name not in wanted and not TOLD.fullmatch(name)}
    differs |= {name: "changed" for name, value in wanted.items() if has.get(name, value) != value}
    return rows, dict(sorted(differs.items()))


def digest(value):
    return hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()[:8] if len(value) >= TELLING else ""


def looked_at(app, processes, states, context):
    """[{name, rows, differs}] of those processes of an app that run."""
    file, found = told(app, context), []
    for process in processes:
        state = states.get(process.job)
        if state and state.running and state.main_pid and (has := running(state.main_pid, context.filesystem)):
            rows, differs = compared(has, file, of_unit(process.job, context))
            found.append({"name": process.name, "rows": rows, "differs": differs})
    return found


# --- packages ----------------------------------------------------------------------------------------------------------


def packages(release):
    """{name: version} of what was installed for a release."""
    found = {}
    for path in glob.glob(f"{glob.escape(release)}/.venv/lib/python3*/site-packages/*.dist-info"):
        name, _hyphen, version = os.path.basename(path).removesuffix(".dist-info").partition("-")
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    lock = f"{release}/node_modules/.package-lock.json"
    if os.path.isfile(lock) and os.path.getsize(lock) <= LOCK_BYTES:
        try:
            listed = json.loads(read(lock))["packages"]
            found |= {path.removeprefix("node_modules/"): str(facts.get("version", "")) for path, facts in listed.items()}
        except (ValueError, LookupError, AttributeError, TypeError):
            pass  # of another version of npm
    return found


def since_before(app):
    """(the release that served before, or an empty text; [sentence for each package that differs from it])."""
    now, before = (os.path.realpath(f"{app.root}/{link}") for link in ("current", "previous"))
    if before == now or not os.path.isdir(before):
        return "", []
    has, had = (packages(f"{release}/{app.directory}".rstrip("/")) for release in (now, before))
    lines = [
        f"{name} {had[name]} -> {has[name]}"
        if name in has and name in had
        else f"{name} {has[name]} is new"
        if name in has
        else f"{name} is gone"
        for name in sorted({*has, *had})
        if has.get(name) != had.get(name)
    ]
    return os.path.basename(before), lines


def broken(app, context):
    """What pip says of packages that lack others or contradict each other, as the app's user and in its sandbox; None where it cannot say."""
    release = f"{os.path.realpath(f'{app.root}/current')}/{app.directory}".rstrip("/")
    wheels = sorted(glob.glob(PIP))
    if app.runtime != "python" or not wheels or not os.path.isfile(f"{release}/.venv/bin/python"):
        return None
    # It ends with 1 where it finds something, and so does what cannot be started.
    words = ["sh", "-c", '"$@" || [ $? = 1 ]', "check", ".venv/bin/python", f"{wheels[-1]}/pip", "--disable-pip-version-check", "check"]
    options = SimpleNamespace(memory=commands.MEMORY, time_limit=60, variables=None)
    unit = f"mainstay-check-{app.name}.service"
    try:
        with commands.script(context.paths.run, app, words) as path:
            said = context.run(commands.command(app, release, path, unit, options, terminal=False), timeout=70)
    except (SystemdError, OSError):
        return None
    return [line for line in said.splitlines() if " requires " in line or " has requirement " in line]
