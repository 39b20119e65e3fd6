# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How exposed the servers are, by systemd's own measure, and that what they have to do works in their sandboxes."""

from __future__ import annotations

import re

MOST = 3.5
SERVERS = ("fail2ban", "mariadb", "nginx", "pgbouncer", "postgresql@", "redis-server@")


def test_servers_are_exposed_no_more_than_they_must(host):
    running = host.check_output("systemctl list-units --type=service --state=running --plain --no-legend | cut -d' ' -f1").split()
    units = [unit for unit in running if unit.startswith(SERVERS)]
    assert units
    said = host.check_output(f"systemd-analyze security --no-pager {' '.join(units)} | grep 'Overall exposure'")
    found = {unit: float(value) for unit, value in re.findall(r"for (\S+): (\d+\.\d)", said)}
    assert set(found) == set(units), said
    assert {unit: value for unit, value in found.items() if value > MOST} == {}


def test_the_sandbox_is_what_the_processes_have(host):
    """A unit's file says nothing of a process that was started before it."""
    for unit in ("nginx.service", "fail2ban.service"):
        status = host.check_output(f"cat /proc/$(systemctl show --property=MainPID --value {unit})/status")
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE), unit
        assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE), unit


def test_postgresql_compiles_and_writes_where_operators_let_it(host):
    """A JIT makes code; COPY and tablespaces lead out of PostgreSQL's own folders."""
    if not host.run("systemctl is-active --quiet 'postgresql@*'").succeeded:
        return
    folder = "/srv/mainstay-tablespace"
    statements = [
        "SET jit_above_cost = 0; SELECT sum(number * 2.5) FROM generate_series(1, 1000) AS number",
        f"CREATE TABLESPACE elsewhere LOCATION '{folder}'",
        "CREATE TABLE there TABLESPACE elsewhere AS SELECT * FROM generate_series(1, 1000) AS number",
        "COPY there TO '/tmp/mainstay-copy'",
        "DROP TABLE there",
        "DROP TABLESPACE elsewhere",
    ]
    told = " ".join(f'-c "{statement}"' for statement in statements)
    host.check_output(f"install -d -o postgres {folder}")
    try:
        host.check_output(f"cd / && runuser -u postgres -- psql -qAt -v ON_ERROR_STOP=1 {told}")
        assert host.check_output("wc -l </tmp/mainstay-copy") == "1000"
    finally:
        host.check_output(f"rm -rf {folder} /tmp/mainstay-copy")


def test_nginx_opens_its_logs_anew(host):
    host.check_output("mv /var/log/nginx/access.log /var/log/nginx/access.log.moved && kill -USR1 $(cat /run/nginx.pid)")
    host.check_output("timeout 10 sh -c 'until [ -e /var/log/nginx/access.log ]; do sleep 0.1; done'")
    host.check_output(
        "cat /var/log/nginx/access.log >>/var/log/nginx/access.log.moved; mv /var/log/nginx/access.log.moved /var/log/nginx/access.log"
    )
    host.check_output("kill -USR1 $(cat /run/nginx.pid)")
