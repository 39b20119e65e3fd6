# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart an app or a process, one instance after the other: the next only when the last one answers again.

Exit status: 0 all answer again, 1 one did not; the instances after it are left as they are.
"""

from __future__ import annotations

from ..answers import Answer, option
from ..text import duration

WAIT = 60


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]", help="what to restart")
    parser.add_argument("--wait", type=duration, default=WAIT, metavar="TIME", help="how long each may take to answer (default: 60s)")
    option(parser)


def run(options, context):
    chosen, answer = context.config().select(options.target), Answer("restart", options.json)
    context.need_root("restarting")
    for process in chosen:
        started = context.clock.monotonic()
        context.call(["systemctl", "reset-failed", "--", process.unit])  # or ten restarts in a row were too many
        status = context.call(["systemctl", "restart", "--", process.unit])
        problem = f"systemctl restart ended with {status}" if status else answers(process, options.wait, context)
        seconds = round(context.clock.monotonic() - started, 1)
        if problem:
            sentence = f"{process.name}: {problem}\nmainstay logs {process.name} tells more"
            answer.result(process.name, sentence, problem, unit=process.unit, seconds=seconds)
            return answer.end(1)
        sentence = f"{process.name}: {'answers' if has_address(process) else 'runs'} after {seconds:.1f} s"
        answer.result(process.name, sentence, unit=process.unit, seconds=seconds)
    return answer.end(0)


def has_address(process):
    return not process.silent


def answers(process, wait, context):
    """Why it does not answer, or an empty text."""
    if not has_address(process):
        state = context.systemd.show([process.unit]).get(process.unit)
        return "" if state and state.running else f"it is {state.words if state else 'unknown'}"
    from ..core.probe import repeat

    result = repeat.run({**process.probe, "deadline": wait, "interval": 0.5}, context.clock)
    return "" if result["healthy"] else f"no healthy answer within {wait} s: {'; '.join(result['reasons'])}"
