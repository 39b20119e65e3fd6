# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell people: `--test` sends an alert to every channel of monitoring_alerts, and a line for the log to monitoring_ping_url, and says
how that went.

Without it, what has not been told yet is told; systemd does so whenever the agent has recorded something. What cannot be sent waits on
the disk, and is sent when the network is back.

Exit status: 0 all is sent, 1 something waits or could not be sent, 2 cannot tell.
"""

from __future__ import annotations

import json
import os
import sys

from .. import alerts, channels
from ..answers import Answer, option
from ..backups import read
from ..cli import Refusal
from ..records import fold, read_events, write_state

GATHER = 10  # seconds, in which what belongs together happens
WAITING = 50  # alerts for one channel; the oldest go
TEST = {"title": "a test of mainstay's alerts", "text": "This channel works.", "urgent": False, "events": []}


def arguments(parser):
    parser.add_argument("--test", action="store_true", help="send a test to every channel")
    option(parser)


def run(options, context):
    if options.test:
        context.need_root("a test of the channels, whose addresses are root's,")
        settings, ping = read(context.paths.alerts), read(context.paths.ping)
        if not settings and not ping:
            raise Refusal("nobody is told: declare monitoring_alerts and run site.yml")
        channels.take_proxies((settings or ping).get("environment", {}))
        return _test(settings, ping, Answer("alert", options.json))
    folder = os.environ.get("STATE_DIRECTORY")
    if not folder:
        raise Refusal("systemd runs this as mainstay-alert.service; to test the channels write mainstay alert --test")
    settings = json.load(sys.stdin)
    channels.take_proxies(settings.get("environment", {}))
    context.clock.sleep(GATHER)
    return 1 if deliver(settings, f"{folder}/told.json", context) else 0


def _test(settings, ping, answer):
    for channel in settings.get("channels", []):
        alert = {**TEST, "title": f"{settings['host']}: {TEST['title']}"}
        _try(answer, channel["kind"], lambda channel=channel, alert=alert: channels.send(channel, settings["host"], alert))
    if ping:
        _try(answer, "ping", lambda: channels.ping(ping["url"], "log", f"{ping['host']}: {TEST['text']}"))
    return answer.end(0 if all(result["ok"] for result in answer.results) else 1)


def _try(answer, kind, send):
    try:
        send()
    except OSError as error:
        answer.result(kind, str(error), str(error))
    else:
        answer.result(kind, f"{kind}: sent")


def deliver(settings, path, context):
    """Queue what is due, and send what is queued; how many alerts wait afterwards.

    Queued first and sent then: where the power goes in between, an alert comes twice and not never.
    """
    state = read(path)
    queues = {channels.key(channel): state.get("queues", {}).get(channels.key(channel), []) for channel in settings["channels"]}
    needs = {process.unit: process.needs for process in context.config().processes}
    incidents = fold(read_events(context.paths.incidents))
    told, messages = alerts.due(incidents, state.get("told", {}), needs, context.clock.time(), settings["escalate_after"])
    if messages:
        alert = alerts.compose(settings["host"], messages)
        queues = {name: [*waiting, alert][-WAITING:] for name, waiting in queues.items()}
    state = {"told": told, "queues": queues}
    write_state(path, state)
    for channel in settings["channels"]:
        waiting = queues[channels.key(channel)]
        try:
            while waiting:
                channels.send(channel, settings["host"], waiting[0])
                del waiting[0]
                write_state(path, state)
        except OSError as error:
            print(error, file=sys.stderr)
    return sum(map(len, queues.values()))
