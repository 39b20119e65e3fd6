# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be declared of backups: refused before a host is touched, with the variable, the value and the remedy."""

from __future__ import annotations

import re

from ..text import MASK
from .processes import CALENDAR, CRON
from .refusal import integer, mapping, refuse, text_of

REPOSITORY = re.compile(r"(/[^\s\"'\\]+|(s3|sftp|rest|b2|azure|gs|swift|rclone):[^\s\"'\\]+)")
# Folders that an app writes, that are backed up themselves, or that do not outlive the next boot.
NEVER_BELOW = ("/srv", "/var/lib/mainstay", "/etc/mainstay", "/tmp", "/var/tmp", "/run", "/dev", "/proc", "/sys")
PERIODS = ("daily", "weekly", "monthly", "yearly")
SCHEDULES = ("backup_schedule", "backup_upkeep_schedule", "backup_drill_schedule")
SHORTEST_PASSWORD = 16


def check_backups(variables):
    """Refuse what a backup could not be made with, of the variables of one host; without a repository there is nothing to check.

    :raises DeclarationError: the first value that cannot work.
    """
    repository = variables.get("backup_repository") or ""
    if not repository:
        return
    remedy = "write a path such as /mnt/backups, sftp:user@host:/path, or s3:https://s3.example.com/bucket"
    text_of(repository, "backup_repository", REPOSITORY, remedy)
    for folder in NEVER_BELOW:
        if f"{repository}/".startswith(f"{folder}/"):
            refuse("backup_repository", repository, f"{folder} is no place for it; take a folder on another disk, such as /mnt/backups")
    keep = mapping(variables.get("backup_keep", {"daily": 1}), "backup_keep", PERIODS)
    if not sum(integer(keep[period], f"backup_keep.{period}", 0, 1000) for period in keep):
        refuse("backup_keep", keep, "nothing would be kept; write {daily: 7, weekly: 4, monthly: 6}")
    for name in SCHEDULES:
        if name in variables:
            example = "such as 03:00 or Sun 04:30; systemd-analyze calendar '…' on a host tells when that is"
            value = text_of(variables[name], name, CALENDAR, f"write a calendar event of systemd, {example}")
            if CRON.fullmatch(value):
                refuse(name, value, f"that is a line of cron; write a calendar event of systemd, {example}")
    password = variables.get("backup_password")
    if password is not None and (not isinstance(password, str) or len(password) < SHORTEST_PASSWORD or "\n" in password):
        refuse(
            "backup_password",
            MASK,
            f"write one line of at least {SHORTEST_PASSWORD} characters, or none: one is then made and kept in secrets/",
        )
