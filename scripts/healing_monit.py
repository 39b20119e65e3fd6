# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same faults with monit in the agent's place."""

from __future__ import annotations

import time

from healing_faults import AGENT, OTHER, Healer, attack, used

# Of its manual: an HTTP check of each web process, a regular expression for what has no file with its pid, "5 restarts within 5 cycles".
MONIT = """set daemon {cycle}
set log syslog
set pidfile /run/monit.pid
set idfile /var/lib/monit/id
set statefile /var/lib/monit/state
set httpd unixsocket /run/monit.sock allow localhost
"""


def monit_check(item):
    unit = item["unit"]
    acts = (
        f'  start program = "/usr/bin/systemctl start {unit}"\n  stop program = "/usr/bin/systemctl stop {unit}"\n'
        "  if 5 restarts within 5 cycles then unmonitor\n"
    )
    name = unit.removesuffix(".service").replace("@", "-")
    if "name" in item:
        port, protocol = item["probe"]["port"], {"postgresql": "pgsql", "nginx": None}.get(item["name"], "redis")
        main = {"postgresql": 'pidfile "/run/postgresql/17-main.pid"', "nginx": 'pidfile "/run/nginx.pid"'}.get(
            item["name"], f'matching "redis-server 127.0.0.1:{port}"'
        )
        test = f"protocol {protocol} " if protocol else ""
        return f"check process {name} {main}\n{acts}  if failed host 127.0.0.1 port {port} {test}then restart\n"
    matching = {
        "web": f"uvicorn shop.main:app .*--port {item['instance']}$",
        "beat": "shop.tasks beat",
        "worker": "shop.tasks worker",
        "mailer": "shop.mailer",
    }
    check = f'check process {name} matching "{matching[item["process"]]}"\n{acts}'
    if item["process"] == "web":
        check += f'  if failed host 127.0.0.1 port {item["instance"]} protocol http with http headers [Host: localhost] request "/health" then restart\n'
    if item["probe"] and item["probe"]["kind"] == "heartbeat":
        check += f"check file {name}-heartbeat path {item['probe']['file']}\n{acts}  if timestamp > {item['probe']['max_age']} seconds then restart\n"
    return check


def beside_monit(host, visitor, faults, servers, cycle=5):
    """The same faults of the same host, with the agent away and monit in its place, which starts again also what has ended."""
    items = [item for kind in ("processes", "servers") for item in host.do("declared")[kind]]
    host.sh("DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends monit >/dev/null")
    host.sh(f"systemctl stop monit; systemctl mask --runtime --now {AGENT}")
    try:
        for item in items:
            folder = f"/run/systemd/system/{item['unit']}.d"
            host.sh(f"mkdir -p {folder} && printf '[Service]\\nRestart=no\\n' > {folder}/zz-prove.conf")
        host.sh("systemctl daemon-reload")
        text = MONIT.format(cycle=cycle) + "".join(map(monit_check, items))
        host.sh(f"cat > /etc/monit/monitrc <<'END'\n{text}END\nchmod 600 /etc/monit/monitrc; monit -t && systemctl start monit")
        time.sleep(20)
        healer = Healer(host, visitor, OTHER, patience=60)
        found = {"version": host.sh("monit --version | sed -n 's/.*version //p'"), "configuration": text, **attack(healer, faults)}
        found["servers"] = attack(healer, servers)
        first = host.do("cost", unit=OTHER)
        time.sleep(60)
        found["at_rest"] = used(first, host.do("cost", unit=OTHER))
        return found
    finally:
        host.sh("systemctl stop monit; systemctl disable monit 2>/dev/null", check=False)
        host.sh("rm -f /run/systemd/system/*/zz-prove.conf; systemctl daemon-reload", check=False)
        for item in items:
            host.do("heal", unit=item["unit"])
        host.sh(f"systemctl unmask --runtime {AGENT}; systemctl start {AGENT}", check=False)
