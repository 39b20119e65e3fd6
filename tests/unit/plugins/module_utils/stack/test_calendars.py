# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack.calendars import event_of

# As `systemd-analyze calendar` of systemd 252 on a host of the lab took them, or did not.
TAKEN = [
    "daily",
    "Mon 06:30",
    "*-*-* 03:00:00",
    "Mon..Fri 03:00 America/New_York",
    "*:0/15",
    "03:00",
    "Sat 04:30",
    "Mon",
    "Mon,Wed",
    "mon 3:00",
    "Mon-Fri 03:00",
    "2026-02-30",
    "*-*~1 04:00",
    "*-02~03",
    "12-24 18:00",
    "hourly UTC",
    "*-*-1..7 03:00",
    "Mon *-*-1..7 03:00",
    "Sun,Mon 00:00",
    "monthly",
    "yearly",
    "annually",
    "quarterly",
    "weekly",
    "minutely",
    "semiannually",
    "00:00:00/10",
    "*:*:30.5",
    "Thursday 12:00",
    "2026-1-1 1:1:1",
    "26-1-1",
    "*-*-* *:*:*",
    "08:05:40",
    "10..12:00",
    "Wed..Sat,Tue 10-10-15 1:2:3",
    "Fri *-*-13",
    "DAILY",
    "*-*-* 4:00 utc",
    "2003-03-05",
    "05:40",
    "Mon, 3:00",
    "04:30:00 UTC",
    "00:00,12:00",
    "0/2:00",
    "*-1,7-1 00:00",
]
NOT_TAKEN = [
    "at night",
    "25:00",
    "24:00",
    "2026-13-01",
    "every day",
    "0 3 * * *",
    "@daily",
    "3:60",
    "*-*-32",
    "Thurs 12:00",
    "Tues 1:00",
    "1:2:3:4",
    "Fri 13 13:00",
    "Mon Tue",
    "10-12:00",
    "bi-weekly",
    "fortnightly",
    "never",
    "4:00 GMT+2",
    "Mon..",
    "*-*-0 01:00",
    "6h",
    "1",
    "every 15min",
    "12:00 PM",
    "*-*-* 03:00:00 Europe/Berlin extra",
    "2026-W01",
]


@pytest.mark.parametrize("event", TAKEN)
def test_what_systemd_takes_is_taken(event):
    assert event_of(event, "x") == event


@pytest.mark.parametrize("event", [*NOT_TAKEN, "", None, 3, ["daily"], "daily\n"])
def test_what_systemd_does_not_take_is_refused(event):
    with pytest.raises(ValueError, match="cannot be used.* calendar event of systemd"):
        event_of(event, "x")
