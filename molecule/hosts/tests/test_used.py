# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that somebody has used before, and whose servers the stack was allowed to take over: what was there is there."""

from __future__ import annotations

import json


def test_the_stack_serves(host):
    ready = host.check_output("curl --silent --insecure https://localhost/ready")
    assert json.loads(ready)["status"] == "healthy"


def test_the_databases_are_there(host):
    assert host.check_output("runuser -u postgres -- psql -XAtqc 'SELECT title FROM pages' wiki") == "Home"


def test_the_site_is_served(host):
    assert host.check_output("curl --silent http://127.0.0.1:8081/") == "The wiki."


def test_the_data_of_redis_is_kept_and_the_server_rests(host):
    assert host.file("/var/lib/redis/dump.rdb").size > 0
    assert host.run("systemctl is-active redis-server.service").stdout.strip() in ("inactive", "failed")
    assert "wiki" not in host.run("redis-cli -p 6379 --scan").stdout
