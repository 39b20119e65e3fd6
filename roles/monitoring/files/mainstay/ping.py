# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead man's switch: tells somebody elsewhere that the agent is at work, whose silence tells them of a host that cannot tell.

A program of its own, started by a timer: what speaks TLS is larger than the agent, nothing that hangs holds up a cycle, and the agent needs
no way into the network. The URL comes by standard input, as it is a secret.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter

from . import channels
from .backups import read
from .commands.status import WELL, watching
from .core.text import printable
from .paths import Paths
from .records import read_state, write_state

LIMIT = 40  # seconds for all that is sent
PAUSE = 5  # seconds between two attempts
LAST = 55  # seconds after which not even a resolver that hangs keeps us


def signals(state, told, now):
    """What has to be told: `([(signal, text), ...], start of the agent)`. A success is told after a cycle of the agent without a fault."""
    agent = state.get("agent") if isinstance(state.get("agent"), dict) else {}
    started = agent.get("started")
    due = [("start", "the agent has started")] if isinstance(started, (int, float)) and started != told.get("started") else []
    if not _alive(state, now):
        return [("fail", "the agent is not watching")], None
    if agent.get("problem"):
        return [*due, ("fail", f"the agent has a problem: {agent['problem']}")], started
    return [*due, ("", summary(state))], started


def _alive(state, now):
    try:
        return watching(state, now)
    except (TypeError, AttributeError):  # nothing that the agent has written
        return False


def summary(state):
    """How many are how, without a name."""
    parts = [state[part] for part in ("processes", "servers") if isinstance(state.get(part), list)]
    entries = [entry for part in parts for entry in part if isinstance(entry, dict)]
    counts = Counter("well" if entry.get("health") in WELL else str(entry.get("health")) for entry in entries)
    return ", ".join(f"{number} {health}" for health, number in counts.most_common()) or "nothing to watch"


def tell(url, host, due, clock):
    """Send the signals in their order, within LIMIT seconds; raises OSError with the last reason."""
    end = clock.monotonic() + LIMIT
    for name, text in due:
        while True:
            try:
                channels.ping(url, name, printable(f"{host}: {text}")[:1000], max(1, min(channels.TIMEOUT, end - clock.monotonic())))
                break
            except OSError:
                if clock.monotonic() + PAUSE >= end:
                    raise
            clock.sleep(PAUSE)


def main(argv=(), paths=None, clock=time):
    """Started by systemd as mainstay-ping.service. Exit status: 0 it is told, 1 it could not be."""
    signal.alarm(LAST)
    settings, path = json.load(sys.stdin), f"{os.environ['STATE_DIRECTORY']}/told.json"
    try:
        state = read_state((paths or Paths()).state)
    except PermissionError:
        state = {}
    channels.take_proxies(settings.get("environment", {}))
    due, started = signals(state, read(path), clock.time())
    try:
        tell(settings["url"], settings["host"], due, clock)
    except OSError as error:
        print(f"<4>{error}", file=sys.stderr)
        return 1
    if started is not None:
        write_state(path, {"started": started})
    return 0
