# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a checklist has to know of a host, gathered in one go and judged elsewhere.

Nothing is changed, and of a secret only its length and what is wrong with it leaves a host. Programs run while files are read; what
cannot be read is a note, never an error. Nothing below a folder that an app's user can write is looked at.
"""

from __future__ import annotations

import time

from ..host import snapshot
from ..host.units import parse_show
from ..text import printable
from .gather_answers import addresses, agent, alert_test_of, errors, exposure, history, last_entry
from .gather_files import SECRET_FILES, channels, environment, modes, nginx_site, parsed, read_json, rotation, updates, uptime
from .gather_network import addresses_of, certificate, probed

PROGRAM_SECONDS = 60
# The last ones, each of some 300 bytes: an app may have written a million, which would take the host's memory.
MOST_ERRORS = 20000
UNIT_PROPERTIES = "Id,LoadState,ActiveState,SubState,Result,UnitFileState,MemoryMax,MemoryHigh,TasksMax,LimitNOFILE,NRestarts,MemoryCurrent,LastTriggerUSec"
# Celery's beat says so of each task that it sends, at level info.
BEAT_SENDS = "Sending due task"


def collect(want, root="/", start=snapshot.Started, now=time.time):
    """All that is asked for. ``want``: apps, units, timers, probes, sites, beats, alert_test, exposure."""
    notes = []
    programs = _programs(want, start)
    found = {
        "now": int(now()),
        "uptime_s": uptime(root),
        "environments": {app["name"]: environment(app, root) for app in want.get("apps") or ()},
        "modes": modes(SECRET_FILES, root),
        "nginx": {site["name"]: nginx_site(site["name"], root) for site in want.get("sites") or ()},
        "agent": agent(read_json(f"{root}/run/mainstay/state.json")),
        "applied": read_json(f"{root}/etc/mainstay/plan.json"),
        "backup": read_json(f"{root}/var/lib/mainstay/backup/status.json"),
        "backup_limits": read_json(f"{root}/var/lib/mainstay/backup/limits.json"),
        "recovery": read_json(f"{root}/var/lib/mainstay/pitr/status.json"),
        "recovery_limits": read_json(f"{root}/var/lib/mainstay/pitr/limits.json"),
        "maintenance": read_json(f"{root}/var/lib/mainstay/maintenance.json"),
        "alerts": channels(read_json(f"{root}/etc/mainstay/alerts.json")),
        "rotation": rotation(root),
        "updates": updates(root, now()),
        "resolved": {name: addresses_of(name) for site in want.get("sites") or () for name in site["names"]},
        "certificates": {site["name"]: certificate(site["name"], site["names"]) for site in want.get("sites") or () if site["tls"]},
    }
    found["probes"] = probed(want.get("probes") or ())
    found.update(_answers(programs, want, notes, start))
    found["notes"] = notes
    return found


def _programs(want, start):
    """The programs that answer while the files are read."""
    programs = {
        "plan": start(["/usr/local/bin/mainstay", "plan", "--json"]),
        "history": start(["/usr/local/bin/mainstay", "history", "--json"]),
        "report": start(["/usr/local/bin/mainstay", "report", "--json", "--since", "30d"]),
        "addresses": start(["ip", "-json", "address"]),
        "errors": start(
            [
                *["journalctl", "--quiet", "--no-pager", "--priority=err", "--since=-24h", f"--lines={MOST_ERRORS}"],
                *["--output=json", "--output-fields=_SYSTEMD_UNIT"],
            ]
        ),
    }
    names = [*(want.get("units") or ()), *(want.get("timers") or ())]
    if names:
        programs["units"] = start(["systemctl", "show", f"--property={UNIT_PROPERTIES}", "--", *names])
    for unit in want.get("beats") or ():
        programs[f"beat {unit}"] = start(
            [
                *["journalctl", "--quiet", "--no-pager", "--unit", unit, "--since=-24h", "--grep", BEAT_SENDS, "--lines=1"],
                *["--output=json", "--output-fields=__REALTIME_TIMESTAMP"],
            ]
        )
    if want.get("exposure"):
        programs["exposure"] = start(["systemd-analyze", "security", "--no-pager"])
    if want.get("alert_test"):
        programs["alert_test"] = start(["/usr/local/bin/mainstay", "alert", "--test"])
    return programs


def _answers(programs, want, notes, start):
    texts = {name: program.finish(PROGRAM_SECONDS) for name, program in programs.items()}
    for name in ("plan", "history", "report"):
        if texts[name] is None:  # a host that is busy with this very look may answer the second time
            programs[name] = start(programs[name].command)
            texts[name] = programs[name].finish(PROGRAM_SECONDS)
    for name, program in programs.items():
        # journalctl ends with status 1 where it finds nothing, and that is an answer.
        if texts[name] is None and not name.startswith("beat ") and name != "errors":
            notes.append(f"{name}: {printable(program.reason)}")
    shown = {unit["Id"]: unit for unit in parse_show(texts.get("units") or "")}
    return {
        "plan": parsed(texts["plan"]),
        "history": history(parsed(texts["history"])),
        "report": parsed(texts["report"]),
        "addresses": addresses(parsed(texts["addresses"])),
        "errors": errors(texts["errors"] or ""),
        "units": {name: shown[name] for name in want.get("units") or () if name in shown},
        "timers": {name: shown[name] for name in want.get("timers") or () if name in shown},
        "beats": {unit: last_entry(texts[f"beat {unit}"] or "") for unit in want.get("beats") or ()},
        "exposure": exposure(texts.get("exposure") or ""),
        "alert_test": alert_test_of(programs.get("alert_test"), texts.get("alert_test")),
    }
