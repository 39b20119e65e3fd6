# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free the ports of an app from stray processes of its own user: what a crash or a command by hand has left behind.

Shows them and asks first. What the app's own units hold is left alone, and a port that somebody else holds is a reason to
stop nothing at all. They get SIGTERM, and SIGKILL after 10 seconds; a service is stopped by systemd.

Exit status: 0 the ports are free or the app's own, 1 they are not, 2 refused.
"""

from __future__ import annotations

import re
import subprocess
import sys

from ..answers import Answer, option
from ..cli import Refusal
from ..text import iso, table, wall

GRACE = 10
NOBODY_TO_ASK = "this is no terminal to ask on; add --yes to stop them"
HEADINGS = ["PORT", "PID", "SINCE", "UNIT", "COMMAND"]


def arguments(parser):
    parser.add_argument("app", metavar="APP", help="whose ports")
    parser.add_argument("-y", "--yes", action="store_true", help="stop them without asking")
    option(parser)


def run(options, context):
    from ..core.host import ports

    app = context.config().app(options.app)
    context.need_root("stopping processes of another user")
    numbers, answer = sorted({number for owned in app.ports.values() for number in owned}), Answer("clean", options.json)
    if not numbers:
        answer.say(f"{app.name} has no ports.")
        return answer.end(0)
    wanted = request(ports, app, numbers, GRACE)
    system = ports.System(execute)
    found, strays = survey(ports, wanted, system)
    for holder in found:
        if holder["allowed"] and holder["unit"] not in context.config().units:
            what = f"{holder['unit']} on port {holder['port']}"
            answer.say(f"Left alone: {what}. It is not on record: a deploy is under way, or the next one stops it.")
    if not strays:
        answer.say(f"No stray process holds a port of {app.name} ({spans(numbers)}).")
        return answer.end(0)
    if not options.json:
        print(table([row(holder) for holder in strays], HEADINGS))
    if not options.yes and options.json:
        raise Refusal(NOBODY_TO_ASK)
    if not options.yes and not agreed(len(strays)):
        answer.say("Nothing was stopped.")
        return answer.end(1)
    # While the question stood, others may have come; whoever was not shown is not stopped.
    if names(survey(ports, wanted, system)[1]) - names(strays):
        raise Refusal("other processes have come in the meantime; run it again")
    problem = ""
    try:
        _found, stopped, waited = ports.make_free(wanted, system)
        answer.say(f"Stopped {len(stopped)} within {waited / 1000:.1f} s; the ports of {app.name} are free.")
    except ports.PortError as error:
        problem = str(error)
        answer.say(problem if options.json else f"mainstay: {problem}", sys.stderr)
    for holder in strays:
        answer.result(
            f"port {holder['port']}", problem=problem, **{key: holder[key] for key in ("port", "pids", "since", "unit", "command")}
        )
    return answer.end(1 if problem else 0)


def request(ports, app, numbers, grace):
    return ports.Request(
        ports=numbers,
        protocol="tcp",
        address=None,
        allowed_units=[f"{app.name}-{process}@*.service" for process in app.ports],
        allowed_users=[],
        stop_with="either",
        grace=grace,
        kill=True,
        protect=ports.PROTECT,
        only_users=[app.user],
    )


def survey(ports, wanted, system):
    """(all holders, those to stop); a refusal when one of them may not be stopped."""
    try:
        return ports.make_free(wanted, system, pretend=True)[:2]
    except ports.PortError as error:
        raise Refusal(f"nothing was stopped.\n{error}") from None


def names(strays):
    return {(process.pid, process.start) for holder in strays for process in holder["processes"]}


def row(holder):
    pids = " ".join(map(str, holder["pids"]))
    since = wall(iso(holder["since"])) if holder["since"] else "-"
    return [holder["port"], pids, since, holder["unit"] or "-", holder["command"] or holder["name"]]


def agreed(number):
    if not sys.stdin.isatty():
        raise Refusal(NOBODY_TO_ASK)
    what = "it" if number == 1 else f"these {number}"
    return re.fullmatch(r"y(es)?", input(f"Stop {what}? [y/N] ").strip().lower()) is not None


def spans(numbers):
    """8000 to 8003, 9000."""
    parts = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in parts)


def execute(argv):
    """What ports.System wants of a program: (exit status, output, errors)."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr
