# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apart from the backup: what is too old is forgotten and its room given back, and the repository is checked."""

from __future__ import annotations

import time

from . import records
from .settings import BackupError


def run(settings, restic):
    """Both steps, whatever becomes of the other; the record."""
    started, parts = time.time(), {}
    for name, step in (("repository", restic.open), ("retention", lambda: restic.forget(settings.keep)), ("check", restic.check)):
        try:
            step()
            parts[name] = {"ok": True}
        except BackupError as error:
            parts[name] = {"ok": False, "error": str(error)}
    record = {"time": started, "seconds": round(time.time() - started, 1), "ok": all(part["ok"] for part in parts.values()), "parts": parts}
    records.write(settings, "upkeep.json", record)
    records.publish(settings, upkeep=records.summary(record))
    return record
