# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time: backup, upkeep, drill and restore take the same lock, and the kernel gives it back when they die."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

from .settings import LOCK, BackupError

WAIT = 3600  # seconds; units start together after a night in which the host was off


class Busy(BackupError):
    """Another one has the lock."""


@contextlib.contextmanager
def locked(path=LOCK, wait=WAIT):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        for second in range(wait + 1):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if second == wait:
                    raise Busy(f"another backup, drill or restore has been running for {wait} seconds") from None
                time.sleep(1)
        yield
    finally:
        os.close(descriptor)
