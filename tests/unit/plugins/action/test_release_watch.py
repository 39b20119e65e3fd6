# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.action import release_watch as action
from ansible_collections.mainstay.vps.plugins.modules import release_watch as module
from run_action import run_action

LINE = b'a "GET / HTTP/2.0" 500 127.0.0.1:8002 500 0.010\n'
PROBE = {"name": "shop-web@8002.service", "kind": "http", "url": "http://127.0.0.1:1/health"}


def _run(arguments, path):
    """What the action tells, on a host that is this machine with a systemctl of its own."""
    (path / "systemctl").write_text("#!/bin/sh\nprintf '%s\\n' NRestarts=2 Id=shop-web@8002.service ActiveState=active\n")
    (path / "systemctl").chmod(0o755)
    return run_action(action, arguments, path=path)


@pytest.mark.parametrize(
    ("lines", "probes", "words"),
    [
        (0, [], ""),
        (20, [{**PROBE, "kind": "command", "command": ["true"]}], ""),  # of a port that nobody asks it says nothing
        (0, [PROBE], "While it was watched: shop-web@8002.service: http://127.0.0.1:1/health: connection refused"),
        (20, [PROBE], "20 of 20 requests got an error"),
    ],
)
def test_a_watch_goes_on_where_it_began(tmp_path, lines, probes, words):
    log = tmp_path / "access.log"
    log.write_bytes(LINE.replace(b"8002", b"1") * 40)
    since = _run({"begin": True, "probes": [PROBE], "access_log": str(log)}, tmp_path)["since"]
    assert (since["position"], since["restarts"]) == (log.stat().st_size, {PROBE["name"]: (2, "active")})
    with log.open("ab") as file:
        file.write(LINE.replace(b"8002", b"1") * lines)
    result = _run({"since": since, "seconds": 0, "probes": probes, "access_log": str(log)}, tmp_path)
    assert words in result.get("msg", "") and bool(result.get("failed")) == bool(words)
    assert (result["requests"], result["changed"]) == (lines if PROBE in probes else 0, False)


def test_the_documentation_and_the_code_name_the_same_options():
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert {name: (option["type"], option.get("default")) for name, option in documented.items()} == {
        name: (option["type"], option.get("default")) for name, option in action.OPTIONS.items()
    }
