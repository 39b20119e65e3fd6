# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module itself: what it is asked for comes in as one text, which may hold a secret and is shown nowhere."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.mainstay.vps.plugins.modules import host_evidence, http_load, websocket_load
from ansible_collections.mainstay.vps.tests.unit.run_module import run_module

SECRET = "Bearer kZ8sV0b1Qy7Xn3LwT5rJ2mGh4PdFa6Ce9"


def test_a_probe_s_secret_is_in_nothing_that_is_returned(tmp_path):
    probe = {
        "kind": "http",
        "name": "shop",
        "url": "http://127.0.0.1:9/health",
        "headers": {"Authorization": SECRET},
        "deadline": 1,
        "interval": 1,
    }
    look = base64.b64encode(json.dumps({"probes": [probe]}).encode()).decode()
    returned = run_module(host_evidence, {"look": look}, tmp_path, check=True)
    assert returned["found"]["probes"][0]["healthy"] is False and returned["found"]["probes"][0]["name"] == "shop"
    assert SECRET not in returned["_text"] and look not in returned["_text"]


def test_what_is_no_mapping_is_refused(tmp_path):
    assert "no mapping as JSON in base64" in run_module(host_evidence, {"look": "x"}, tmp_path)["msg"]


@pytest.mark.parametrize("module, scheme", [(http_load, "https"), (websocket_load, "wss")])
def test_load_is_sent_to_a_site_alone_and_not_in_check_mode(module, scheme, tmp_path):
    assert "cannot be used" in run_module(module, {"url": "ftp://x/"}, tmp_path)["msg"]
    assert run_module(module, {"url": f"{scheme}://localhost/"}, tmp_path, check=True)["skipped"]
