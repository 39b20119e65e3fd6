# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release a rollback returns to, by what the hosts remember of their deploys and incidents."""

from __future__ import annotations

from datetime import datetime, timezone

from ..release.identity import COMPLETE
from ..stack import external
from ..stack.apps import normalise
from ..stack.instances import link_target, marked, recorded
from ..stack.refusal import DeclarationError
from .blame import PROVEN_AFTER, repeats

# Whoever returns by hand may choose: what was out of memory once will be again, mostly.
OOM = "oom"
# Seconds for which the agent may go on telling of instances that a refused deploy has stopped.
AFTERWARDS = 30
# How a backup is named: by the moment at which it began.
BACKUP = "%Y%m%dT%H%M%SZ"


def way_back(apps, host, histories=(), name="", wanted="", data=None):
    """The releases with one app back at an earlier one, all others as they are, and what is to be told of it.

    The way back is the release that served before. Where that one failed soon after it took over, it is the newest one before it that
    did not.

    :param host: the host's snapshot, with its releases.
    :param histories: what ``mainstay history --json`` says on each host that runs the apps; one that is silent says nothing against any.
    :param name: the app, where several have an earlier release.
    :param wanted: the id of the release to return to, where it is not to be chosen.
    :param data: where the data of before is to come back, too: ``{"backups": [id], "snapshot": "", "confirm": ""}``, which are the backups that
        there are, the one that somebody named, and the name of the app again.
    :returns: ``{"releases": {app: id}, "told": [sentence], "app": name}``, without the apps that have never been deployed, and with ``data``
        the ``snapshot`` and what to ``restore`` of it.
    :raises DeclarationError: where it is not clear which app is meant, or there is no release, or no backup, to return to.
    """
    paths, previous, releases, declared = host.get("paths") or {}, {}, {}, normalise(apps)
    for app in declared.values():
        records = [recorded(paths, app, process) for process in app["processes"].values()]
        # What runs nothing on a host has nothing on record there, and is served all the same.
        current = link_target(paths, f"{app['root']}/current").rpartition("/")[2]
        releases[app["name"]] = next((item["release"] for item in records if item), current)
        before = link_target(paths, f"{app['root']}/previous").rpartition("/")[2]
        if before:
            previous[app["name"]] = before
    if name and name not in releases:
        raise DeclarationError("mainstay_app", name, f"Name one of the declared apps: {', '.join(releases)}.")
    if not name and len(previous) > 1:
        raise DeclarationError("mainstay_app", name, f"Say which one: -e mainstay_app=NAME, one of {', '.join(previous)}.")
    name = name or next(iter(previous), "")
    here = set(marked(paths, f"/srv/{name}", COMPLETE)) - {releases.get(name)}
    if wanted and name in releases:
        if wanted not in here:
            raise DeclarationError("mainstay_release", wanted, f"Name one that the host has: {', '.join(sorted(here)) or 'there is none'}.")
        chosen, told = wanted, []
    elif name not in previous:
        raise DeclarationError(
            "mainstay_app", name or ", ".join(releases), "There is no earlier release to return to; deploy a version that is known to work."
        )
    else:
        chosen, told = _choose(name, previous[name], here, histories)
    # Nothing of an app that has never been deployed can be kept.
    found = {"releases": {app: release for app, release in {**releases, name: chosen}.items() if release}, "told": told, "app": name}
    if data is not None:
        if elsewhere := external.databases(declared[name]):
            remedy = f"{', '.join(elsewhere)} leads to a database elsewhere, whose provider has its backups. Leave mainstay_data out."
            raise DeclarationError("mainstay_data", True, remedy)
        found["snapshot"] = data.get("snapshot") or _backup_before(name, chosen, histories, data["backups"])
        found["restore"] = "files" if declared[name]["database"] == "none" else "database"
        if data.get("confirm") != name:
            remedy = (
                f"What {name} has written since the backup {found['snapshot']} would be gone. Run it again with -e mainstay_confirm={name}."
            )
            raise DeclarationError("mainstay_confirm", data.get("confirm", ""), remedy)
    return found


def _backup_before(name, chosen, histories, backups):
    """The backup that was taken within the deploy that has left a release, which is before its migration."""
    left = [deploy for history in histories for deploy in _deploys(name, history) if _took_over(deploy) and deploy.get("from") == chosen]
    if left:
        deploy = max(left, key=lambda item: item["time"])
        began = deploy["time"] - deploy.get("seconds", 0) - 1
        for backup in sorted(backups):
            if began <= datetime.strptime(backup, BACKUP).replace(tzinfo=timezone.utc).timestamp() <= deploy["time"]:
                return backup
    raise DeclarationError(
        "mainstay_data",
        True,
        f"There is no backup from before the migration that followed {chosen}: migrate has no backup: true, or it is gone. Name one with "
        f"-e mainstay_snapshot=…, of {', '.join(sorted(backups, reverse=True)) or 'none'}, or leave mainstay_data out.",
    )


def _choose(name, before, here, histories):
    """The release that served before, or an earlier one, with what is to be told where it is not the one before."""
    failed = {}
    for history in histories:
        failed.update(failures(name, history))
    if before not in failed:
        return before, []
    served = sorted(
        (deploy["time"], deploy["to"])
        for history in histories
        for deploy in _deploys(name, history)
        if _took_over(deploy) and deploy["to"] in here and deploy["to"] not in failed
    )
    why = f"{name}: {before}, which served before, failed {failed[before]}"
    if not served:
        return before, [f"{why}; no other release is left to return to, so it is this one"]
    return served[-1][1], [f"{why}; the way back is {served[-1][1]}, which did not"]


def failures(name, history):
    """{release: "40 s after its deploy (crash of shop-web, 5 times)"} of an app's releases that failed soon after they took over.

    What fails while another deploy is under way is that one's doing.
    """
    found, deploys = {}, _deploys(name, history)
    spans = [(item["time"] - item.get("seconds", 0), item["time"] + (0 if _took_over(item) else AFTERWARDS)) for item in deploys]
    for incident in history.get("incidents") or ():
        began = _moment(incident.get("opened"))
        if began is None or not _is_to_blame(name, incident) or any(start <= began < end for start, end in spans):
            continue
        deploy = next((item for item in reversed(deploys) if _took_over(item) and item["time"] <= began), None)
        if deploy and began - deploy["time"] < PROVEN_AFTER:
            what = f"{incident.get('kind')} of {name}-{incident['process']}, {incident.get('times', 1)} times"
            found.setdefault(deploy["to"], f"{round(began - deploy['time'])} s after its deploy ({what})")
    return found


def _is_to_blame(name, incident):
    is_own = incident.get("app") == name and incident.get("process")
    kind = incident.get("kind")
    return is_own and (kind == OOM or repeats(kind, incident.get("times", 1), incident.get("faults")))


def _took_over(deploy):
    return deploy.get("result") == "succeeded"


def _deploys(name, history):
    """The deploys of an app, oldest first."""
    return sorted(
        (item for item in history.get("deploys") or () if item.get("app") == name and item.get("to")), key=lambda item: item["time"]
    )


def _moment(text):
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
