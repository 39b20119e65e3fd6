# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles without a variable leave."""

from __future__ import annotations

testinfra_hosts = ["ansible://bare"]


def test_no_unit_has_failed(host):
    assert host.check_output("systemctl list-units --state=failed --plain --no-legend") == ""


def test_nothing_listens_for_sites_that_nobody_declared(host):
    assert host.check_output("ss --no-header --listening --tcp --numeric 'sport = :80 or sport = :443'") == ""


def test_the_servers_run(host):
    for unit in ("nginx", "postgresql", "pgbouncer", "mariadb", "mainstay-agent", "nftables", "fail2ban"):
        assert host.service(unit).is_running, unit
