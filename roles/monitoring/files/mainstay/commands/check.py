# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the agent's configuration; with --running, that the agent is alive and watches every process in it."""

from __future__ import annotations

from ..answers import Answer, option
from ..records import read_state
from .status import watching


def arguments(parser):
    parser.add_argument("--running", action="store_true", help="also check that the agent is watching")
    option(parser)


def run(options, context):
    cfg, answer = context.config(), Answer("check", options.json)
    counted = {"processes": len(cfg.processes), "servers": len(cfg.servers)}
    answer.result("configuration", **counted)
    if options.running:
        problem = running(cfg, read_state(context.paths.state), context.clock.time())
        answer.result("agent", f"mainstay: {problem}" if problem else "", problem)
        if problem:
            return answer.end(1)
    answer.say(f"{counted['processes']} processes and {counted['servers']} servers {'watched' if options.running else 'declared'}")
    return answer.end(0)


def running(cfg, state, now):
    """What is wrong with the agent, or an empty text."""
    if not watching(state, now):
        return "the agent is not running: systemctl status mainstay-agent.service"
    if state["agent"].get("problem"):
        return f"the agent has a problem: {state['agent']['problem']}"
    known = {entry.get("unit"): entry for part in ("processes", "servers") for entry in state.get(part, [])}
    strange = [unit for unit in cfg.units if unit not in known] + [unit for unit in known if unit not in cfg.units]
    if strange:
        return f"the agent runs with another configuration ({strange[0]}): systemctl restart mainstay-agent.service"
    unseen = [unit for unit, entry in known.items() if not entry.get("unit_state")]
    return f"the agent has not seen {unseen[0]} yet" if unseen else ""
