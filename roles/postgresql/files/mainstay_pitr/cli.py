# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mainstay-pitr open|backup|watch|ended|look|restore|noted: started by systemd's timers, by the role postgresql and by playbooks.

``backup``, ``watch`` and ``ended`` run as postgres in units of their own and leave a record; ``open``, ``look`` and ``restore`` are root's,
and what root leaves on record is written by postgres, too, in whose folder it lies.
"""

from __future__ import annotations

import argparse
import sys

from . import backup, repository, way_back
from .programs import Refused


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="mainstay-pitr", description="Point-in-time recovery of PostgreSQL")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("open", "backup", "watch", "ended"):
        verbs.add_parser(verb)
    for verb in ("look", "restore"):
        verbs.add_parser(verb).add_argument("--time", required=True, help="a moment with its zone, such as 2026-11-30 10:15:00+00")
    noted = verbs.add_parser("noted", help="the moments that are given up by going back from one to another")
    noted.add_argument("since", type=float)
    noted.add_argument("until", type=float)
    options = parser.parse_args(arguments)
    try:
        return VERBS[options.verb](options) or 0
    except (Refused, OSError) as error:
        print(f"mainstay-pitr: {error}", file=sys.stderr)
        return 1


VERBS = {
    "open": repository.open_repository,
    "backup": backup.backup,
    "watch": backup.watch,
    "ended": backup.ended,
    "noted": backup.noted,
    "look": way_back.look,
    "restore": way_back.quietly(way_back.restore),
}
