# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of point-in-time recovery: which moments it takes, which backup it begins with, and when some of the log is missing."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "roles/postgresql/files"))

from mainstay_pitr import backup, moments, programs, repository, status, way_back

NOW = 1796035000  # 2026-11-30 10:36:40+00
# As pgBackRest 2.45 of Debian 12 tells it, shortened to what is read.
INFO = json.loads((Path(__file__).parent / "info.json").read_text())
FULL, DIFF = 1796034536, 1796034767


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30 10:30:45+00", 1796034645),
        ("2026-11-30T10:30:45Z", 1796034645),
        ("2026-11-30 11:30:45+01:00", 1796034645),
        ("2026-11-30 05:30:45-05", 1796034645),
        ("2026-11-30 10:30:45.5+00", 1796034645.5),
        (" 2026-11-30 10:30+00:00 ", 1796034600),
    ],
)
def test_a_moment_is_read(text, moment):
    assert moments.moment_of(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no time"),
        ("yesterday", "is no time"),
        ("2026-02-30 10:15:00+00", "is no time"),
        ("10:15", "is no time"),
        ("2026-11-30", "does not say its zone"),
        ("2026-11-30 10:15:00", "does not say its zone"),
        ("2026-11-30 10:36:41+00", "is in the future"),
        ("2036-11-30 10:15:00+00", "is in the future"),
    ],
)
def test_what_is_no_moment_is_refused_with_one_that_is(text, words):
    with pytest.raises(programs.Refused, match=f"{words}.*2026-11-30 10:15:00"):
        moments.moment_of(text, NOW)


@pytest.mark.parametrize(
    ("moment", "label"), [(FULL + 1, "20261130-102851F"), (DIFF, "20261130-102851F"), (DIFF + 1, "20261130-102851F_20261130-103238D")]
)
def test_the_newest_backup_before_a_moment_is_taken(moment, label):
    assert moments.chosen(repository.backups(INFO)[0], moment)["label"] == label


def test_a_backup_that_ended_at_a_moment_does_not_lead_there():
    with pytest.raises(programs.Refused, match="nothing leads back to 2026-11-30 10:28:56.*the oldest backup is of 2026-11-30 10:28:56"):
        moments.chosen(repository.backups(INFO)[0], FULL)
    with pytest.raises(programs.Refused, match="there is no backup yet"):
        moments.chosen([], FULL)


def test_a_backup_with_errors_does_not_count():
    broken = json.loads(json.dumps(INFO))
    broken[0]["backup"][0]["error"] = True
    assert [item["label"] for item in repository.backups(broken)[0]] == ["20261130-102851F_20261130-103238D"]


@pytest.mark.parametrize(
    ("info", "words"),
    [([{"status": {"code": 1, "message": "missing stanza path"}}], "missing stanza path"), ([], "holds nothing of this server")],
)
def test_a_repository_without_a_stanza_is_told(info, words):
    with pytest.raises(programs.Refused, match=words):
        repository.backups(info)


@pytest.mark.parametrize(
    ("handed_over", "newest", "is_lost"),
    [
        ("000000010000000000000005", "000000010000000000000005", False),
        ("000000010000000000000004", "000000010000000000000005", False),
        ("000000010000000000000006", "000000010000000000000005", True),
        ("000000010000000100000000", "0000000100000000000000FF", True),
        ("000000010000000000000006", "", True),
        ("000000010000000000000003.00000028.backup", "000000010000000000000003", False),
        ("00000002.history", "000000010000000000000003", False),
        ("000000010000000000000009", "000000020000000000000004", False),
        (None, "", False),
    ],
)
def test_a_log_that_was_taken_and_is_not_there_was_dropped(handed_over, newest, is_lost):
    assert repository.lost(handed_over, newest) is is_lost


@pytest.fixture
def host(tmp_path, monkeypatch):
    """What `look` reads of a host, in a folder."""
    data = tmp_path / "main"
    (data / "pg_tblspc").mkdir(parents=True)
    (tmp_path / "mainstay.json").write_text(json.dumps({"data": str(data), "port": 5432}))
    monkeypatch.setattr(programs, "CONFIG", str(tmp_path / "mainstay.json"))
    monkeypatch.setattr(status, "RECORD", str(tmp_path / "status.json"))
    kept = repository.backups(INFO)
    monkeypatch.setattr(repository, "backups", lambda: kept)
    return SimpleNamespace(data=data, kept=kept[0])


MOMENT = SimpleNamespace(time="2026-11-30 10:30:45+00")


def test_a_moment_that_can_be_reached_is_foreseen(host):
    assert way_back.foreseen(MOMENT) == (1796034645, host.kept[0])


def test_a_moment_that_was_given_up_is_refused(host):
    status.record(given_up=[[1796034640, 1796034700]])
    with pytest.raises(
        programs.Refused, match="was given up when PostgreSQL went back to 2026-11-30 10:30:40.*main.before-20261130T103140Z"
    ):
        way_back.foreseen(MOMENT)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda host: host.kept[0].update(size=1 << 60), "MB are needed beside the data that is kept"),
        (lambda host: (host.data / "pg_tblspc" / "16400").symlink_to("/mnt"), "this server has tablespaces"),
        (lambda host: (host.data.rename(f"{host.data}2"), host.data.symlink_to(f"{host.data}2")), "is a link or a mount of its own"),
    ],
)
def test_what_has_no_room_to_be_put_aside_is_refused(host, change, words):
    change(host)
    with pytest.raises(programs.Refused, match=words):
        way_back.foreseen(MOMENT)


@pytest.mark.parametrize(
    ("there", "first", "number"),
    [
        ("3 4 5", "3", None),
        ("1 2 3", "3", None),
        ("", "3", None),
        ("3 5", "3", 4),
        ("3 4 7 8", "3", 5),
        ("4", "3", 3),
        ("1 3", "3", None),
        ("FF 100", "FF", None),
        ("FE 101", "FE", 255),
    ],
)
def test_a_segment_is_missing_where_a_later_one_is_there(there, first, number):
    def segment(word):
        return f"00000002{int(word, 16) // 256:08X}{int(word, 16) % 256:08X}"

    names = [segment(word) for word in there.split()]
    assert repository.missing([*names, "000000010000000000000009"], segment(first), 16 << 20) == number
    assert repository.missing(names, None, 16 << 20) is None


class Archive:
    """What the server and the repository say, as the test decides."""

    def __init__(self, host, monkeypatch):
        self.said, self.there, self.now = {"failing": False, "since": NOW, "segment": None, "bytes": 16 << 20}, [3], NOW
        monkeypatch.setattr(programs, "ask", lambda query: {**self.said, "segment": self.name(self.handed_over)})
        monkeypatch.setattr(repository, "backups", lambda: (host.kept, self.name(max(self.there))))
        monkeypatch.setattr(repository, "segments", lambda: [self.name(number) for number in self.there])
        monkeypatch.setattr(programs, "run", lambda command: "")
        monkeypatch.setattr(time, "time", lambda: self.now)
        self.host, self.handed_over = host, 3
        host.kept[-1]["segment"] = self.name(3)
        host.kept[:] = host.kept[-1:]

    @staticmethod
    def name(number):
        return f"0000000100000000{number:08X}"

    def look(self, later=300):
        self.now += later
        self.said["since"] = self.now - 10
        backup.watch(None)
        return status.recorded()

    def backup(self):
        self.now += 60
        self.host.kept.append({**self.host.kept[-1], "start": self.now, "stop": self.now, "segment": self.name(max(self.there))})
        backup.backup(None)
        return status.recorded()


@pytest.fixture
def archive(host, monkeypatch):
    return Archive(host, monkeypatch)


@pytest.mark.parametrize("noticed", ["at once", "later"])
def test_a_gap_of_the_log_stays_on_record_and_is_refused(archive, noticed):
    sound = archive.look()
    assert not sound.get("gap") and sound["archived"] == archive.now - 10
    archive.handed_over = 9
    archive.there += [] if noticed == "at once" else [8, 9]
    if noticed == "later":
        assert not archive.look().get("gap")
    told = archive.look()
    assert told["gap"] == archive.now and told["gap_since"] == sound["archived"]
    lost = SimpleNamespace(time=moments.shown(sound["archived"] + 30))
    with pytest.raises(programs.Refused, match="some of PostgreSQL's log was dropped after .*; sudo systemctl start mainstay-pitr"):
        way_back.foreseen(lost)
    archive.there += [9, 10]
    told = archive.backup()
    assert told["gap"] is None and told["gaps"] == [[sound["archived"], archive.now]]
    with pytest.raises(programs.Refused, match="some of PostgreSQL's log was dropped after .* and before the backup of"):
        way_back.foreseen(lost)
    assert way_back.foreseen(SimpleNamespace(time=moments.shown(sound["archived"] - 60)))
    archive.host.kept[:] = archive.host.kept[-1:]
    assert archive.backup()["gaps"] == []


def test_what_is_away_for_a_moment_is_no_gap(archive):
    archive.handed_over, archive.there = 5, [3, 5]
    assert archive.look()["hole"] == 4
    archive.there = [3, 4, 5]
    told = archive.look()
    assert not told.get("gap") and told["hole"] is None and archive.look().get("gap") is None


def test_a_gap_of_a_record_of_before_begins_with_the_backup(archive):
    status.record(gap=NOW, last_good={"time": NOW - 99})
    assert archive.backup()["gaps"] == [[NOW - 99, archive.now]]


def test_one_that_was_killed_is_on_record(host, monkeypatch):
    status.record(running=time.time(), oldest=7)
    monkeypatch.setenv("SERVICE_RESULT", "oom-kill")
    backup.ended(None)
    told = status.recorded()
    assert (told["running"], told["last"]["ok"], told["last"]["reason"], told["oldest"]) == (None, False, "out of memory", 7)
