# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role says of a variable that it cannot use, in a playbook that uses nothing else of the collection."""

from __future__ import annotations

import pytest
from plays import changes, play, words

SITE = {"name": "a.example.com", "max_body": "1M", "locations": [], "rate_limt": {"rate": "1r/s"}}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"nginx_sites": [SITE]}, "nginx_sites.rate_limt: there is no such key; did you mean rate_limit?"),
        ({"firewall_backend": "iptables"}, "firewall_backend: iptables cannot be used; did you mean nftables? Use one of nftables, ufw."),
        (
            {"monitoring_alerts": [{"webhok": "x"}]},
            "monitoring_alerts[0]: '********' cannot be used. Name exactly one of webhook, ntfy, email, apprise.",
        ),
        # Of a default, which a filter makes of it.
        ({"mainstay_apps": {"shop": {"proceses": {}}}}, "mainstay_apps.shop.proceses: {} cannot be used. Did you mean 'processes'?"),
    ],
)
def test_a_role_alone_says_it_in_a_sentence_before_it_changes_anything(variables, sentence):
    run = play("molecule/roles/bare.yml", "--limit=molecule-roles-bare-trixie", variables=variables)
    assert run.returncode != 0 and changes(run) == 0, run.stdout[-4000:]
    assert f"[ERROR]: Task failed: {sentence}" in words(run) or f"[ERROR]: Task failed: Action failed: {sentence}" in words(run), words(run)
    assert "Finalization" not in run.stdout + run.stderr and "plugin" not in run.stderr
