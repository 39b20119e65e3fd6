# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of life of a server: what it answers to somebody without a login, and what its processes do meanwhile.

The second sign is one it cannot give or withhold: a server that does not answer is frozen only if its processes rest, too.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, replace

from .core.text import read
from .evidence import tree
from .measure import clients
from .outcome import ERROR, HANG
from .servers import PROBES

DEAF, STARTING, FULL, REFUSES = "deaf", "starting", "full", "refuses"
# What the cause of a failed probe says of a server. Others but those below are faults of the probing.
KINDS = {"timeout": HANG, "refused": DEAF, "protocol": ERROR, "starting": STARTING, "exhausted": FULL, "degraded": REFUSES}
# It refuses us or hangs up, and so it lives.
LIVES = ("ok", "auth", "closed", "content", "status")


@dataclass(frozen=True)
class Activity:
    """Processor time that processes have had so far, in ticks, and the letters of their states."""

    ticks: int
    states: str
    clients: int = 0  # who may have a request under way at its port

    @property
    def stopped(self):
        return bool(self.states) and not self.states.strip("Tt")

    @property
    def halted(self):
        """Whether a signal has stopped any of them, and not somebody who debugs it."""
        return "T" in self.states

    @property
    def main_halted(self):
        return self.states.startswith("T")


def ask(probe):
    """(cause, reason, milliseconds or None) of one question to a server."""
    from .core.probe import once
    from .core.probe.connection import Failed, Limit, connect, in_words, receive

    if probe["kind"] != "hangup":
        result = once.check_once(probe)
        return result["cause"], "; ".join(result["reasons"]), result["latency_ms"]["last"]
    started, limit = time.monotonic(), Limit(probe["timeout"])
    try:
        with connect(limit, probe.get("host", "127.0.0.1"), probe["port"]) as sock:
            sock.shutdown(socket.SHUT_WR)
            receive(sock, limit)
    except Failed as failure:
        return failure.cause, failure.reason, None
    except OSError as error:
        reason, cause = in_words(error, limit)
        return cause, reason, None
    return "ok", "", round((time.monotonic() - started) * 1000, 1)


def activity(probe, main_pid, proc="/proc"):
    """What the processes that answer for a server have done so far."""
    return _done(tree(main_pid, proc) if PROBES[probe["kind"]] else [main_pid], proc)


def work(main_pid, port=None, root="/"):
    """What all processes of a unit have done so far, and how many clients there are at its port."""
    done = _done(tree(main_pid, f"{root}/proc"), f"{root}/proc")
    return replace(done, clients=clients(port, root)) if port else done


def _done(pids, proc):
    ticks, states = 0, ""
    for pid in pids:
        words = read(f"{proc}/{pid}/stat").rpartition(")")[2].split()
        if len(words) > 12 and words[0] != "Z":
            ticks += int(words[11]) + int(words[12])
            states += words[0]
    return Activity(ticks, states)


def on_cpu(pid, proc="/proc"):
    """Nanoseconds that the threads of a process have run; 0 where the kernel does not count them."""
    try:
        threads = os.listdir(f"{proc}/{pid}/task")
    except OSError:
        return 0
    return sum(int((read(f"{proc}/{pid}/task/{thread}/schedstat").split() or ["0"])[0]) for thread in threads)


def main_threads_ran(main_pid, proc="/proc"):
    """Nanoseconds that the main threads of a unit's processes have run: threads beside them do so while the main one hangs."""
    return sum(int((read(f"{proc}/{pid}/schedstat").split() or ["0"])[0]) for pid in tree(main_pid, proc))


def frozen(first, last):
    """Whether processes rested between two looks: stopped by a signal, or neither run, runnable nor waiting for a disk."""
    if first is None or last is None or not last.states:
        return False
    return last.stopped or (last.ticks == first.ticks and not set(last.states) & {"R", "D"})
