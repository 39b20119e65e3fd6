# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change on a backend host asks for, and what follows when it does not become healthy."""

from __future__ import annotations

import re

from .backend import UNITS, lock
from .releases import mask


def _action(app, name, state, known=True):
    return {"app": app["name"], "unit": name, "state": state, "known": known}


def _actions(described, changed):
    wanted = {name for item in described["units"] for name in item["instances"]}
    for app in described["apps"].values():
        folder = f"{UNITS}/{app['target']}.wants/"
        gone = {
            path[len(folder) :] for path in changed if path.startswith(folder) and path[len(folder) :] not in wanted
        }
        for name in sorted(gone.union(described["orphans"][app["name"]])):
            yield _action(app, name, "stopped")
        stale = [
            item for item in app["processes"] if not item["proven"] or f"{UNITS}/{item['unit']}@.service" in changed
        ]
        if len(stale) == len(app["processes"]):
            yield _action(app, app["target"], "restarted", any(item["known"] for item in stale))
            continue
        for item in stale:
            yield from (_action(app, name, "restarted", item["known"]) for name in item["instances"])
        for item in app["processes"]:
            if item not in stale:
                yield from (_action(app, name, "started") for name in item["stopped"])
        if not app["target_running"]:
            yield _action(app, app["target"], "started")


def change(described, changed_files=()):
    """What a change to the files asks for: the apps it concerns, what systemd has to do, and what must be healthy then.

    A process changed when the digest of its release, environment and unit is not the one last proven healthy, so a run
    that was cut off in the middle is completed by the next one.
    """
    todo = list(_actions(described, set(changed_files)))
    names = {action["app"] for action in todo}
    apps = [app for name, app in described["apps"].items() if name in names]
    return {
        "apps": [app["name"] for app in apps],
        "actions": [{**action, "reload": number == 0} for number, action in enumerate(todo)],
        "probes": [probe for app in apps for item in app["processes"] for probe in item["probes"]],
    }


def _belongs(app, path):
    """Whether a file under /etc is this app's, also when it is no longer declared."""
    own = rf"{UNITS}/{re.escape(app['name'])}(-[a-z0-9-]+@\.service|\.target|\.target\.wants/.+)"
    return path == app["env_file"] or re.fullmatch(own, path) is not None


def outcome(described, changed, results=(), changed_files=()):
    """What follows from the results of the probes: healthy apps are remembered, the others go back to where they were.

    Without any result nothing was healthy: what should have run did not get that far.
    """
    sick = {item["name"] for item in results if not item.get("healthy")}
    found = {"failed": [], "files": [], "restore": [], "actions": []}
    for name in changed["apps"]:
        app = described["apps"][name]
        found["files"].append({"dest": lock(app), "state": "absent"})
        if results and sick.isdisjoint(unit for item in app["processes"] for unit in item["instances"]):
            found["files"] += [{"dest": item["proof"], "link": item["digest"]} for item in app["processes"]]
            if app["previous"] not in ("", app["release"]):
                found["files"].append({"dest": f"{app['root']}/previous", "link": f"releases/{app['previous']}"})
            continue
        found["failed"].append(name)
        if app["previous"] != app["release"]:
            link = {"link": f"releases/{app['previous']}"} if app["previous"] else {"state": "absent"}
            found["files"].append({"dest": f"{app['root']}/current", **link})
        others = [other for other in described["apps"].values() if len(other["name"]) > len(name)]
        found["restore"] += [
            path for path in changed_files if _belongs(app, path) and not any(_belongs(other, path) for other in others)
        ]
        found["actions"].append(_action(app, app["target"], "restarted" if app["previous"] else "stopped"))
    return found


def _last_words(lines):
    """The lines of a journal from the last start on that the program lived to say something about."""
    spoken = False
    for number in range(len(lines) - 1, -1, -1):
        spoken = spoken or " systemd[1]: " not in lines[number]
        if spoken and " systemd[1]: Starting " in lines[number]:
            return lines[number:]
    return lines


def report(described, failed, probes=(), journals=(), error="", variables=None):
    """Why a change was not accepted: what was asked, what came back, the units' last words, and what runs now."""
    apps = [described["apps"][name] for name in failed]
    known = variables or {}
    hidden = [known.get(app["name"], {}).get(name, "") for app in apps for name in app["secrets"]]
    lines = [f"{app['name']}: release {app['release']} did not become healthy." for app in apps]
    for item in probes:
        if not item.get("healthy"):
            reasons = "; ".join(item.get("reasons") or ["no answer"])
            lines.append(
                f"{item['name']}: {item.get('target')} gave status {item.get('status')} in "
                f"{item.get('attempts')} tries: {reasons}"
            )
            lines += [f"  body: {item['body']}"] if item.get("body") and item["body"] not in reasons else []
    lines += [] if probes or not error else [error]
    for item in journals:
        lines += [
            f"Last lines of {item['item']}:",
            *(f"  {line}" for line in _last_words(item.get("stdout_lines") or ["(none)"])),
        ]
    for app in apps:
        if app["previous"] == app["release"]:
            lines.append(f"{app['name']}: only its configuration had changed; it runs with the one before again.")
        elif app["previous"]:
            lines.append(f"{app['name']}: release {app['previous']} runs again, with the configuration it had.")
        else:
            lines.append(f"{app['name']}: this was its first release; it is stopped, and kept for the next try.")
    return [mask(line, hidden) for line in lines]
