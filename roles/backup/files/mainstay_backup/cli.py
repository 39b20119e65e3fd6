# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mainstay-backup run|drill|upkeep|open|restore|secrets: started by systemd's timers and by playbooks. ended is what each unit says last.

restic is for a person: it runs what follows with the repository, its password and its keys.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from . import backup, control, drill, hooks, records, restore, running, sftp, upkeep
from .lock import Busy, locked
from .restic import Restic
from .settings import CONFIG, BackupError, load


def main(argv=None):
    parser = argparse.ArgumentParser(prog="mainstay-backup", description=__doc__)
    parser.add_argument("--config", default=CONFIG)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("run", "back up"),
        ("drill", "restore into scratch"),
        ("upkeep", "forget, prune, check"),
        ("open", "open or make"),
        ("ended", "clear up"),
        ("secrets", "keep what the control node sends"),
    ):
        commands.add_parser(name, help=text)
    back = commands.add_parser("restore", help="put an app's data back")
    back.add_argument("--app", required=True)
    asked = back.add_mutually_exclusive_group(required=True)
    asked.add_argument("--what", choices=("database", "files", "all"))
    asked.add_argument("--path", help="one file or folder: a whole path, or one below a folder of the app's")
    back.add_argument("--snapshot", default="latest")
    back.add_argument(
        "--look", action="store_true", help="refuse what cannot come back, and say what --path would bring, as JSON; change nothing"
    )
    commands.add_parser("restic", help="restic itself, for this repository", add_help=False).add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args(argv)
    os.umask(0o077)
    try:
        settings = load(options.config)
        restic = Restic(settings)
        if options.command == "ended":
            return ended(settings)
        if options.command == "restic":
            os.execve(restic.program[0], [*restic.program, *options.words], restic.env)
        with locked():
            if options.command == "restore" and options.look:
                return look(options, settings, restic)
            clear(settings)
            return run(options, settings, restic)
    except (BackupError, OSError) as error:
        print(f"mainstay-backup: {error}", file=sys.stderr)
        return 1


def look(options, settings, restic):
    if options.path is None:
        restore.foreseen(settings, restic, options.app, options.what, options.snapshot)
        print("{}")
    else:
        print(json.dumps(restore.look(settings, restic, options.app, options.path, options.snapshot)))
    return 0


def run(options, settings, restic):
    if options.command == "open":
        if sftp.is_meant(settings):
            sftp.make_key()
        restic.open()
        records.publish(settings, runs=backup.listed(restic))  # a host that takes the place of another has its backups to choose from
        return 0
    if options.command == "secrets":
        print(control.keep(restic, sys.stdin.buffer))
        return 0
    if options.command == "restore" and options.path is not None:
        print(restore.path(settings, restic, options.app, options.path, options.snapshot))
        return 0
    if options.command == "restore":
        print(restore.run(settings, restic, options.app, options.what, options.snapshot))
        return 0
    with running.noted(settings, options.command):
        record = {"run": backup.run, "drill": drill.run, "upkeep": upkeep.run}[options.command](settings, restic)
    for name, part in record["parts"].items():
        if not part["ok"]:
            print(f"mainstay-backup: {name}: {part['error']}", file=sys.stderr)
    return 0 if record["ok"] else 1


def ended(settings):
    """Clear up after one that was killed. Who has the lock has done it when he took it."""
    if not running.left(settings):
        return 0
    try:
        with locked(wait=0):
            return 0 if clear(settings) else 1
    except Busy:
        return 0


def clear(settings):
    """What one that was killed has left: commands of apps that are due, scratch databases, and its record. Whether all of it went well."""
    found, is_well = running.left(settings), True
    for app in found.get("due", ()):
        try:
            hooks.after(settings, app)
        except BackupError as error:
            is_well = False
            print(f"mainstay-backup: {error}", file=sys.stderr)
    if found.get("command") == "drill":
        drill.clear(settings)
    if found:
        running.tell(settings, found)
        running.forget(settings)
    return is_well
