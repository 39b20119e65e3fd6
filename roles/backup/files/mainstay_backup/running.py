# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, on record while it does: of one that was killed, the record is still there, and says what it owes."""

from __future__ import annotations

import contextlib
import os
import time

from . import records

FILE = "running.json"
# Where each command keeps its record, and under which name everybody reads its summary.
RECORDS = {"run": ("last.json", "last"), "drill": ("drill.json", "drill"), "upkeep": ("upkeep.json", "upkeep")}


@contextlib.contextmanager
def noted(settings, command):
    """On record until its own record is written; also of one that ends by an exception nothing is forgotten."""
    records.write(settings, FILE, {"command": command, "time": time.time(), "due": []})
    yield
    forget(settings)


def forget(settings):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(settings.state, FILE))


def left(settings):
    """What one that was killed has left on record; {} where none was."""
    return records.read(settings, FILE)


def owe(settings, app, is_due=True):
    """Note that an app's command is due, or is not any more."""
    found = left(settings)
    due = [name for name in found.get("due", []) if name != app] + [app] * is_due
    records.write(settings, FILE, {**found, "due": due})


def tell(settings, found):
    """The record of one that was killed: it has failed."""
    file, name = RECORDS[found["command"]]
    reason = "it was killed, ran out of memory or time, or the host went down; see journalctl --unit='mainstay-backup*'"
    record = {"time": found["time"], "ok": False, "parts": {"killed": {"ok": False, "error": reason}}}
    records.write(settings, file, record)
    records.publish(settings, **{name: records.summary(record)})
