# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of incidents, and when: once at the beginning, once more where one lasts, and at the end. One cause is one message.

Nothing here sends or reads; `channels` and the command `alert` do.
"""

from __future__ import annotations

from .commands.history import where
from .text import iso, span

OLD = 86400  # seconds after which what began is no news, as for a host that had no alerts before
TOGETHER = 60  # seconds in which what happens to an app is its server's doing
OPENED, WARNED, LASTING, ENDED, PASSED = "opened", "warned", "lasting", "ended", "passed"
VERBS = {
    "hang": "gives no answer",
    "error": "answers wrongly",
    "stale": "gives no sign of life",
    "crash": "ended and was started again",
    "failed": "is down",
    "deaf": "refuses connections",
    "full": "has no connection left",
    "refuses": "refuses what it is asked",
    "oom": "was killed for want of memory",
    "loop": "ends again and again",
    "flapping": "is up and down again and again",
    "disk": "is nearly full",
    "inodes": "is nearly full",
    "memory": "is at its limit",
    "scarce": "is nearly used up",
    "leak": "grows without a pause",
    "connections": "are nearly used up",
    "files": "are nearly used up",
    "tasks": "are nearly used up",
    "redis-clients": "are nearly all there may be",
    "redis-memory": "is nearly used up",
    "read-only": "takes no writes",
    "site": "keeps visitors out",
    "certificate": "ends soon, or is not the right one",
    "backup": "has a problem",
    "recovery": "has a problem",
    "reboot": "needs a reboot",
    "backlog": "grows faster than it is worked on",
    "stuck": "is not worked on",
}


def due(incidents, told, needs, now, escalate_after):
    """What has to be told now: ``(told from now on, [message, …])``, oldest first.

    :param incidents: as `records.fold` gives them.
    :param told: what has been told of each, ``{id: last kind}``.
    :param needs: the names of the servers that the process of a unit uses, ``{unit: [name, …]}``.
    """
    present = {incident["id"]: incident for incident in incidents}
    kept = {name: kind for name, kind in told.items() if name in present}
    messages, caused = [], {}
    for incident in incidents:
        name, opened, over = incident["id"], iso(incident["opened"]), incident["state"] != "open"
        last = kept.get(name)
        cause = _cause(incident, incidents, needs)
        if last is None and cause and (over or cause["state"] == "open"):
            caused.setdefault(cause["id"], []).append(where(incident))
            if over:
                kept[name] = ENDED
            continue
        kind = _kind(last, over, now - opened, escalate_after, incident.get("level") == "warning")
        if kind:
            kept[name] = kind
            if last is not None or now - opened < OLD or not over:
                messages.append(_message(kind, incident, now))
    for message in messages:
        if message["id"] in caused:
            message["affects"] = sorted(caused[message["id"]])
    return kept, messages


def _kind(last, over, age, escalate_after, warning):
    """A warning is told once, and once more where it has become worse than that."""
    if last is None:
        return PASSED if over else WARNED if warning else OPENED
    if over:
        return ENDED if last in (OPENED, WARNED, LASTING) else None
    if last == WARNED:
        return None if warning else OPENED
    return LASTING if last != LASTING and age >= escalate_after else None


def _cause(incident, incidents, needs):
    """The incident of a server that an app needs, which explains the app's own."""
    if incident.get("server") or incident.get("resource"):
        return None
    opened, wanted = iso(incident["opened"]), needs.get(incident.get("unit"), ())
    for other in incidents:
        near = iso(other["opened"]) <= opened + TOGETHER and (
            other["state"] == "open" or iso(other["events"][-1]["time"]) >= opened - TOGETHER
        )
        if other.get("server") in wanted and near and not other.get("resource"):
            return other
    return None


def _message(kind, incident, now):
    return {
        "kind": kind,
        "id": incident["id"],
        "where": where(incident),
        "problem": incident.get("kind", ""),
        "reason": incident.get("reason", "")[:300],
        "times": incident["times"],
        "seconds": incident.get("recovered_after") if kind in (ENDED, PASSED) else round(now - iso(incident["opened"])),
        "done": incident["actions"][-3:],
        "state": incident["state"],
        "affects": [],
    }


def sentence(message):
    """One message in one line."""
    name, verb = message["where"], VERBS.get(message["problem"], message["problem"])
    seconds = message["seconds"]
    after = f" after {span(seconds)}" if seconds is not None else ""
    if message["kind"] in (OPENED, WARNED):
        return f"{name} {verb}"
    if message["kind"] == LASTING:
        return f"{name} still {verb.removeprefix('is ')}{after}"
    if message["state"] == "stopped":
        return f"{name} was stopped by hand"
    return f"{name} is well again{after}" if message["kind"] == ENDED else f"{name} {verb}, and is well again{after}"


def compose(host, messages):
    """The messages of one moment as one: its title, its text, and whether anything is wrong now."""
    wrong = [message for message in messages if message["kind"] in (OPENED, LASTING)]
    title = f"{host}: {sentence(messages[0])}" if len(messages) == 1 else f"{host}: {len(messages)} things to know"
    lines = []
    for message in messages:
        lines.append(sentence(message) if len(messages) > 1 else message["reason"] or sentence(message))
        if len(messages) > 1 and message["reason"]:
            lines.append(f"  {message['reason']}")
        if message["done"]:
            lines.append(f"  done: {'; '.join(message['done'])}")
        if message["times"] > 1:
            lines.append(f"  {message['times']} times")
        if message["affects"]:
            lines.append(f"  so is what needs it: {', '.join(message['affects'])}")
        lines.append(f"  mainstay history --id {message['id']}")
    return {"title": title, "text": "\n".join(lines), "urgent": bool(wrong), "events": messages}
