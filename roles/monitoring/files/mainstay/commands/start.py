# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start an app or a process."""

from __future__ import annotations

from ..answers import Answer, option


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]", help="what to start")
    option(parser)


def run(options, context):
    chosen, answer = context.config().select(options.target), Answer("start", options.json)
    units = [process.unit for process in chosen]
    context.need_root("starting")
    # Somebody who starts a unit wants it to run, however often it has failed, or was started, before.
    context.call(["systemctl", "reset-failed", "--", *units])
    status = context.call(["systemctl", "start", "--", *units])
    if options.json:
        live = context.systemd.show(units)
        for process in chosen:
            state = live.get(process.unit)
            well = state and state.running
            answer.result(process.name, problem="" if well else f"it is {state.words if state else 'unknown'}", unit=process.unit)
    return answer.end(status)
