# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mainstay-backup run|drill|upkeep|open|restore: started by systemd's timers and by playbooks/restore.yml."""

from __future__ import annotations

import argparse
import os
import sys

from . import backup, drill, restore, upkeep
from .lock import locked
from .restic import Restic
from .settings import CONFIG, BackupError, load


def main(argv=None):
    parser = argparse.ArgumentParser(prog="mainstay-backup", description=__doc__)
    parser.add_argument("--config", default=CONFIG)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("run", "back up"), ("drill", "restore into scratch"), ("upkeep", "forget, prune, check"), ("open", "open or make")):
        commands.add_parser(name, help=text)
    back = commands.add_parser("restore", help="put an app's data back")
    back.add_argument("--app", required=True)
    back.add_argument("--what", choices=("database", "files", "all"), required=True)
    back.add_argument("--snapshot", default="latest")
    options = parser.parse_args(argv)
    os.umask(0o077)
    try:
        settings = load(options.config)
        restic = Restic(settings)
        with locked():
            return run(options, settings, restic)
    except (BackupError, OSError) as error:
        print(f"mainstay-backup: {error}", file=sys.stderr)
        return 1


def run(options, settings, restic):
    if options.command == "open":
        restic.open()
        return 0
    if options.command == "restore":
        print(restore.run(settings, restic, options.app, options.what, options.snapshot))
        return 0
    record = {"run": backup.run, "drill": drill.run, "upkeep": upkeep.run}[options.command](settings, restic)
    for name, part in record["parts"].items():
        if not part["ok"]:
            print(f"mainstay-backup: {name}: {part['error']}", file=sys.stderr)
    return 0 if record["ok"] else 1
