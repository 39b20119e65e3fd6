# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity plan as text for people: host by host, then the connections, the warnings, and what is no longer declared."""

from __future__ import annotations

PROCESS_COLUMNS = ("process", "units", "at once", "MB each", "MB total", "pool", "files", "tasks")


def table(plan):
    """The plan as a list of lines, none longer than a wide terminal."""
    lines = [f"Capacity plan for {plan['users']} people online"]
    for name, host in plan["hosts"].items():
        lines += ["", *_host(name, host)]
    for database, connections in plan["connections"].items():
        lines += ["", *_connections(database, connections)]
    for app, connections in plan.get("external", {}).items():
        limit = f" of {connections['limit']}" if "limit" in connections else ""
        lines += ["", f"{app}, database elsewhere: {connections['needed']}{limit} connections"]
        lines += _indented(aligned([(name, str(number)) for name, number in connections["parts"].items() if number]))
    if plan["advice"]:
        lines += ["", "Warnings", *(f"  - {warning}" for warning in plan["advice"])]
    if plan.get("restarts"):
        lines += ["", "Because the plan has changed"]
        lines += [f"  - {host}: {sentence}" for host, sentences in plan["restarts"].items() for sentence in sentences]
    if plan.get("undeclared"):
        lines += ["", "No longer declared", *(f"  - {item}" for item in plan["undeclared"])]
    return lines


def aligned(rows):
    """Rows of texts as columns: the first to the left, all others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip() for row in rows]


def _host(name, host):
    memory = host["memory"]
    deploys = f"; deploys {host['deploy']}" if host["processes"] else ""
    tiers = " ".join(host["tiers"])
    yield f"{name}: {memory['total_mb']} MB, {host['cpus']} CPUs, {tiers}; swap {host['swap_mb']} MB{deploys}"
    yield from _indented(aligned(_memory_rows(memory)))
    rows = [
        _process_row(f"{app}.{process}", settings)
        for app, processes in host["processes"].items()
        for process, settings in processes.items()
    ]
    if rows:
        yield from _indented(aligned([PROCESS_COLUMNS, *rows]))
    for service in ("postgresql", "pgbouncer", "mariadb"):
        if service in host:
            yield from _settings(service, host[service])
    for app, purposes in host.get("redis", {}).items():
        for purpose, settings in purposes.items():
            yield from _settings(f"redis {app} {purpose}", settings)
    if "nginx" in host:
        yield from _settings("nginx", host["nginx"])
    for service, limits in host["services"].items():
        yield from _settings(f"unit of {service}", limits)
    yield from _settings("sysctl", host["sysctl"])


def _indented(lines):
    return [f"  {line}" for line in lines]


def _memory_rows(memory):
    """The sum, the largest part first."""
    parts = sorted(memory["parts"].items(), key=lambda part: (-part[1], part[0]))
    rows = [("reserve", memory["reserve_mb"]), *parts, ("free", memory["free_mb"]), ("total", memory["total_mb"])]
    return [("memory", "MB"), *((name, str(number)) for name, number in rows)]


def _process_row(name, settings):
    # Of a web process the concurrency is that of one worker; other workers are all that is counted.
    at_once = settings["concurrency"] * (settings["workers"] if "max_websockets" in settings else 1)
    return (
        name,
        str(settings["instances"]),
        str(at_once),
        f"{settings['memory_high_mb']}..{settings['memory_max_mb']}",
        str(settings["instances"] * settings["memory_max_mb"]),
        f"{settings['pool_size']}+{settings['max_overflow']}",
        str(settings["nofile"]),
        str(settings["tasks_max"]),
    )


def _settings(title, settings, width=120):
    """Settings in one paragraph, wrapped between them."""
    line = f"  {title}:"
    for name, value in settings.items():
        item = f" {name} {str(value).lower() if isinstance(value, bool) else value},"
        if len(line) + len(item) > width:
            yield line
            line = "   "
        line += item
    yield line.rstrip(",")


def _connections(database, connections):
    total = connections["needed"] + connections["reserved"]
    yield f"{database}: {total} of {connections['limit']} connections"
    rows = [(name, str(number)) for name, number in connections["parts"].items() if number]
    yield from _indented(aligned([*rows, ("reserved", str(connections["reserved"]))]))
    if connections.get("roles"):
        yield from _settings("at most", connections["roles"])
