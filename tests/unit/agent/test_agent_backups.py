# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `mainstay status` and `mainstay backups` say of the records of the role backup."""

from __future__ import annotations

import argparse
import json
import os
from types import SimpleNamespace

import pytest
from mainstay import backups, cli
from mainstay.commands import backups as command

NOW, HOUR, DAY = 1_800_000_000, 3600, 86400
LIMITS = {"max_age_hours": 36, "drill_max_age_days": 9}


def _run(age, ok=True, failed=()):
    return {"id": "x", "time": NOW - age, "seconds": 12, "ok": ok, "bytes": 12 << 20, "rows": 1204311, "failed": list(failed)}


def _folder(tmp_path, public, limited=True, since=0):
    if limited:
        (tmp_path / "limits.json").write_text(json.dumps(LIMITS))
        os.utime(tmp_path / "limits.json", (NOW - since, NOW - since))
    (tmp_path / "status.json").write_text(json.dumps(public))
    return str(tmp_path)


WELL = {"last": _run(3 * HOUR), "last_good": _run(3 * HOUR), "drill": _run(3 * DAY), "drill_good": _run(3 * DAY)}


@pytest.mark.parametrize(
    ("public", "since", "problems"),
    [
        (WELL, 90 * DAY, []),
        ({}, HOUR, []),
        ({}, 2 * DAY, ["no backup for 2 d"]),
        ({**WELL, "last": _run(60, False, ["postgresql-shop"])}, 90 * DAY, ["the last backup failed 60 s ago: postgresql-shop"]),
        ({**WELL, "last": _run(50 * HOUR), "last_good": _run(50 * HOUR)}, 90 * DAY, ["no backup for 2 d"]),
        ({**WELL, "drill": _run(60, False, ["host"])}, 90 * DAY, ["the last drill failed 60 s ago: host"]),
        ({**WELL, "drill_good": _run(12 * DAY)}, 90 * DAY, ["not proved restorable for 12 d"]),
        ({**WELL, "upkeep": _run(60, False, ["check"])}, 90 * DAY, ["the last upkeep failed 60 s ago: check"]),
    ],
)
def test_problems_are_told(tmp_path, public, since, problems):
    assert backups.look(_folder(tmp_path, public, since=since), NOW)["problems"] == problems


def test_the_sentence_says_age_size_and_proof(tmp_path):
    said = backups.look(_folder(tmp_path, WELL), NOW)["sentence"]
    assert said == "Backup: backup 3 h ago, 12.0 MB, proved restorable 3 d ago, 12 s, 1,204,311 rows"


def test_nobody_is_told_of_backups_that_nobody_asked_for(tmp_path):
    folder = _folder(tmp_path, WELL, limited=False)
    assert backups.look(folder, NOW) is None
    context = SimpleNamespace(paths=SimpleNamespace(backup=folder), clock=SimpleNamespace(time=lambda: NOW))
    with pytest.raises(cli.Refusal):
        command.run(argparse.Namespace(json=False), context)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_shows_parts_reasons_and_names(tmp_path, capsys, as_json):
    folder = _folder(tmp_path, {**WELL, "last": _run(60, False, ["host"]), "runs": [{"id": "20261128T030000Z", "snapshot": "abc"}]})
    (tmp_path / "last.json").write_text(json.dumps({"parts": {"host": {"ok": False, "error": "no space left", "seconds": 1}}}))
    context = SimpleNamespace(paths=SimpleNamespace(backup=folder), clock=SimpleNamespace(time=lambda: NOW))
    assert command.run(argparse.Namespace(json=as_json), context) == 1
    said = capsys.readouterr().out
    assert "no space left" in said and "20261128T030000Z" in said


def test_what_a_drill_has_asked_of_a_database_is_told_and_of_a_killed_one_no_time(tmp_path, capsys):
    killed = {"time": NOW - 60, "ok": False, "failed": ["killed"]}
    folder = _folder(tmp_path, {**WELL, "last": killed})
    asked = {"ok": True, "rows": {"t": 4}, "amcheck": "not run: there is no /x", "check": "well"}
    (tmp_path / "drill.json").write_text(json.dumps({"parts": {"postgresql-shop": asked}}))
    context = SimpleNamespace(paths=SimpleNamespace(backup=folder), clock=SimpleNamespace(time=lambda: NOW))
    assert command.run(argparse.Namespace(json=False), context) == 1
    said = capsys.readouterr().out
    assert "pg_amcheck not run: there is no /x, the app's check well" in said and "60 s ago: failed\n" in said
