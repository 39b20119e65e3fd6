# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with this host, why it matters, and what to do, the worst first. Only looks; changes nothing.

Exit status: 0 nothing was found, 1 something was, 2 cannot tell.
"""

from __future__ import annotations

import json

from .. import mariadb, measure, postgres
from ..advice import advice, folder, named
from ..postgres import DatabaseError
from ..records import read_state
from ..units import SystemdError
from .status import collect, place, watching

RESTARTS = 5  # within a day
BACKLOG = 1000  # tasks
SLOW_MS, SLOW_CALLS = 1000, 5
OFTEN_CALLS, OFTEN_PART, OFTEN_MS = 100_000, 0.2, 2  # a short statement that is a fifth of all the time
IDLE_S = 60  # seconds in a transaction without doing anything
NEARLY = 0.8  # of a limit
UNWELL = ("failing", "down", "failed", "looping", "missing", "stopped")
WORSE = {"critical": 0, "warning": 1}
DATABASE = """
SELECT json_build_object(
  'used', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  'limit', current_setting('max_connections')::int,
  'idle', (SELECT count(*) FROM pg_stat_activity
    WHERE state LIKE 'idle in transaction%' AND now() - state_change > make_interval(secs => :idle)));
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
    live = context.systemd.show([unit for watched in cfg.watched for unit in dict.fromkeys((watched.unit, watched.job))])
    findings += processes(collect(cfg.watched, state, live, alive))
    findings += resources(state.get("resources", []) if alive else [])
    findings += failed_units(context, cfg)
    servers = {server.name for server in cfg.servers}
    if "postgresql" in servers:
        findings += database("postgresql", lambda: postgres.ask(context.run, DATABASE, idle=IDLE_S))
        findings += counted(context)
    if "mariadb" in servers:
        findings += database("mariadb", lambda: mariadb.ask(context.run, MARIADB))
    findings += [found for server in cfg.servers if server.name.startswith("redis/") for found in redis(server)]
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
        elif entry["kind"] == "stuck" and (entry.get("value") or 0) >= BACKLOG:
            yield finding(entry["resource"], "backlog", f"{entry['value']} tasks wait", "warning", target)


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


def database(name, ask):
    """What a database tells of its sessions."""
    try:
        found = ask()
    except DatabaseError:
        return  # that it is away is its own watch's finding
    if found["used"] >= NEARLY * found["limit"]:
        yield finding(name, "connections", f"{found['used']} of {found['limit']} connections are open", "critical", name)
    if found["idle"]:
        yield finding(name, "pool", f"{found['idle']} sessions wait for over {IDLE_S} s within a transaction", "warning", name)


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


def redis(server):
    try:
        info = measure.redis_info(server.probe.get("host", "127.0.0.1"), server.probe["port"])
    except OSError:
        return

    def number(name):
        return int(info[name]) if info.get(name, "").isdigit() else 0

    used, limit = number("connected_clients"), number("maxclients")
    if limit and used >= NEARLY * limit:
        yield finding(server.name, "redis-clients", f"{used} of {limit} clients are connected", "critical", server.name)
    used, limit = number("used_memory"), number("maxmemory")
    if limit and used >= NEARLY * limit and info.get("maxmemory_policy") == "noeviction":
        words = f"{100 * used / limit:.0f} % of its memory are in use, and it may not forget anything"
        yield finding(server.name, "redis-memory", words, "critical", server.name)


def render(findings):
    if not findings:
        return "Nothing is wrong that could be seen."
    blocks = []
    for number, found in enumerate(findings, 1):
        lines = [f"{number}. {found['where']}: {found['what']}", f"   {found['why']}"]
        blocks.append("\n".join([*lines, *(f"   - {command}" for command in found["do"])]))
    return "\n\n".join(blocks)
