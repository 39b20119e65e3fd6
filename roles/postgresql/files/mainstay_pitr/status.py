# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on record: written by postgres, in whose folder it lies, and read by the agent."""

from __future__ import annotations

import json
import os

RECORD = "/var/lib/mainstay/pitr/status.json"


def record(**facts):
    told = recorded()
    told.update(facts)
    temporary = f"{RECORD}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(told, file)
    os.chmod(temporary, 0o644)
    os.replace(temporary, RECORD)


def recorded():
    try:
        with open(RECORD, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def gap_since(told):
    """From when on some of the log is missing, as long as no backup was made since; None where none is."""
    return (told.get("gap_since") or (told.get("last_good") or {}).get("time") or 0) if told.get("gap") else None
