# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop an app or a process. It stays stopped, also for the agent, until it is started again.

`systemctl stop` does the same; this also takes a failed unit out of the agent's hands.
"""

from __future__ import annotations

from ..answers import Answer, option


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]", help="what to stop")
    option(parser)


def run(options, context):
    chosen, answer = context.config().select(options.target), Answer("stop", options.json)
    units = [unit for process in chosen for unit in dict.fromkeys((process.unit, process.job))]
    context.need_root("stopping")
    status = context.call(["systemctl", "stop", "--", *units])
    # A unit that is stopped is inactive; one that is failed waits for the agent's next attempt.
    live = context.systemd.show(units)
    failed = [unit for unit, state in live.items() if state.active == "failed"]
    if failed:
        context.call(["systemctl", "reset-failed", "--", *failed])
    for process in chosen:
        active = [
            live[unit].words for unit in (process.unit, process.job) if unit in live and live[unit].active not in ("inactive", "failed")
        ]
        answer.result(process.name, problem=f"it is {active[0]}" if active else "", unit=process.unit)
    return answer.end(status)
