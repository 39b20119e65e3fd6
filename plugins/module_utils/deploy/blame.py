# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new release is to blame for, as the agent on the host and the playbook of a rollback judge it."""

from __future__ import annotations

# Seconds in which what fails is the new release's own fault; what fails later has failed for another reason, mostly.
PROVEN_AFTER = 600
# What says by its name that it comes again and again. One end, or one hang, may have met a moment.
FAILED = "failed"
REPEATED = (FAILED, "flapping", "loop")
TIMES = 3


def repeats(kind, times, faults=None):
    """Whether what is wrong with a process comes again and again.

    :param faults: how many of these times it was not busy with what had been asked of it, where that is on record: who serves long
        requests is down for everybody else meanwhile, again and again, and has no fault.
    """
    if faults is None:
        return kind in REPEATED or times >= TIMES
    return kind == FAILED or faults >= TIMES
