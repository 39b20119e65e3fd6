# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How new releases and settings take over on a backend host, step by step, and the way back from each step.

:func:`preparation` starts what is new beside what serves; then the proxies follow; :func:`takeover` replaces what has no
second set; :func:`completion` puts it on record and retires the old set. Until then :func:`retreat` undoes everything.
"""

from __future__ import annotations

import json
import re

from ..probe.connection import excerpt
from ..release.identity import COMPLETE
from ..stack import remedies
from ..stack.instances import WAYS_BACK, names
from ..text import mask
from .model import instance_links
from .units import UNITS

# How far a deploy has come, from where the way back begins: built is what runs nowhere yet; what is replaced has no second set.
REACHED = ("built", "started", "replaced", "taken_over")

# systemd's own words in the journal (src/core/service.c)
ENDED, RESTARTED, GIVEN_UP = ": Main process exited, ", ": Scheduled restart job, ", " systemd[1]: Failed to start "
KILLING = ": Killing process "  # one line for each that its unit had left


def _changing(described):
    return [app for app in described["apps"].values() if app["changing"]]


def _probes(process, units):
    return [probe for probe in process["probes"] if probe["name"] in units]


def _new(process):
    """The numbers of a process that nothing ran on so far."""
    return [number for number in process["numbers"] if number not in process["live_numbers"]]


def _retired(process):
    """The numbers of a process that served and no longer do."""
    return [number for number in process["live_numbers"] if number not in process["numbers"]]


def _roll(process, unit):
    """A web instance that restarts alone. nginx leaves one that failed out for 5 s (role nginx, ``fail_timeout``): only after
    that may the next one stop, or none would be left."""
    probes = [{**probe, "interval": 1, "healthy_threshold": 7} for probe in _probes(process, [unit])]
    return {"unit": unit, "probes": probes}


def _unit_file(process):
    return f"{UNITS}/{process['unit']}@.{'timer' if process['schedule'] else 'service'}"


def preparation(described, changed_files=()):
    """What starts beside what serves, and what must be healthy before it may serve.

    Instances that stay and do not run are started, too. ``live`` is what serves once all of it is healthy, ``spare`` what
    served before and stands by until the new one has proven itself under its load.
    """
    found = {"restarted": [], "started": [], "probes": [], "files": [], "live": {}, "spare": {}}
    for app in described["apps"].values():
        for process in app["processes"]:
            # Workers have no second set: each new one starts when the others are replaced.
            new = names(app, process, _new(process)) if process["port"] else []
            stopped = process["stopped"] if process["mode"] == "kept" else []
            found["restarted"] += new
            found["started"] += stopped
            found["probes"] += _probes(process, new + stopped)
            if process["port"]:
                found["live"].setdefault(app["name"], {})[process["name"]] = process["numbers"]
                found["spare"].setdefault(app["name"], {})[process["name"]] = _retired(process)
        if app["current"] != app["release"]:
            found["files"].append({"dest": f"{app['root']}/current", "link": f"releases/{app['release']}"})
    found["daemon_reload"] = any(path.startswith(UNITS) for path in changed_files)
    return found


def takeover(described, changed_files=()):
    """What is replaced in place: workers at once, web instances one after the other, targets that do not run.

    Where only the unit file of a process had changed, by hand, it is restarted, too. ``watched`` are the probes of all that is
    new, where some of it takes the place of an earlier release; first releases have nothing to go back to. ``drains`` wait until
    nobody is connected any more to what served before.
    """
    found = {"restarted": [], "rolls": [], "started": [], "probes": [], "watched": [], "drains": []}
    for app in described["apps"].values():
        for process in app["processes"]:
            touched = process["mode"] == "kept" and _unit_file(process) in changed_files
            if process["mode"] != "in_place" and not touched:
                continue
            if process["port"]:
                units = names(app, process, [item for item in process["numbers"] if item not in _new(process)])
                found["rolls"] += [_roll(process, unit) for unit in units]
            else:
                found["restarted"] += process["instances"]
                found["probes"] += process["probes"]
        if not app["target_running"]:
            found["started"].append(app["target"])
        if app["changing"]:
            found["drains"] += [_drain(process, _retired(process)) for process in app["processes"] if _drains(process)]
    if any(app["previous"] for app in _changing(described)):
        found["watched"] = [probe for app in _changing(described) for process in app["processes"] for probe in process["probes"]]
    return found


def _times(app, built, start, watch):
    """Seconds of each step of an app's deploy, in their order."""
    done = [step for result in built if result.get("item") == app["name"] for step in result.get("steps", [])]
    migrating = sum(step["seconds"] for step in done if step["name"] == app["migrate"])
    building = sum(step["seconds"] for step in done) - migrating
    return {"build": round(building, 1), "migrate": round(migrating, 1), "start": start, "watch": watch}


def completion(described, built=(), start=0, watch=0, alone=False):
    """What puts the new state on record and ends the old one.

    :param built: what the module ``release`` returned for the apps, with the seconds of its steps.
    :param start: seconds until what started beside the old was healthy.
    :param watch: seconds that it was watched.
    :param alone: whether no other host runs the apps: only then this one may return to the release before by itself.
    """
    found = {"files": [], "stopped": [], "audit": {}}
    for app in described["apps"].values():
        found["stopped"] += app["orphans"]
        found["files"] += [{"dest": path, "state": "absent"} for path in app["stale_records"]]
        if not app["changing"]:
            continue
        found["audit"][app["name"]] = {
            "from": app["previous"],
            "to": app["release"],
            "result": "succeeded",
            "steps": _times(app, built, start, watch),
        }
        if app["previous"] not in ("", app["release"]):
            # After a rollback the way back would lead to the release that had to go.
            way_back = {"state": "absent"} if app["rollback"] else {"link": f"releases/{app['previous']}"}
            found["files"].append({"dest": f"{app['root']}/previous", **way_back})
        found["files"].append(_way_back(app, alone))
        for process in app["processes"]:
            found["files"].append({"dest": process["record_path"], "link": process["new_record"]})
            retired = _retired(process)
            found["files"] += _without(app, process, retired)
            found["stopped"] += names(app, process, retired)
    return found


def _way_back(app, alone):
    """What the host needs to return by itself; nothing where more than the code has changed, or the way back has just been taken."""
    dest, root = f"{WAYS_BACK}/{app['name']}.json", app["root"]
    before = {process["record"]["release"] if process["record"] else "" for process in app["processes"]}
    same = all(process["same_settings"] for process in app["processes"]) and not app["stale_records"] and not app["orphans"]
    if not alone or not same or before != {app["previous"]} or app["previous"] == app["release"] or app["rollback"]:
        return {"dest": dest, "state": "absent"}
    links = {
        path: link
        for process in app["processes"]
        for number in process["numbers"]
        for path, link in instance_links(app, process, number, app["previous"]).items()
        if path.startswith(root)
    }
    way = {
        "from": app["release"],
        "to": app["previous"],
        "links": {f"{root}/current": f"releases/{app['previous']}", **links},
        "records": {process["record_path"]: process["way_back"] for process in app["processes"]},
        "absent": [f"{root}/previous"],
        "void": f"{root}/releases/{app['release']}/{COMPLETE}",
    }
    return {"dest": dest, "content": json.dumps(way, indent=2) + "\n"}


def _without(app, process, numbers):
    return [{"dest": path, "state": "absent"} for number in numbers for path in instance_links(app, process, number, "")]


def _recorded_links(app, process):
    """The links of the instances on record: a backup of config_set holds files, not links."""
    if not process["record"]:
        return []
    return [
        {"dest": path, "link": link}
        for number in process["live_numbers"]
        for path, link in instance_links(app, process, number, process["record"]["release"]).items()
    ]


def _drains(process):
    return bool(_retired(process) and process["port"] and process["drain"])


def _drain(process, numbers):
    """Healthy as soon as no connection to the ports is left."""
    ports = " or ".join(f"sport = :{number}" for number in numbers)
    return {
        "name": process["unit"],
        "kind": "command",
        "command": ["sh", "-c", f"! ss --no-header --tcp --numeric state established '( {ports} )' | grep -q ."],
        "interval": 0.5,
        "deadline": process["drain"],
    }


def _belongs(app, path):
    """Whether a file is this app's, also when it is no longer declared."""
    own = rf"{UNITS}/{re.escape(app['name'])}(-[a-z0-9-]+@\.(service(\.d/.+)?|timer)|\.target|\.target\.wants/.+)"
    return path == app["env_file"] or path.startswith(f"{app['root']}/instances/") or re.fullmatch(own, path) is not None


def retreat(described, reached, changed_files=(), results=()):
    """The way back to what served before, for all apps that were changing: one run is accepted as a whole or not at all.

    A release that ran and has not served is void: it is built anew when it is tried again, and nothing returns to it. One that was
    only built, where another app could not be, is as good as it was.

    :param reached: how far the deploy has come, one of ``REACHED``.
    :param results: what has been answered so far.
    """
    if reached not in REACHED:
        raise ValueError(f"backend_retreat: reached is {reached!r}. Give one of {', '.join(REACHED)}.")
    started, replaced, taken_over = (REACHED.index(reached) >= REACHED.index(step) for step in REACHED[1:])
    found = {"stopped": [], "restarted": [], "rolls": [], "files": [], "restore": [], "audit": {}, "voided": []}
    sick = {item["name"] for item in results if not item.get("healthy")}
    for app in _changing(described):
        found["audit"][app["name"]] = {"from": app["previous"], "to": app["release"], "result": "failed"}
        if app["current"] != app["release"]:
            link = {"link": f"releases/{app['current']}"} if app["current"] else {"state": "absent"}
            found["files"].append({"dest": f"{app['root']}/current", **link})
        longer = [other for name, other in described["apps"].items() if len(name) > len(app["name"])]
        found["restore"] += [path for path in changed_files if _belongs(app, path) and not any(_belongs(item, path) for item in longer)]
        for process in app["processes"]:
            found["files"] += _without(app, process, _new(process)) + _recorded_links(app, process)
            found["stopped"] += names(app, process, _new(process))
            if process["mode"] == "in_place":
                live = names(app, process, process["live_numbers"])
                found["rolls"] += [_roll(process, unit) for unit in live] if taken_over and process["port"] else []
                found["restarted"] += live if replaced and not process["port"] else []
        own = {unit for process in app["processes"] for unit in process["instances"]}
        if app["release"] not in (app["previous"], app["current"]) and (own & sick or (started and not results)):
            found["voided"].append(app["name"])
            release = f"{app['root']}/releases/{app['release']}"
            found["files"] += [{"dest": f"{release}/{COMPLETE}", "state": "absent"}]
    return found


def _last_words(lines):
    """The lines of a journal from the last start on that the program lived to say something about, or to end."""
    lines = [line for line in lines if KILLING not in line]
    starts = [number for number, line in enumerate(lines) if " systemd[1]: Starting " in line]
    begun = lines[starts[-1] :] if starts else []
    if not any(ENDED in line for line in begun):
        between = range(starts[-2] + 1 if len(starts) > 1 else 0, starts[-1] if starts else 0)
        again = [number for number in between if RESTARTED in lines[number] or GIVEN_UP in lines[number]]
        # One that systemd has just started again has not yet said why it ends.
        if again and RESTARTED in lines[again[-1]]:
            lines = lines[: again[-1]]
    spoken = False
    for number in range(len(lines) - 1, -1, -1):
        spoken = spoken or " systemd[1]: " not in lines[number]
        if spoken and " systemd[1]: Starting " in lines[number]:
            return lines[number:]
    return lines


def _without_numbers(lines):
    """What a program said, to be compared with what another of its kind said at another time: without times, processes and ports."""
    return tuple(re.sub(r"\d+", "", line) for line in lines if " systemd[1]: " not in line)


def _app_of(unit, apps):
    """The name of the app that a unit is of; of two that fit, the longer one."""
    return max((app["name"] for app in apps if unit.startswith(f"{app['name']}-")), key=len, default="")


def report(described, outcome, probes=(), journals=(), error="", variables=None, not_back=""):
    """Why a change was not accepted: what was asked, what came back, the units' last words, and what serves now.

    ``not_back`` says which instance of the release before did not come back either.
    """
    apps = [described["apps"][name] for name in outcome["audit"]]
    known = variables or {}
    hidden = [known.get(app["name"], {}).get(name, "") for app in apps for name in app["secrets"]]
    sick = [item for item in probes if not item.get("healthy")]
    blamed = {item["name"] for item in sick}
    unbuilt = {app["name"] for app in apps if any(line.startswith(f"{app['name']}: ") for line in error.splitlines())}
    lines = []
    for app in apps:
        own = {unit for process in app["processes"] for unit in process["instances"]}
        if sick and blamed & own:
            lines.append(f"{app['name']}: release {app['release']} did not become healthy.")
        elif not sick and (not unbuilt or app["name"] in unbuilt):
            lines.append(f"{app['name']}: release {app['release']} was not accepted.")
    told, helps = {}, []
    for item in sick:
        reasons = "; ".join(item.get("reasons") or ["no answer"])
        if (item["name"], reasons) in told.values():
            continue  # of its health and its readiness
        first = told.setdefault(re.sub(r"\d+", "", f"{item['name']} {reasons}"), (item["name"], reasons))
        if first[0] != item["name"]:
            lines.append(f"{item['name']}: the same as {first[0]}.")
            continue
        lines.append(f"{item['name']}: {item.get('target')} gave status {item.get('status')} in {item.get('attempts')} tries: {reasons}")
        body = excerpt(mask(item.get("body") or "", hidden))
        lines += [f"  body: {body}"] if body and body not in reasons else []
        helps.append((_app_of(item["name"], apps), remedies.of_status(item.get("status"))))
    lines += [] if sick or not error else [error]
    said, failing = {}, {item["name"].partition("@")[0] for item in sick if item.get("status") == 500}
    for item in journals:
        words = _last_words(item.get("stdout_lines") or ["(none)"])
        first = said.setdefault(_without_numbers(words), item["item"])
        if first != item["item"]:
            lines.append(f"Last lines of {item['item']}: the same as those of {first}.")
            continue
        lines += [f"Last lines of {item['item']}:", *(f"  {line}" for line in words)]
        app = _app_of(item["item"], apps)
        helps.append((app, remedies.remedy(app, words)))
        if item["item"].partition("@")[0] in failing:
            helps.append((app, remedies.of_silence(words)))
    lines += [f"What may help {app}: {sentence}." for app, sentence in dict.fromkeys(helps) if sentence]
    for app in apps:
        if app["previous"] == app["release"]:
            lines.append(f"{app['name']}: only its configuration had changed; it runs with the one before.")
        elif app["previous"]:
            lines.append(f"{app['name']}: release {app['previous']} serves, as before.")
        else:
            lines.append(f"{app['name']}: this was its first release; nothing serves yet.")
    if unbuilt and len(unbuilt) < len(apps):
        lines.append("The apps of a run change together or not at all; what is built of the others is kept for the next run.")
    lines += [f"On the way back: {not_back} See journalctl --unit and mainstay status."] if not_back else []
    return [mask(line, hidden) for line in lines]
