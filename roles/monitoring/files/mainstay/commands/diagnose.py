# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with this host, why it matters, and what to do, the worst first. Only looks; changes nothing.

Exit status: 0 nothing was found, 1 something was, 2 cannot tell.
"""

from __future__ import annotations

import fnmatch
import json

from .. import environments, mariadb, postgres
from ..advice import advice, folder, named
from ..core.host import listeners
from ..postgres import DatabaseError
from ..records import read_state
from ..units import SystemdError
from .status import collect, place, watching

RESTARTS = 5  # within a day
SLOW_MS, SLOW_CALLS = 1000, 5
OFTEN_CALLS, OFTEN_PART, OFTEN_MS = 100_000, 0.2, 2  # a short statement that is a fifth of all the time
IDLE_S = 60  # seconds in a transaction without doing anything
WAITING_S = 8  # seconds of waiting for a lock; what waits for ten is ended (lock_timeout)
NAME_S = 8  # seconds for a name: two questions of five seconds are what a resolver takes, mostly
NEARLY = 0.8  # of a limit
UNWELL = ("failing", "down", "failed", "looping", "missing", "stopped")
WORSE = {"critical": 0, "warning": 1}
DATABASE = """
SELECT json_build_object(
  'used', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  'limit', current_setting('max_connections')::int,
  'idle', (SELECT count(*) FROM pg_stat_activity
    WHERE state LIKE 'idle in transaction%' AND now() - state_change > make_interval(secs => :idle)),
  'waiting', (SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND now() - state_change > make_interval(secs => :waiting)),
  'holders', (SELECT json_agg(DISTINCT pid) FROM (
    SELECT unnest(pg_blocking_pids(pid)) AS pid FROM pg_stat_activity WHERE wait_event_type = 'Lock') AS holding),
  'readonly', CASE WHEN pg_is_in_recovery() THEN 'it is in recovery'
    WHEN EXISTS (SELECT FROM pg_file_settings WHERE name = 'default_transaction_read_only' AND applied AND setting::bool)
      OR EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS line
        WHERE line ~* '^default_transaction_read_only=(on|true|yes|1)$')
    THEN 'default_transaction_read_only is on' END);
"""
MARIADB = f"""
SELECT JSON_OBJECT('used', COUNT(*), 'limit', @@max_connections,
  'idle', COALESCE(SUM(command = 'Sleep' AND trx_id IS NOT NULL AND time > {IDLE_S}), 0))
FROM {mariadb.SESSIONS};
"""
STATEMENTS = """
SELECT json_build_object(
  'total_ms', (SELECT coalesce(sum(total_exec_time), 0) FROM pg_stat_statements WHERE userid <> 'postgres'::regrole),
  'statements', (SELECT coalesce(json_agg(found), '[]') FROM (
    SELECT datname AS app, calls, mean_exec_time AS mean_ms, total_exec_time AS total_ms, left(query, 80) AS query
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE userid <> 'postgres'::regrole
    ORDER BY total_exec_time DESC LIMIT 50) AS found));
"""


def arguments(parser):
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options, context):
    context.need_root("mainstay diagnose")
    cfg = context.config()
    state, now = read_state(context.paths.state), context.clock.time()
    alive = watching(state, now)
    findings = [] if alive else [finding("agent", "agent", "the agent is not watching", "critical", "agent")]
    if alive and state["agent"].get("problem"):
        findings.append(finding("agent", "agent", f"the agent has a problem: {state['agent']['problem']}", "critical", "agent"))
    live = context.systemd.show([unit for watched in cfg.watched for unit in dict.fromkeys((watched.unit, watched.job))])
    entries = collect(cfg.watched, state, live, alive)
    findings += processes(entries)
    findings += resources(state.get("resources", []) if alive else [])
    findings += failed_units(context, cfg)
    findings += taken(context, cfg)
    findings += unresolved(context, cfg)
    servers = {server.name for server in cfg.servers}
    if "postgresql" in servers:
        findings += database("postgresql", lambda: postgres.ask(context.run, DATABASE, idle=IDLE_S, waiting=WAITING_S))
        findings += counted(context)
    if "mariadb" in servers:
        findings += database("mariadb", lambda: mariadb.ask(context.run, MARIADB))
    told = {found["where"] for found in findings if found["kind"] != "unasked"}
    findings = [found for found in findings if found["kind"] != "unasked" or found["where"] not in told]
    findings += [found for app in cfg.apps.values() for found in environment(app, cfg, live, entries, context)]
    findings.sort(key=lambda found: WORSE[found["level"]])
    if options.json:
        print(json.dumps({"host": cfg.host, "time": now, "findings": findings}, indent=2))
    else:
        print(render(findings))
    return 1 if findings else 0


def finding(where, kind, what, level="warning", target="", path="/"):
    why, commands = advice(kind, target, path)
    return {"where": where, "kind": kind, "level": level, "what": what, "why": why, "do": commands}


def processes(entries):
    for entry in entries:
        name = "/".join(place(entry))
        incident = entry.get("incident") or {}
        if entry["health"] in UNWELL:
            kind = entry["health"] if entry["health"] in ("stopped", "failed") else incident.get("kind") or "failed"
            level = "warning" if entry["health"] == "stopped" else "critical"
            yield finding(name, kind, f"{entry['health']}: {entry['reason'] or entry['unit_state']}", level, name)
        elif (entry["restarts_24h"] or 0) >= RESTARTS:
            yield finding(name, "restarts", f"started again {entry['restarts_24h']} times within a day", "warning", name)


def resources(entries):
    for entry in entries:
        target = named(entry)
        if entry["level"] != "ok":
            yield finding(entry["resource"], entry["kind"], entry["reason"], entry["level"], target, folder(entry))


def failed_units(context, cfg):
    """Units that nobody declared here, such as a timer's job of the distribution."""
    try:
        said = context.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"])
    except SystemdError:
        return
    for line in said.splitlines():
        unit = (line.split() or [""])[0]
        if unit and unit not in cfg.units and unit not in {process.job for process in cfg.processes}:
            yield finding(unit, "unit", "it has failed", "warning", unit)


def taken(context, cfg):
    """Ports of apps that somebody else holds, as what a process has left behind does: the app cannot listen there."""
    owners = {port: app for app in cfg.apps.values() for ports in app.ports.values() for port in ports}
    listening = listeners.snapshot(f"{context.filesystem.rstrip('/')}/proc", set(owners)) if owners else []
    held = {item.port: item for item in listening if item.protocol == "tcp"}
    for port, item in sorted(held.items()):
        app = owners[port]
        if not any(fnmatch.fnmatch(item.unit, f"{app.name}-{process}@*.service") for process in app.ports):
            who = f"{item.name or 'somebody'} of {item.user}, process {' '.join(map(str, item.pids)) or 'unknown'}"
            yield finding(app.name, "port", f"its port {port} is held by {who}", "critical", app.name)


def unresolved(context, cfg):
    """Sites whose name this host does not find, in one finding: a resolver that is away finds none."""
    lost = []
    for site in cfg.sites:
        try:
            context.run(["getent", "ahosts", site.name], timeout=NAME_S)
        except SystemdError:
            lost.append(site.name)
        if len(lost) == 2:
            break  # where nothing is resolved, the others need not be waited for
    if lost:
        yield finding("names", "dns", f"no address is found for {' and '.join(lost)}", "warning", lost[0])


def database(name, ask):
    """What a database tells of its sessions."""
    try:
        found = ask()
    except DatabaseError as error:  # where it is away, its own watch has found that
        yield finding(name, "unasked", f"it cannot be asked: {error}", "critical", name)
        return
    if found["used"] >= NEARLY * found["limit"]:
        yield finding(name, "connections", f"{found['used']} of {found['limit']} connections are open", "critical", name)
    if found["idle"]:
        yield finding(name, "pool", f"sessions that wait for over {IDLE_S} s within a transaction: {found['idle']}", "warning", name)
    if found.get("waiting"):
        holders = ", ".join(map(str, found["holders"] or ())) or "gone"
        yield finding(
            name, "locks", f"sessions that wait for a lock: {found['waiting']}; who holds it: process {holders}", "critical", name
        )
    if found.get("readonly"):
        yield finding(name, "read-only", f"it takes no writes: {found['readonly']}", "critical", name)


def counted(context):
    try:
        return statements(postgres.ask(context.run, STATEMENTS))
    except DatabaseError:
        return ()  # nobody counts them here


def statements(found):
    for entry in found["statements"]:
        words, mean = " ".join(entry["query"].split()), entry["mean_ms"]
        if mean >= SLOW_MS and entry["calls"] >= SLOW_CALLS:
            yield finding(
                f"database {entry['app']}", "slow", f"{mean:.0f} ms each, {entry['calls']} times: {words}", "warning", entry["app"]
            )
        elif entry["calls"] >= OFTEN_CALLS and mean <= OFTEN_MS and entry["total_ms"] >= OFTEN_PART * found["total_ms"]:
            part = 100 * entry["total_ms"] / found["total_ms"]
            yield finding(
                f"database {entry['app']}", "n+1", f"{entry['calls']} calls, {part:.0f} % of all time: {words}", "warning", entry["app"]
            )


def environment(app, cfg, live, entries, context):
    """What an app would start with, where that is not what it runs with; and whether its packages fit, where something of it does not run."""
    try:
        chosen = [process for process in cfg.processes if process.app == app.name]
        for process in environments.looked_at(app, chosen, live, context):
            if process["differs"]:
                names = ", ".join(f"{name} ({word})" for name, word in process["differs"].items())
                yield finding(process["name"], "environment", f"a start would give it other variables: {names}", "warning", process["name"])
    except SystemdError:
        return  # nothing can be started, and more than that is told of it
    if any(entry.get("app") == app.name and entry["health"] in UNWELL and entry["health"] != "stopped" for entry in entries):
        for line in environments.broken(app, context) or ():
            yield finding(app.name, "packages", f"its packages do not fit: {line}", "warning", app.name)


def render(findings):
    if not findings:
        return "Nothing is wrong that could be seen."
    blocks = []
    for number, found in enumerate(findings, 1):
        lines = [f"{number}. {found['where']}: {found['what']}", f"   {found['why']}"]
        blocks.append("\n".join([*lines, *(f"   - {command}" for command in found["do"])]))
    return "\n\n".join(blocks)
