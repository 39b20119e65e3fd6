# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `mainstay status` says of point-in-time recovery."""

from __future__ import annotations

import json
import os

import pytest
from mainstay import recovery

NOW, HOUR, DAY = 1_800_000_000, 3600, 86400
GOOD = {"ok": True, "time": NOW - 3 * HOUR, "seconds": 8, "bytes": 12 << 20, "type": "diff"}
WELL = {"last": GOOD, "last_good": GOOD, "watch": {"ok": True, "time": NOW - 60, "reason": ""}, "oldest": NOW - 7 * DAY, "gap": None}


def _folder(tmp_path, told, since=0):
    (tmp_path / "limits.json").write_text('{"max_age_hours": 36}')
    os.utime(tmp_path / "limits.json", (NOW - since, NOW - since))
    (tmp_path / "status.json").write_text(told if isinstance(told, str) else json.dumps(told))
    return str(tmp_path)


@pytest.mark.parametrize(
    ("told", "since", "problems"),
    [
        (WELL, 90 * DAY, []),
        ({}, 60, []),
        ({}, 2 * DAY, ["no backup for it for 2 d", "nobody has looked for 2 d"]),
        ({**WELL, "last": {"ok": False, "time": NOW, "reason": "killed"}}, 90 * DAY, ["the last backup for it failed: killed"]),
        ({**WELL, "last_good": {**GOOD, "time": NOW - 50 * HOUR}}, 90 * DAY, ["no backup for it for 2 d"]),
        ({**WELL, "watch": {"ok": False, "time": NOW, "reason": "it is away"}}, 90 * DAY, ["PostgreSQL's log is not kept: it is away"]),
        ({**WELL, "watch": {"ok": True, "time": NOW - HOUR}}, 90 * DAY, ["nobody has looked for 60 min"]),
        ({**WELL, "gap": NOW - 60}, 90 * DAY, ["some of PostgreSQL's log was dropped: no moment before"]),
        # of postgres', and so anything
        ({"last": 7, "last_good": [], "watch": "x", "oldest": {}, "gap": "y"}, 60, []),
        ({**WELL, "last": {"ok": False, "reason": ["x"]}}, 90 * DAY, ["the last backup for it failed: for no reason"]),
        ("no json", 60, []),
    ],
)
def test_problems_are_told(tmp_path, told, since, problems):
    found = recovery.look(_folder(tmp_path, told, since), NOW)["problems"]
    assert [problem.startswith(words) for problem, words in zip(found, problems)] == [True] * len(problems) == [True] * len(found), found


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"gaps": [[NOW - DAY, NOW - HOUR]]}, ", but none between 2027-01-14 08:00:00 and 2027-01-15 07:00:00"),
        ({"gaps": [[NOW - 9 * DAY, NOW - 8 * DAY]]}, ""),
        ({"given_up": [[NOW - DAY, NOW - HOUR]], "gaps": [[NOW - 2 * DAY, NOW - DAY]]}, " 08:00:00, or 2027-01-14 08:00:00 and "),
        ({"gaps": [7, ["x", 1], [1], None, [NOW, float("nan")]], "given_up": "x"}, ""),
    ],
)
def test_what_is_missing_in_between_is_told_for_as_long_as_it_is(tmp_path, told, said, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    found = recovery.look(_folder(tmp_path, {**WELL, **told}), NOW)
    assert found["problems"] == [] and said in found["sentence"] and bool(said) == (", but none" in found["sentence"])


def test_while_some_of_the_log_is_missing_not_every_moment_is_promised(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    found = recovery.look(_folder(tmp_path, {**WELL, "gap": NOW - 60, "gap_since": NOW - HOUR}), NOW)
    assert found["sentence"].splitlines()[0].endswith(", but none after 2027-01-15 07:00:00") and len(found["problems"]) == 1


def test_the_sentence_says_how_far_back_it_leads(tmp_path):
    assert recovery.look(_folder(tmp_path, WELL), NOW)["sentence"].startswith("Recovery: every moment since 20")


def test_nobody_is_told_of_what_nobody_asked_for(tmp_path):
    assert recovery.look(str(tmp_path), NOW) is None
