# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app's own commands around its backup and in its drill: as `mainstay run` runs them, as the app's user and in its sandbox.

What they write is the app's word, so only the end of it is kept, and nobody waits for an end of it that the app holds back.
"""

from __future__ import annotations

import grp
import os
import subprocess
import time

from . import pipes, running
from .output import written
from .settings import BackupError

MAINSTAY = "/usr/local/bin/mainstay"
LIMIT = 900  # seconds
MEMORY_MB = 512  # where no plan says less
GRACE = 150  # seconds more, in which systemd ends what has not ended by itself
VARIABLES = "/etc/mainstay/backup/check-{}.env"
AWAY = "not run: the app's releases are on other hosts"


def before(settings, app):
    """What comes before anything of the app is taken; from here on its `after` is due."""
    hooks = settings.hooks.get(app, {})
    if "after" in hooks:
        running.owe(settings, app)
    if "before" in hooks:
        call(settings, app, "before")


def after(settings, app):
    if "after" in settings.hooks.get(app, {}):
        try:
            call(settings, app, "after")
        finally:
            running.owe(settings, app, is_due=False)


def check(settings, app):
    """What the app's own command says of the scratch database, as words of the drill's record; {} where it has none.

    :raises BackupError: when it ends with another status than 0.
    """
    words = settings.hooks.get(app, {}).get("check")
    if words is None:
        return {}
    if not words:
        return {"check": AWAY}
    call(settings, app, "check", [f"--variables={VARIABLES.format(app)}"])
    return {"check": "well"}


def call(settings, app, verb, options=()):
    """Run a command of the app to its end.

    :raises BackupError: when it ends with another status than 0, or too late.
    """
    hooks, began = settings.hooks[app], time.monotonic()
    command = [
        MAINSTAY,
        "run",
        f"--time-limit={LIMIT}",
        f"--memory={hooks.get('memory_mb', MEMORY_MB)}M",
        *options,
        app,
        "--",
        *hooks[verb],
    ]
    status, said = ended(command, LIMIT + GRACE, hooks["user"])
    if status and time.monotonic() - began >= LIMIT:
        raise BackupError(f"{verb} of {app} had not ended after {LIMIT} seconds: {pipes.words(said)}")
    if status:
        raise BackupError(f"{verb} of {app} ended with {status}: {pipes.words(said)}")


def ended(command, limit, user):
    """The status of a command, and the end of what it has written.

    The user's group is one of the process, so that it may give the group a file to read without the capability for that.
    """
    try:
        groups = {"extra_groups": [grp.getgrnam(user).gr_gid]} if os.geteuid() == 0 else {}
    except KeyError:
        raise BackupError(f"there is no group {user} on this host") from None
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", **groups)
    said = b""
    with process.stdout as stream:
        try:
            for _stream, chunk in written(process, [stream], time.monotonic() + limit):
                said = (said + chunk)[-pipes.TAIL :]
        except subprocess.TimeoutExpired:
            return -1, said
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return process.returncode, said
