# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done, for people and for `mainstay`: root reads all of it, others how long ago and how large."""

from __future__ import annotations

import contextlib
import json
import os

PUBLIC = "status.json"


def read(settings, name):
    try:
        with open(os.path.join(settings.state, name), encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return {}


def write(settings, name, value, mode=0o600):
    path = os.path.join(settings.state, name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}.new")
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def publish(settings, **news):
    """The public record with its news: no table's name, no error's words."""
    write(settings, PUBLIC, {**read(settings, PUBLIC), **news}, 0o644)


def summary(record):
    """What everybody may know of a backup or a drill."""
    parts = record.get("parts", {})
    return {
        **{key: record[key] for key in ("id", "time", "seconds", "ok", "bytes", "added", "rows", "files") if key in record},
        "failed": sorted(name for name, part in parts.items() if not part["ok"]),
    }
