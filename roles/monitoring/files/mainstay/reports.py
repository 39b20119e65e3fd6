# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports that are kept: one file for each day, the oldest go. Whoever reads them, such as root, trusts the folder with nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from datetime import datetime, timezone

from . import config, maintenances, report
from .core.host import limits
from .paths import Paths
from .records import events, finite, opened, read_state, write_state

DAY = 86400
NAME = re.compile(r"\d{8}T\d{6}Z\.json")
LARGEST = 4 << 20  # bytes


@contextlib.contextmanager
def _folder(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _names(folder):
    return sorted((name for name in os.listdir(folder) if NAME.fullmatch(name)), reverse=True)


def newest(path, before=None):
    """The newest report that can be read, of those from before a moment, or None."""
    try:
        with _folder(path) as folder:
            for name in _names(folder):
                with contextlib.suppress(OSError, ValueError), opened(name, folder, LARGEST) as file:
                    found = json.load(file)
                    if _sound(found) and (before is None or found["time"] < before):
                        return found
    except (FileNotFoundError, NotADirectoryError):
        pass
    return None


def _sound(found):
    return isinstance(found, dict) and found.get("version") == report.VERSION and 0 < (finite(found.get("time")) or 0) < 2**36


def keep(path, found, number):
    """Write a report, and let go of the oldest, so that so many are kept."""
    os.makedirs(path, 0o750, exist_ok=True)
    name = datetime.fromtimestamp(found["time"], timezone.utc).strftime("%Y%m%dT%H%M%SZ.json")
    write_state(os.path.join(path, name), found)
    with _folder(path) as folder:
        for old in _names(folder)[number:]:
            os.unlink(old, dir_fd=folder)
        for torn in os.listdir(folder):  # of a writer that was killed
            if NAME.fullmatch(torn.removesuffix(".new")) and torn.endswith(".new"):
                os.unlink(torn, dir_fd=folder)


def now(cfg, paths, clock, seconds, root="/"):
    """The report of the last so many seconds, compared with the newest that is kept."""
    moment = clock.time()
    try:
        recorded = list(events(paths.incidents))
    except FileNotFoundError:
        recorded = []
    before = newest(paths.reports, moment)
    apart = maintenances.read(paths.maintenances)
    return report.figures(cfg, recorded, read_state(paths.state), limits.memory(root), moment, seconds, before, apart)


def main(argv=(), paths=None, clock=time):
    """Started by systemd as mainstay-report.service, once a day."""
    paths = paths or Paths()
    try:
        cfg = config.load(paths.config)
        keep(paths.reports, now(cfg, paths, clock, DAY), cfg.settings.reports_keep)
    except (config.ConfigError, OSError) as error:
        print(f"<3>the report cannot be kept: {error}", file=sys.stderr)
        return 1
    return 0
