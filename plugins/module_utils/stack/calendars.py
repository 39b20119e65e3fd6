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
# As systemd.time(7) has it: a word, or days of the week, a date, a time and a zone, of which all but one may be left out.


def _in_any_case(words):
    """A pattern for words, in what Python and the editors' schema have in common."""
    return "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in words.split())


WORDS = _in_any_case("minutely hourly daily weekly monthly quarterly semiannually yearly annually")
DAY = f"(?:{_in_any_case('monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun')})"
DAYS = rf"{DAY}(?:(?:,|\.\.|-){DAY})*,?"
PART = r"(?:(?:\*|\d+(?:\.\d+)?(?:\.\.\d+(?:\.\d+)?)?)(?:/\d+(?:\.\d+)?)?)"
PARTS = rf"{PART}(?:,{PART})*"
DATE = rf"(?:{PARTS}-)?{PARTS}[-~]{PARTS}"
TIME = rf"{PARTS}:{PARTS}(?::{PARTS})?"
ZONE = rf"(?:{_in_any_case('utc')}|[A-Z]{{3,4}}|[A-Z]\w+(?:/[A-Za-z0-9_+-]+)+)"
WHEN = rf"(?:{DAYS} (?:{DATE} )?{TIME}|{DAYS}(?: {DATE})?|{DATE}(?: {TIME})?|{TIME}|{WORDS})"
EVENT = Text(re.compile(rf"{WHEN}(?: {ZONE})?"), REMEDY)
# What the numbers of a date and of a time may be, from the right; the year is any.
IN_DATE, IN_TIME = ((1, 31), (1, 12)), ((0, 59), (0, 59), (0, 23))


def event_of(value, where):
    """A calendar event; what cron takes instead is told apart. That a host knows the zone, the host tests."""
    if isinstance(value, str) and CRON.fullmatch(value):
        refuse(where, value, f"that is a line of cron; {REMEDY}" if " " in value else REMEDY)
    event = EVENT.read(value, where)
    for word in event.split(" "):
        clock = re.fullmatch(TIME, word)
        if clock or re.fullmatch(DATE, word):
            _check(word, event, where, clock)
    return event


def _check(word, event, where, clock):
    parts = word.split(":") if clock else re.split("[-~]", word)
    bounds = IN_TIME[-len(parts) :] if clock else IN_DATE
    for part, (low, high) in zip(reversed(parts), bounds):
        for number in re.findall(r"(?:^|,|\.\.)(\d+)", part):
            if not low <= int(number) <= high:
                refuse(where, event, f"there is no {number} in {word}; {REMEDY}")
