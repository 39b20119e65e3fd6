# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When systemd starts something, in its own words: a process with a schedule, a backup, the rotation of logs, an upgrade."""

from __future__ import annotations

import re

from .fields import Text
from .refusal import refuse

CRON = re.compile(r"(@\w+|[\d*/,-]+( [\d*/,A-Za-z-]+){4})")
REMEDY = "write a calendar event of systemd, such as daily, Mon 06:30 or *-*-* 03:00:00; systemd-analyze calendar '…' on a host tells when that is"
EVENT = Text(re.compile(r"[A-Za-z0-9_*:,./~ -]{1,100}"), REMEDY)


def event_of(value, where):
    """A calendar event; what cron takes instead is told apart, and whether systemd takes it all, a host tests."""
    event = EVENT.read(value, where)
    if CRON.fullmatch(event):
        refuse(where, event, f"that is a line of cron; {REMEDY}")
    return event
