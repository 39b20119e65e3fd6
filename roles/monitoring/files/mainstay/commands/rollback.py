# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Return an app to the release that served before, here and now, without the control node.

That can be where only its code has changed since, and no other host runs it; else playbooks/rollback.yml can. Its instances restart
one after the other. The next run of site.yml deploys what is declared.

Exit status: 0 all answer, 1 one does not, 2 it could not be done.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket

from ..answers import Answer, option
from ..cli import Refusal
from ..core.deploy.blame import PROVEN_AFTER
from ..core.host.pairs import point
from ..ways_back import last_deploy, way_back
from .restart import WAIT, answers, has_address

# Seconds after a deploy in which its release may be taken for the cause: what began while it was new may be answered later.
YOUNG = 2 * PROVEN_AFTER
LOCKED = 900  # seconds that the deploy lock counts, should this end without giving it back


def arguments(parser):
    parser.add_argument("app", metavar="APP", help="which app")
    parser.add_argument(
        "--failed",
        action="store_true",
        help="its release has failed since its deploy, which was minutes ago: nothing returns to it (what the agent asks for)",
    )
    option(parser)


def run(options, context):
    app = context.config().app(options.app)
    context.need_root("returning to another release")
    way, answer = _way(options, context, app), Answer("rollback", options.json)
    by = f"{'agent' if options.failed else os.environ.get('SUDO_USER') or getpass.getuser()}@{socket.gethostname()}"
    lock = _take(os.path.join(context.paths.locks, f"{app.name}.deploy"), by, way["to"], context.clock)
    started = context.clock.monotonic()
    try:
        for path, target in way["links"].items():
            point(path, target)
        status = _restart(app.name, answer, context)
        for path, target in way["records"].items():
            point(path, target)
        for path in (*way["absent"], *([way["void"]] if options.failed else [])):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        os.unlink(os.path.join(context.paths.ways_back, f"{app.name}.json"))
        seconds = round(context.clock.monotonic() - started, 1)
        _tell(context, {"app": app.name, "by": by, "from": way["from"], "to": way["to"], "result": "succeeded", "seconds": seconds})
    finally:
        os.unlink(lock)
    answer.say(f"{app.name}: {way['from']} -> {way['to']} in {seconds} s; the next run of site.yml deploys what is declared")
    return answer.end(status)


def _way(options, context, app):
    way = way_back(context.paths, app.name)
    other = f"ansible-playbook playbooks/rollback.yml -e mainstay_app={app.name}"
    if not way or os.readlink(f"{app.root}/current").rpartition("/")[2] != way["from"]:
        raise Refusal(f"{app.name}: this host has no way back of its own: more than the code has changed since the release before; {other}")
    if options.failed:
        last = last_deploy(context.paths, app.name)
        age = context.clock.time() - last.get("time", 0)
        if last.get("to") != way["from"] or not 0 <= age < YOUNG:
            raise Refusal(f"{app.name}: release {way['from']} is not new any more, so it is not taken for the cause; {other}")
    return way


def _take(path, by, release, clock):
    """The lock of a deploy, as a run of the control node takes it: a file that counts until the time it was modified at."""
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_mtime <= clock.time():
            os.unlink(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        raise Refusal(f"{path} is held: somebody deploys the app right now") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        holder = {"by": by, "host": socket.gethostname(), "pid": os.getpid(), "since": round(clock.time(), 1), "release": release}
        file.write(json.dumps(holder) + "\n")
    os.utime(path, (clock.time(), clock.time() + LOCKED))
    return path


def _restart(name, answer, context):
    """One instance after the other, whether the one before answers or not: none is worse off than with what has failed."""
    chosen = [process for process in context.config().processes if process.app == name and process.unit == process.job]
    states, status = context.systemd.show([process.unit for process in chosen]), 0
    for process in chosen:
        if states[process.unit].active == "inactive":
            continue  # somebody has stopped it
        context.call(["systemctl", "reset-failed", "--", process.unit])
        ended = context.call(["systemctl", "restart", "--", process.unit])
        problem = f"systemctl restart ended with {ended}" if ended else answers(process, WAIT, context)
        status = 1 if problem else status
        word = problem or ("answers" if has_address(process) else "runs")
        answer.result(process.name, f"{process.name}: {word}", problem, unit=process.unit)
    return status


def _tell(context, deploy):
    with open(context.paths.deploys, "a", encoding="utf-8") as file:
        file.write(json.dumps({"time": round(context.clock.time()), **deploy}) + "\n")
