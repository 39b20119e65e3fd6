# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a checklist has to know of a host, gathered in one go and judged elsewhere.

Nothing is changed, and of a secret only its length and what is wrong with it leaves this file. Programs run while files are read; what
cannot be read is a note, never an error. Nothing below a folder that an app's user can write is looked at.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import socket
import stat
import time

from ..host import snapshot
from ..host.processes import user_name
from ..host.units import parse_show
from ..probe import repeat, tls
from ..stack import placeholders
from ..text import printable, read

PROGRAM_SECONDS = 60
UNIT_PROPERTIES = "Id,LoadState,ActiveState,SubState,Result,UnitFileState,MemoryMax,MemoryHigh,TasksMax,LimitNOFILE,NRestarts,MemoryCurrent,LastTriggerUSec"
# What the files of secrets on a host are: nobody but root reads them, but an app its own environment.
SECRET_FILES = (
    "/etc/mainstay/*/env",
    "/etc/mainstay/alerts.json",
    "/etc/mainstay/ping.json",
    "/etc/mainstay/certbot.env",
    "/etc/mainstay/backup/*",
    "/etc/mainstay/tls/*.key",
    "/etc/mainstay/tls/.pairs/*/*.key",
)
# Variables that switch an app into a mode for developers, and values that do so.
DEBUG_NAME = re.compile(r"(?:[A-Z0-9]*_)*(?:DEBUG|RELOAD)")
MODE_NAME = re.compile(r"(?:[A-Z0-9]*_)*(?:NODE_ENV|APP_ENV|FLASK_ENV|RAILS_ENV|ENV|ENVIRONMENT)")
LIMIT_NAME = re.compile(r"(?:[A-Z0-9]*_)*RATE_?LIMIT(?:ING)?_ENABLED")
TRUE = frozenset(("1", "true", "yes", "on", "*"))
DEVELOPMENT = frozenset(("dev", "development", "debug", "local"))
# Celery's beat says so of each task that it sends, at level info.
BEAT_SENDS = "Sending due task"


def collect(want, root="/", start=snapshot.Started, now=time.time):
    """All that is asked for. ``want``: apps, units, timers, probes, sites, beats, alert_test, exposure."""
    notes = []
    programs = _programs(want, start)
    found = {
        "now": int(now()),
        "uptime_s": _uptime(root),
        "environments": {app["name"]: environment(app, root) for app in want.get("apps") or ()},
        "modes": modes(SECRET_FILES, root),
        "nginx": {site["name"]: nginx_site(site["name"], root) for site in want.get("sites") or ()},
        "agent": agent(_json(f"{root}/run/mainstay/state.json")),
        "applied": _json(f"{root}/etc/mainstay/plan.json"),
        "backup": _json(f"{root}/var/lib/mainstay/backup/status.json"),
        "backup_limits": _json(f"{root}/var/lib/mainstay/backup/limits.json"),
        "recovery": _json(f"{root}/var/lib/mainstay/pitr/status.json"),
        "recovery_limits": _json(f"{root}/var/lib/mainstay/pitr/limits.json"),
        "maintenance": _json(f"{root}/var/lib/mainstay/maintenance.json"),
        "alerts": _channels(_json(f"{root}/etc/mainstay/alerts.json")),
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
            ["journalctl", "--quiet", "--no-pager", "--priority=err", "--since=-24h", "--output=json", "--output-fields=_SYSTEMD_UNIT"]
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
        "plan": _parsed(texts["plan"]),
        "history": history(_parsed(texts["history"])),
        "report": _parsed(texts["report"]),
        "addresses": addresses(_parsed(texts["addresses"])),
        "errors": errors(texts["errors"] or ""),
        "units": {name: shown[name] for name in want.get("units") or () if name in shown},
        "timers": {name: shown[name] for name in want.get("timers") or () if name in shown},
        "beats": {unit: last_entry(texts[f"beat {unit}"] or "") for unit in want.get("beats") or ()},
        "exposure": exposure(texts.get("exposure") or ""),
        "alert_test": _alert_test(programs.get("alert_test"), texts.get("alert_test")),
    }


# --- files ---------------------------------------------------------------------------------------------------------


def _json(path):
    return _parsed(read(path))


def _parsed(text):
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, (dict, list)) else {}


def _uptime(root):
    words = read(f"{root}/proc/uptime").split()
    return int(float(words[0])) if words else 0


def describe(path):
    """Mode, owner and group of a path, of a link those of what it leads to; None where there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return {
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": user_name(status.st_uid),
        "group": _group_name(status.st_gid),
        "folder": stat.S_ISDIR(status.st_mode),
    }


def _group_name(gid):
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def modes(patterns, root="/"):
    found = {}
    for pattern in patterns:
        for path in sorted(glob.glob(f"{root.rstrip('/')}{pattern}")):
            found["/" + os.path.relpath(path, root)] = describe(path)
    return {path: entry for path, entry in found.items() if entry}


def environment(app, root="/"):
    """Of an app's environment file: who reads it, which of its secrets are weak, and which settings are a developer's."""
    path = f"{root.rstrip('/')}{app['env_file']}"
    variables = dict(_assignments(read(path)))
    weak, lengths = {}, {}
    for name, value in variables.items():
        password = placeholders.url_password(value)
        if name in app["secrets"] or placeholders.is_secret(name):
            lengths[name] = len(value)
            why = placeholders.weakness(value)
        elif password is not None:
            why = placeholders.weakness(password)
        else:
            continue
        if why:
            weak[name] = why
    return {
        "file": describe(path),
        "missing": sorted(set(app["secrets"]) - set(variables)),
        "weak": weak,
        "lengths": lengths,
        "developer": sorted(name for name, value in variables.items() if _is_developers(name, value)),
        "unlimited": sorted(name for name, value in variables.items() if LIMIT_NAME.fullmatch(name.upper()) and value.lower() not in TRUE),
    }


def _assignments(text):
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_]\w*", name):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] == '"'
            yield name, re.sub(r'\\(["\\`$])', r"\1", value[1:-1]) if quoted else value


def _is_developers(name, value):
    name, value = name.upper(), value.strip().lower()
    return bool(DEBUG_NAME.fullmatch(name) and value in TRUE) or bool(MODE_NAME.fullmatch(name) and value in DEVELOPMENT)


def nginx_site(name, root="/"):
    """What nginx's file of a site limits."""
    text = read(f"{root.rstrip('/')}/etc/nginx/mainstay/sites/{name}.conf")
    return {"there": bool(text), "rate_limits": len(re.findall(r"^\s*limit_req ", text, re.MULTILINE))}


def rotation(root="/"):
    """Which of the stack's logs logrotate knows, and when it has last looked at anything."""
    root = root.rstrip("/")
    status = f"{root}/var/lib/logrotate/status"
    with contextlib.suppress(OSError):
        return {"files": _rotated(root), "looked": int(os.stat(status).st_mtime)}
    return {"files": _rotated(root), "looked": None}


def _rotated(root):
    return sorted(os.path.basename(path) for path in glob.glob(f"{root}/etc/logrotate.d/mainstay-*"))


def updates(root="/", now=0.0):
    """How old the lists of packages are, and since when a reboot is wanted."""
    root = root.rstrip("/")
    # Their own dates are the archive's; apt writes beside them when it has asked.
    asked = [
        _mtime(f"{root}/var/lib/apt/periodic/update-success-stamp"),
        _mtime(f"{root}/var/lib/apt/lists/partial"),
        _mtime(f"{root}/var/cache/apt/pkgcache.bin"),
    ]
    asked = [moment for moment in asked if moment]
    reboot = _mtime(f"{root}/run/reboot-required")
    return {"asked_s": int(now - max(asked)) if asked else None, "reboot_s": int(now - reboot) if reboot else None}


def _mtime(path):
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _channels(settings):
    """The kinds of the channels for alerts; their addresses are secrets."""
    channels = settings.get("channels") if isinstance(settings, dict) else None
    return [str(channel.get("kind", "")) for channel in channels or () if isinstance(channel, dict)]


# --- what the agent and its commands tell ----------------------------------------------------------------------------

TOLD = (
    "app",
    "process",
    "instance",
    "server",
    "name",
    "unit",
    "kind",
    "health",
    "reason",
    "restarts_24h",
    "memory_mb",
    "memory_max_mb",
    "incident",
)


def agent(state):
    """The agent's own report, without its memory."""
    if not isinstance(state, dict) or not isinstance(state.get("agent"), dict):
        return {}
    watched = [
        {key: _plain(entry[key]) for key in TOLD if key in entry}
        for kind in ("processes", "servers")
        for entry in state.get(kind) or ()
        if isinstance(entry, dict)
    ]
    own = state["agent"]
    return {
        "written": own.get("written") if isinstance(own.get("written"), (int, float)) else None,
        "interval": own.get("interval"),
        "dry_run": own.get("dry_run"),
        "problem": own.get("problem"),
        "watched": watched,
    }


def _plain(value):
    """What an app may have said, fit for a terminal."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return printable(value)[:200] if isinstance(value, str) else value


def history(told):
    """Deploys and incidents, the newest last; of an incident neither the journal's lines nor other evidence."""
    if not isinstance(told, dict):
        return {}
    incidents = [
        {key: _plain(item[key]) for key in ("id", "unit", "kind", "opened", "closed", "recovered_after", "times") if key in item}
        for item in (told.get("incidents") or ())[-100:]
        if isinstance(item, dict)
    ]
    deploys = [
        {key: _plain(item[key]) for key in ("time", "app", "from", "to", "by", "result", "seconds", "what") if key in item}
        for item in (told.get("deploys") or ())[-100:]
        if isinstance(item, dict)
    ]
    return {"incidents": incidents, "deploys": deploys}


def _alert_test(program, text):
    if program is None:
        return None
    ended = program.process.returncode if program.process else None
    return {"status": ended, "said": [printable(line)[:200] for line in (text or program.reason).splitlines()][:20]}


# --- programs' answers ------------------------------------------------------------------------------------------------


def addresses(links):
    """The host's own addresses, without those of the loopback and of a link alone."""
    return [
        item["local"] for link in links or () for item in link.get("addr_info", ()) if item.get("scope") == "global" and item.get("local")
    ]


def errors(text):
    """How many entries of level error and above each unit has in the journal of the last day."""
    counts = {}
    for line in text.splitlines():
        unit = _parsed(line).get("_SYSTEMD_UNIT") or "kernel"
        unit = re.sub(r"@.*(\.\w+)$", r"@*\1", unit if isinstance(unit, str) else "unknown")
        counts[unit] = counts.get(unit, 0) + 1
    return counts


def last_entry(text):
    """The second of the last entry of a journal's JSON; None where there is none."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    moment = _parsed(lines[-1]).get("__REALTIME_TIMESTAMP") if lines else None
    return int(moment) // 1000000 if str(moment).isdigit() else None


def exposure(text):
    """{unit: exposure} as ``systemd-analyze security`` tells it: 0 is sealed, 10 is open."""
    return {match[1]: float(match[2]) for match in re.finditer(r"^\s*(\S+\.service)\s+(\d+\.\d)\s", text, re.MULTILINE)}


# --- the network ------------------------------------------------------------------------------------------------------


def probed(specs):
    """What each probe has found; of an answer only whether it is the right one."""
    results = repeat.run_all(list(specs))
    return [
        {
            "name": result["name"],
            "kind": result["kind"],
            "healthy": result["healthy"],
            "latency_ms": result["latency_ms"]["last"],
            "reasons": [printable(reason)[:300] for reason in result["reasons"]],
        }
        for result in results
    ]


def addresses_of(name):
    """The addresses of a host name, as this host resolves it; None where it has none."""
    try:
        return sorted({item[4][0] for item in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})
    except OSError:
        return None


def certificate(name, names, address="127.0.0.1", port=443, timeout=5):
    """What is served on the wire under a name: how long it lasts, whether the host trusts it, and for which of the names it is good."""
    try:
        served, protocol = tls.served(name, (address, port), timeout)
    except (OSError, ValueError) as error:
        return {"error": printable(str(error))[:200]}
    return {
        "days_left": tls.days_left(served, time.time()),
        "protocol": protocol,
        "trusted": _is_trusted(name, address, port, timeout),
        "missing": [wanted for wanted in names if not _is_for(served, wanted)],
    }


def _is_trusted(name, address, port, timeout):
    """Why a client that trusts what the host trusts would not trust it; empty where it would."""
    try:
        tls.served(name, (address, port), timeout, trusting=True)
    except (OSError, ValueError) as error:
        return printable(getattr(error, "verify_message", "") or str(error))[:200]
    return ""


def _is_for(served, name):
    """Whether a certificate names a host: a name in it is plain ASCII behind its tag and length."""
    wanted = [name.encode(), b"*." + name.partition(".")[2].encode()]
    return any(bytes([0x82, len(item)]) + item in served for item in wanted if len(item) < 128)
