# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throws away what nobody misses, as root, where a disk is almost full: mainstay-reclaim.service, which the agent asks for.

It believes nobody: each step looks for itself whether its disk is full, and an hour passes between two runs. The list is fixed: old
parts of the journal, logs that logrotate has already put aside in folders that are root's alone, and downloaded packages. Never data.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
import time

FULL = 95  # percent
HOUR = 3600
JOURNAL_KEEPS = "64M"
RECORD = "/var/lib/mainstay/reclaimed.json"
LOGS = "/var/log"
# logrotate's own names: numbered or dated, packed or not
ROTATED = re.compile(r".+(\.[0-9]{1,3}|-[0-9]{8}([0-9]{2})?)(\.(gz|xz|bz2|zst))?")


def percent(folder):
    """How full the file system of a folder is; 0 where it cannot be told."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    used = found.f_blocks - found.f_bfree
    return 100 * used / (used + found.f_bavail) if used + found.f_bavail else 0


def free(folder):
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def journal(folder):
    subprocess.run(["journalctl", "--quiet", f"--vacuum-size={JOURNAL_KEEPS}"], stdin=subprocess.DEVNULL, timeout=60, check=False)


def packages(folder):
    subprocess.run(["apt-get", "--quiet", "clean"], stdin=subprocess.DEVNULL, timeout=60, check=False)


def rotated_logs(folder):
    """In the folder and those in it, where only root may write: what lies there was put there by root, and no link can lead elsewhere."""
    for path in (folder, *(entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))):
        with contextlib.suppress(OSError):
            _remove_rotated(path)


def _remove_rotated(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        own = os.fstat(descriptor)
        if own.st_uid or own.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return
        for name in os.listdir(descriptor):
            if ROTATED.fullmatch(name) and stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


STEPS = {"packages": ("/var/cache/apt", packages), "rotated logs": (LOGS, rotated_logs), "journal": (LOGS, journal)}


def reclaim(record, now, steps=None, full=percent, measure=free):
    """Do what is due; what was freed by each step, in bytes, or None where it is too early."""
    try:
        with open(record, encoding="utf-8") as file:
            if 0 <= now - json.load(file)["time"] < HOUR:
                return None
    except (OSError, ValueError, LookupError, TypeError):
        pass
    freed = {}
    for name, (folder, step) in (STEPS if steps is None else steps).items():
        if full(folder) >= FULL:
            before = measure(folder)
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                step(folder)
            freed[name] = max(0, measure(folder) - before)
    # In place, as a full disk has no room for a second file; who reads half of it reads nothing.
    with open(record, "w", encoding="utf-8") as file:
        json.dump({"time": now, "freed": freed}, file)
    os.chmod(record, 0o644)
    return freed


def main(argv=()):
    print(json.dumps(reclaim(RECORD, time.time())))
    return 0
