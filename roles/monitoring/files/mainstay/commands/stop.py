# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop an app or a process. It stays stopped, also for the agent, until it is started again.

`systemctl stop` does the same; this also takes a failed unit out of the agent's hands.
"""

from __future__ import annotations


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]", help="what to stop")


def run(options, context):
    units = [unit for process in context.config().select(options.target) for unit in dict.fromkeys((process.unit, process.job))]
    context.need_root("stopping")
    status = context.call(["systemctl", "stop", "--", *units])
    # A unit that is stopped is inactive; one that is failed waits for the agent's next attempt.
    failed = [unit for unit, state in context.systemd.show(units).items() if state.active == "failed"]
    if failed:
        context.call(["systemctl", "reset-failed", "--", *failed])
    return status
