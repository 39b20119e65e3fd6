# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a host, each put to the server or the kernel that knows."""

from __future__ import annotations

import json

# The app's own way to the database, with its role and password, over TCP; for a shell on the host.
URL = "$(sed -n 's/^DATABASE_URL=\"\\(.*\\)\"$/\\1/p' /etc/mainstay/shop/env)"


def sql(host, query, database="shop"):
    """What the administrator's psql prints."""
    return host.check_output("cd / && runuser -u postgres -- psql -XAt -d %s -c %s", database, query)


def pgbouncer(host, command):
    """The rows of a command of PgBouncer's console, which lets in whoever runs it."""
    psql = "psql -XAq -P footer=off -h /run/postgresql -p 6432 -U pgbouncer pgbouncer"
    head, *rows = (line.split("|") for line in host.check_output(f"cd / && runuser -u postgres -- {psql} -c %s", command).splitlines())
    return [dict(zip(head, row)) for row in rows]


def redis_info(host, port):
    lines = host.check_output(f"redis-cli -p {port} info").splitlines()
    return dict(line.strip().split(":", 1) for line in lines if ":" in line)


def show(host, names, *properties):
    """What systemd says of units, by unit, in one command."""
    text = host.check_output(f"systemctl show --property={','.join(['Id', *properties])} {' '.join(names)}")
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return {block["Id"]: block for block in blocks}


def units(host):
    """The units of each process of the app."""
    found = {}
    for item in json.loads(host.file("/etc/mainstay/agent.json").content_string)["processes"]:
        found.setdefault(item["process"], []).append(item["unit"])
    return found


def pids(host):
    """The main process of each unit that nothing may end while another one does."""
    names = ["nginx.service", "redis-server@shop-cache.service", "redis-server@shop-queue.service"]
    names += [name for each in units(host).values() for name in each]
    return {name: unit["MainPID"] for name, unit in show(host, names, "MainPID").items()}


def servers(host):
    """What changes when PostgreSQL or Redis starts anew."""
    return [
        sql(host, "SELECT pg_postmaster_start_time()"),
        *(redis_info(host, port)["run_id"] for port in (6379, 6380)),
    ]


def killed_for_memory(host):
    """How often the kernel has killed a process of this host because the host itself had no more, where it counts that."""
    own = "$(systemctl show --property=ControlGroup --value -- -.slice)"
    files = f"/sys/fs/cgroup{own}/memory.events /sys/fs/cgroup/memory{own}/memory.oom_control"
    return host.run(f"cat {files} 2>/dev/null | sed -n 's/^oom_kill //p'").stdout.strip()


def inject(host, unit, fault):
    """Break a web process on purpose, in one of the ways that the example has (examples/shop/shop/faults.py)."""
    port = unit.partition("@")[2].partition(".")[0]
    host.check_output(f"curl --silent --show-error --fail --max-time 10 -X POST 'http://127.0.0.1:{port}/faults/{fault}'")
