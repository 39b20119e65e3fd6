# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured is kept so long and no longer, in a file that outlives kills, full disks and damage."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mainstay import samples
from mainstay.samples import HOURLY, RAW, Samples, remember

NOW = 1_700_000_000 - 1_700_000_000 % 3600
DAY = 86400


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "history/samples.sqlite")


@pytest.fixture
def file(tmp_path):
    with contextlib.closing(Samples(str(tmp_path / "samples.sqlite"))) as found:
        yield found


def _count(file, table):
    return file.base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_samples_are_kept_two_days_and_hours_thirty(file):
    for minute in range(0, 3 * DAY, 600):
        file.add(NOW + minute, {"a latency": minute})
    end = NOW + 3 * DAY - 600
    assert _count(file, "samples") == RAW // 600 + 1 and _count(file, "hours") == 72
    assert file.first() == NOW
    assert file.days("a latency", 0)[0] == (NOW, 6, 0, 1500, 3000)
    file.add(end + HOURLY, {"a latency": 1})
    assert (_count(file, "samples"), _count(file, "hours")) == (1, 1)
    file.add(end + 3 * HOURLY, {"b": 1})
    assert [row[0] for row in file.base.execute("SELECT name FROM series")] == ["b"]


def test_a_curve_has_one_point_for_each_step(file):
    for second, value in ((0, 1), (60, 3), (600, 10), (1260, 7)):
        file.add(NOW + second, {"x": value, "y": 99})
    assert file.curve("x", NOW, 600) == [(NOW, 2, 3), (NOW + 600, 10, 10), (NOW + 1200, 7, 7)]
    assert file.curve("x", NOW + 30, 600) == [(NOW, 3, 3), (NOW + 600, 10, 10), (NOW + 1200, 7, 7)]
    assert file.curve("nothing", NOW, 600) == [] == file.days("nothing", 0)


def test_what_is_no_number_is_passed_over(file):
    file.add(NOW, {"a": None, "b": "x", "c": float("nan"), "d": float("inf"), "e": True, "f": 10**400, "g": 1})
    assert [row[0] for row in file.base.execute("SELECT name FROM series")] == ["g"]


def test_a_clock_that_was_set_back(file):
    file.add(NOW + 10 * DAY, {"a": 1})
    file.add(NOW, {"a": 2})
    assert file.curve("a", 0, 60) == [(NOW - NOW % 60, 2, 2)] and len(file.days("a", 0)) == 1


def test_names_are_bounded(file, monkeypatch):
    monkeypatch.setattr(samples, "MOST", 3)
    file.add(NOW, {str(number): 1 for number in range(9)})
    assert _count(file, "series") == 3


def test_the_file_stays_within_its_size(tmp_path):
    name, largest = tmp_path / "samples.sqlite", 1 << 20
    with contextlib.closing(Samples(str(name), largest)) as file:
        for minute in range(400):
            file.add(NOW + 60 * minute, {f"process of some app {number} latency": number + minute for number in range(100)})
            assert name.stat().st_size <= largest
        assert file.curve("process of some app 7 latency", 0, 60)[-1][1] == 406
        assert len(file.curve("process of some app 7 latency", 0, 60)) > 30


# --- damage ----------------------------------------------------------------------------------------------------------------


def _use(file):
    return file.curve("a", 0, 60)


def _remember(path, now=NOW):
    told = []
    return remember(path, now, {"a": 5}, _use, told.append), told


@pytest.mark.parametrize(
    "content",
    [
        b"this is no database, but it is long enough to be read as one" * 200,
        b"SQLite format 3\x00" + b"\xff" * 4000,
        None,
    ],
)
def test_a_file_of_no_use_is_set_aside_and_a_new_one_begins(path, content):
    assert _remember(path) == ([(NOW, 5, 5)], [])
    if content is None:  # sound, but of somebody else
        Path(path).unlink()
        with contextlib.closing(sqlite3.connect(path)) as base:
            base.executescript("CREATE TABLE notes (text); PRAGMA user_version = 7;")
    else:
        Path(path).write_bytes(content)
    found, told = _remember(path, NOW + 60)
    assert found == [(NOW + 60, 5, 5)] and len(told) == 1 and f"it is now {path}.bad.1" in told[0]
    assert _remember(path, NOW + 120)[1] == []


def test_damage_within_is_found_within_the_hour(path):
    for minute in range(50):
        remember(path, NOW + 60 * minute, {f"a{number}": 1 for number in range(50)}, _use, print)
    with open(path, "r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 5))
    told = []
    for minute in range(50, 70):
        remember(path, NOW + 60 * minute, {f"a{number}": 1 for number in range(50)}, lambda file: file.curve("a1", 0, 60), told.append)
    assert len(told) == 1 and "of no use" in told[0]


def test_few_damaged_files_are_kept(path):
    for number in range(6):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(b"%d no database " % number * 100)
        _remember(path, NOW + 60 * number)
    assert sorted(os.listdir(os.path.dirname(path))) == ["samples.sqlite", "samples.sqlite.bad.1", "samples.sqlite.bad.2"]
    assert Path(f"{path}.bad.1").read_bytes().startswith(b"5 ")


def test_any_torn_file_is_survived(path):
    """A few hundred ways to be torn: each is read or set aside, and after the next sample the file is sound."""
    for minute in range(20):
        remember(path, NOW + 60 * minute, {f"a{number}": minute for number in range(30)}, _use, print)
    whole, chance = Path(path).read_bytes(), random.Random(7)
    for trial in range(300):
        torn = bytearray(whole[: chance.randrange(len(whole))] if trial % 3 == 0 else whole)
        for _hit in range(trial % 7):
            at = chance.randrange(max(1, len(torn)))
            torn[at : at + 40] = chance.randbytes(min(40, len(torn) - at))
        Path(path).write_bytes(bytes(torn))
        told = []
        remember(path, NOW + 3600 + 60 * trial, {"a1": 1.0}, _use, told.append)
        assert len(told) <= 1
        with contextlib.closing(sqlite3.connect(path)) as base:
            assert base.execute("PRAGMA quick_check").fetchone()[0] == "ok", (trial, told)


def test_a_full_disk_loses_samples_and_nothing_else(path):
    assert _remember(path)[1] == []
    with contextlib.closing(Samples(path, 4096)) as file:  # no page more
        told = []
        samples._added(file, NOW + 60, {f"{number} with a long name" * 9: 1 for number in range(500)}, told.append)
        assert told == ["what was measured cannot be kept: database or disk is full"]
        assert _use(file) == [(NOW, 5, 5)]
    assert _remember(path, NOW + 120) == ([(NOW, 5, 5), (NOW + 120, 5, 5)], [])


def test_what_cannot_be_opened_is_told(path, tmp_path):
    os.makedirs(path)
    assert _remember(path) == (None, ["what was measured cannot be read: unable to open database file"])
    (tmp_path / "file").write_text("")
    found, told = _remember(str(tmp_path / "file/samples.sqlite"))
    assert found is None and len(told) == 1


WRITER = """
import sys
sys.path[:0] = {paths!r}
from mainstay.samples import remember
for minute in range(100000):
    remember({path!r}, {now} + 60 * minute, {{f"a{{number}}": minute for number in range(40)}}, lambda file: None, print)
    print(minute, flush=True)
"""


def test_a_kill_loses_the_sample_under_way(path, tmp_path):
    files = Path(__file__).parents[3] / "roles/monitoring/files"
    program = WRITER.format(paths=[str(files)], path=path, now=NOW)
    chance = random.Random(3)
    for _kill in range(8):
        writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        time.sleep(chance.random() / 5)
        writer.send_signal(signal.SIGKILL)
        last = int((writer.stdout.read().split() or ["0"])[-1])
        writer.wait()
        told = []
        found = remember(path, NOW + 60 * last, {}, lambda file: (file.check(), file.curve("a1", 0, 60))[1], told.append)
        assert not told and found[-1][1] >= last - 1
