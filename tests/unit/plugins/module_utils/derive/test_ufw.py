# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ufw is asked for; the texts are what `ufw show added` of ufw 0.36.2 printed."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.ufw import ufw_changes

SAID = """Added user rules (see 'ufw status' for running firewall):
ufw allow 443/tcp comment 'mainstay: web sites'
ufw allow from 10.0.0.0/8 to any port 5432 proto tcp comment 'mainstay: db'
ufw allow 8000:8010/udp
ufw allow OpenSSH
ufw deny 25
ufw limit 2222/tcp
ufw allow 80,443/tcp
ufw allow from 2001:db8::/32 to any port 8000:8010 proto tcp comment 'mainstay: r'
"""
WEB = {"port": 443, "comment": "web sites", "per_source": {"connections": 100}}
DB = {"port": 5432, "from": ["10.0.0.0/8"]}
GONE = {"from_ip": "2001:db8::/32", "port": "8000:8010", "proto": "tcp", "comment": "mainstay: r", "delete": True}


def rule(port, source="any", proto="tcp", comment="declared"):
    return {"from_ip": source, "port": port, "proto": proto, "comment": f"mainstay: {comment}"}


@pytest.mark.parametrize(
    ("rules", "ssh", "said", "changes"),
    [
        ([], ([22],), "Added user rules (see 'ufw status' for running firewall):\n(None)\n", [rule("22", comment="ssh")]),
        ([WEB], ([22], ["192.0.2.7", "2001:db8::1"]), "",
         [rule("22", "192.0.2.7/32", comment="ssh"), rule("22", "2001:db8::1/128", comment="ssh"), rule("443", comment="web sites")]),
        ([WEB, DB, {"port": "8000-8010", "protocol": "udp"}], ([22],), SAID, [rule("22", comment="ssh"), GONE]),
        ([WEB, DB, {"port": "8000-8010", "from": "2001:db8::/32"}], ([2222],), SAID, [rule("2222", comment="ssh")]),
    ],
)  # fmt: skip
def test_what_is_missing_is_added_and_what_was_ours_goes(rules, ssh, said, changes):
    assert ufw_changes(rules, *ssh, said=said) == changes


def test_a_rule_that_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match=r"firewall_rules\[0\].port"):
        ufw_changes([{"port": "80; reboot"}], [22])
