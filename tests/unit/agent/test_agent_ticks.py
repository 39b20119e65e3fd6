# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Celery's beat still looks at its schedule: found where it does not, and never where its tasks or its looks are rare."""

from __future__ import annotations

import queue

import pytest
from mainstay import config
from mainstay.outcome import STALE
from mainstay.prober import Prober
from mainstay.ticks import LONG
from mainstay.units import UnitState

BEAT = {"app": "x", "process": "beat", "instance": "1", "unit": "x-beat@1.service", "kind": "worker", "probe": {"kind": "beat"}}


class Beat:
    """A main process with a thread beside it, in files as the kernel has them."""

    def __init__(self, tmp_path, clock):
        self.proc, self.clock, self.pid, self.ran, self.state = tmp_path / "proc", clock, 7, 0, "S"
        self.prober = Prober(config.Settings(), queue.SimpleQueue(), clock)
        self.prober.ticks.proc = str(self.proc)
        self.process = config.parse({"processes": [BEAT]}).processes[0]
        self.tick()

    def tick(self, pid=None):
        self.pid, self.ran = pid or self.pid, 1_000_000 if pid else self.ran + 1_000_000
        for thread in (self.pid, self.pid + 1):
            (self.proc / f"{self.pid}/task/{thread}").mkdir(parents=True, exist_ok=True)
            (self.proc / f"{self.pid}/task/{thread}/children").write_text("")
        (self.proc / f"{self.pid}/schedstat").write_text(f"{self.ran} 0 9\n")

    def look(self):
        # The thread beside it never rests.
        (self.proc / f"{self.pid}/task/{self.pid + 1}/schedstat").write_text(f"{self.clock.now * 1e9:.0f} 0 9\n")
        (self.proc / f"{self.pid}/stat").write_text(f"{self.pid} (celery) {self.state} " + " ".join(["0"] * 40))
        return self.prober.sign_of_life(self.process.probe, UnitState("x-beat@1.service", main_pid=self.pid, active_since=1.0))

    def live(self, seconds, pause=None, every=5):
        """All looks within so many seconds, in which it wakes after each pause, or not at all."""
        seen, woke = [], self.clock.now
        for _look in range(int(seconds / every)):
            self.clock.now += every
            if pause and self.clock.now - woke >= pause:
                woke = self.clock.now
                self.tick()
            seen.append(self.look())
        return seen


@pytest.fixture
def beat(tmp_path, clock):
    return Beat(tmp_path, clock)


@pytest.mark.parametrize("pause", [5, 10, 60, 300, 900, 3600])
def test_one_that_looks_at_its_schedule_is_well_however_rarely(beat, pause):
    """Celery's own pauses, and those of an app that wants longer ones; before they are known, nobody says that it hangs."""
    assert [outcome for outcome in beat.live(4 * 3600 + 5, pause) if outcome.healthy is False] == []
    assert beat.look().healthy is True
    assert beat.clock.time() - beat.look().ticked <= pause


@pytest.mark.parametrize(("pause", "after"), [(5, LONG), (300, 900), (900, 2700)])
def test_one_that_looks_no_more_is_found(beat, pause, after):
    beat.live(max(4 * pause, 2 * LONG), pause)
    healthy = [outcome.healthy for outcome in beat.live(after + 10)]
    assert healthy == [True] * (after // 5) + [False] * 2
    found = beat.look()
    assert found.kind == STALE and found.reason.startswith("beat has not looked at its schedule for") and found.activity.states == "S"
    beat.tick()
    assert beat.look().healthy is True


def test_one_that_has_not_been_watched_is_not_judged(beat):
    beat.live(60, 5)
    seen = beat.live(2 * 3600)
    assert {outcome.healthy for outcome in seen} == {True, None}
    assert "was not watched before" in seen[-1].reason


def test_what_is_known_of_it_outlives_its_restart(beat):
    beat.live(1000, 10)
    beat.tick(pid=70)
    assert beat.look().healthy is True and beat.look().ticked is None
    assert beat.live(LONG + 5)[-1].healthy is False


@pytest.mark.parametrize("state", ["R", "D", "t"])
def test_one_that_waits_for_the_host_or_is_debugged_is_left_alone(beat, state):
    beat.live(1000, 10)
    beat.state = state
    assert {outcome.healthy for outcome in beat.live(2 * LONG)} == {True, None}


def test_a_time_in_which_nobody_looked_is_no_pause_of_its(beat):
    beat.live(1000, 10)
    beat.clock.now += 5 * 3600
    beat.tick()
    assert beat.look().healthy is True
    beat.live(100, 10)
    assert beat.live(LONG + 10)[-1].healthy is False


@pytest.mark.parametrize("jump", [86400, -86400])
def test_a_jump_of_the_clock_is_no_silence(beat, jump):
    beat.live(1000, 10)
    beat.clock.offset += jump
    assert beat.look().healthy is True and abs(beat.clock.time() - beat.look().ticked) <= 10


def test_where_the_kernel_does_not_count_nothing_is_said(beat):
    for _look in range(3 * LONG // 5):
        beat.clock.now += 5
        (beat.proc / f"{beat.pid}/schedstat").unlink(missing_ok=True)
        seen = beat.look()
    assert seen.healthy is None and seen.ticked is None
