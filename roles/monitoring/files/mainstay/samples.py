# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, in a file of SQLite: each sample for two days, the lowest, mean and highest of each hour for thirty.

The file is written whole or not at all, so a kill loses the sample under way. A full disk loses samples and nothing else. A file that is
damaged, or of another version, is set aside and a new one begun. It cannot outgrow its size: the oldest samples make room. Only the
program that a timer starts knows SQLite; the agent is smaller without it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3

from .records import finite

VERSION = 1
RAW, HOURLY = 2 * 86400, 30 * 86400  # seconds that are kept
HOUR = 3600
AHEAD = 120  # seconds that a sample may be ahead of the clock, which may have been set back
MOST = 1000  # series: what is beyond is not kept
LARGEST = 32 << 20  # bytes
ROOMY = 0.8  # of them, above which the oldest samples go
ASIDE = 2  # damaged files that are kept
WAIT = 10  # seconds for another one that writes
# What SQLite says where the file may be as good as ever.
PASSING = (
    "database or disk is full",
    "database is locked",
    "disk I/O error",
    "unable to open",
    "attempt to write a readonly",
    "out of memory",
)
TROUBLE = (sqlite3.Error, OSError, ValueError, OverflowError)  # a damaged file has texts that are none, and SQLite quotes them

SCHEMA = f"""
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE samples (series INTEGER NOT NULL, time INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (series, time)) WITHOUT ROWID;
CREATE TABLE hours (series INTEGER NOT NULL, time INTEGER NOT NULL, number INTEGER NOT NULL, low REAL NOT NULL, mean REAL NOT NULL,
  high REAL NOT NULL, PRIMARY KEY (series, time)) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""
# Of each hour as it passes, so that no later run has to sum up.
HOUR_SO_FAR = """
INSERT INTO hours VALUES (:series, :hour, 1, :value, :value, :value)
  ON CONFLICT (series, time) DO UPDATE SET number = number + 1, mean = mean + (excluded.mean - mean) / (number + 1),
  low = min(low, excluded.low), high = max(high, excluded.high)
"""


class Unfit(sqlite3.DatabaseError):
    """A sound file, but none that this program has made."""


class Samples:
    """One file, open. Every method may raise sqlite3.Error or OSError; what those mean is for `opened` to tell."""

    def __init__(self, path, largest=LARGEST):
        self.base = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
        try:
            self._prepare(largest)
        except BaseException:
            self.base.close()
            raise

    def _prepare(self, largest):
        ask = self.base.execute
        if ask("PRAGMA schema_version").fetchone()[0] == 0:
            ask("PRAGMA journal_mode = WAL")
            self.base.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        elif ask("PRAGMA user_version").fetchone()[0] != VERSION:
            raise Unfit("it is of another version")
        ask("PRAGMA synchronous = NORMAL")
        ask("PRAGMA cache_size = -2000")  # kB
        self.pages = largest // ask("PRAGMA page_size").fetchone()[0]
        ask(f"PRAGMA max_page_count = {self.pages}")

    def close(self):
        self.base.close()

    @contextlib.contextmanager
    def _whole(self):
        self.base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.base.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.base.execute("ROLLBACK")
            raise

    def add(self, now, values):
        """Remember what was measured, ``{name: number}``, at a moment; what is no number is passed over."""
        now = int(now)
        if not self.base.execute("SELECT 1 FROM hours WHERE time = ? LIMIT 1", (now - now % HOUR,)).fetchone():
            self.check()
        with self._whole():
            self._forget(now)
            known = dict(self.base.execute("SELECT name, id FROM series"))
            for name, value in values.items():
                if finite(value) is None or (name not in known and len(known) >= MOST):
                    continue
                if name not in known:
                    known[name] = self.base.execute("INSERT INTO series (name) VALUES (?)", (name,)).lastrowid
                self.base.execute("INSERT OR REPLACE INTO samples VALUES (?, ?, ?)", (known[name], now, value))
                self.base.execute(HOUR_SO_FAR, {"series": known[name], "hour": now - now % HOUR, "value": float(value)})

    def check(self):
        """Refuse a damaged file before more is written to it; once an hour, because all of it is read."""
        (found,) = self.base.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise Unfit(" ".join(str(found).split())[:200])

    def _forget(self, now):
        names = [row[0] for row in self.base.execute("SELECT id FROM series")]
        keep = RAW
        (pages,), (free,) = (self.base.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count"))
        if pages - free > ROOMY * self.pages:
            oldest = min((row[0] for name in names for row in self._first(name) if row[0] is not None), default=now)
            keep = min(keep, max(0, now - oldest) * 3 // 4)
        for name in names:
            self.base.execute("DELETE FROM samples WHERE series = ? AND (time < ? OR time > ?)", (name, now - keep, now + AHEAD))
            self.base.execute("DELETE FROM hours WHERE series = ? AND (time < ? OR time > ?)", (name, now - HOURLY, now + AHEAD))
        self.base.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM hours UNION SELECT series FROM samples)")

    def _first(self, name):
        return self.base.execute("SELECT min(time) FROM samples WHERE series = ?", (name,))

    # --- reading ---------------------------------------------------------------------------------------------------

    def first(self):
        """The moment from which on anything is known, or None."""
        found = self.base.execute("SELECT min(time) FROM hours").fetchone()[0]
        return None if finite(found) is None else found

    def curve(self, name, since, step):
        """``[(time, mean, high), …]`` of the samples since a moment, one for each step of so many seconds."""
        rows = self.base.execute(
            "SELECT time / :step * :step, avg(value), max(value) FROM samples WHERE series = (SELECT id FROM series WHERE name = :name) "
            "AND time >= :since GROUP BY 1 ORDER BY 1",
            {"name": name, "since": int(since), "step": step},
        )
        return [row for row in rows if all(finite(value) is not None for value in row)]

    def days(self, name, since):
        """``[(beginning of the hour, samples, low, mean, high), …]`` since a moment."""
        rows = self.base.execute(
            "SELECT time, number, low, mean, high FROM hours WHERE series = (SELECT id FROM series WHERE name = ?) AND time >= ? ORDER BY time",
            (name, int(since)),
        )
        return [row for row in rows if all(finite(value) is not None for value in row)]


def damaged(error):
    """Whether an error tells of the file, not of the disk it is on, a lock, or want of space."""
    return not isinstance(error, OSError) and not str(error).startswith(PASSING)


def set_aside(path):
    """Put a file that is of no use out of the way; of those before so many are kept. Returns where it is now."""
    for number in range(ASIDE, 1, -1):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}.bad.{number - 1}", f"{path}.bad.{number}")
    os.replace(path, f"{path}.bad.1")
    for ending in ("-wal", "-shm", "-journal"):  # they belong to it
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + ending)
    return f"{path}.bad.1"


def remember(path, now, values, use, log):
    """Add to the file, and have `use` read it; returns what that returns, or None where nothing can be read.

    :param log: told what went wrong, a line each time.
    """
    for again in (False, True):
        try:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            file = Samples(path)
        except TROUBLE as error:
            if not _begun_anew(path, error, again, log):
                return None
            continue
        with contextlib.closing(file):
            try:
                _added(file, now, values, log)
                return use(file)
            except TROUBLE as error:
                problem = error
        if not _begun_anew(path, problem, again, log):
            return None
    return None


def _added(file, now, values, log):
    """A sample that there is no room for is told, and what there is can still be read."""
    try:
        file.add(now, values)
    except sqlite3.Error as error:
        if damaged(error):
            raise
        log(f"what was measured cannot be kept: {error}")


def _begun_anew(path, error, again, log):
    if again or not damaged(error):
        log(f"what was measured cannot be read: {error}")
        return False
    try:
        log(f"the file of what was measured is of no use ({error}); it is now {set_aside(path)}, and a new one begins")
    except OSError as problem:
        log(f"the file of what was measured is of no use ({error}), and cannot be set aside: {problem}")
        return False
    return True
