# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""health_probe as a task, against servers on loopback."""

from __future__ import annotations

import http.server
import threading

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.mainstay.vps.plugins.action import health_probe as action
from ansible_collections.mainstay.vps.plugins.module_utils.probe import declared
from ansible_collections.mainstay.vps.plugins.modules import health_probe
from run_action import run_action


def run(check=False, **options):
    return {"failed": False, **run_action(action, options, check)}


@pytest.fixture
def url():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 500)
            self.end_headers()
            self.wfile.write(b'{"status": "healthy", "told": "' + self.headers.get("Authorization", "").encode() + b'"}')

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


RETURNED = set(yaml.safe_load(health_probe.RETURN)) - {"results"}


@pytest.mark.parametrize("check", [False, True])
def test_healthy(url, check):
    result = run(check=check, url=f"{url}/health", json={"status": "healthy"}, healthy_threshold=2, interval=0.1)
    assert (result["failed"], result["changed"], result["healthy"], result["attempts"]) == (False, False, True, 2)
    assert set(result) >= RETURNED


def test_unhealthy_fails_with_every_key(url):
    result = run(url=f"{url}/broken", deadline=0, name="shop")
    assert (result["failed"], result["changed"], result["status"], result["cause"]) == (True, False, 500, "status")
    assert result["msg"].startswith(f"shop ({url}/broken) is not healthy after 1 attempt: status 500, expected 2xx: ")
    assert set(result) >= RETURNED


def test_unhealthy_need_not_fail(closed_port):
    result = run(kind="tcp", port=closed_port, fail=False, unhealthy_threshold=2, interval=0.1)
    assert (result["failed"], result["healthy"], result["attempts"]) == (False, False, 2)
    assert result["reasons"] == ["connection refused"]


def test_many(url, closed_port):
    good = {"name": "web", "url": f"{url}/health"}
    bad = {"name": "queue", "kind": "redis", "port": closed_port, "deadline": 0}
    result = run(probes=[good, bad])
    assert result["failed"]
    assert result["msg"] == f"queue (127.0.0.1:{closed_port}) is not healthy after 1 attempt: connection refused"
    assert [item["healthy"] for item in result["results"]] == [True, False]
    assert all(set(item) >= RETURNED - {"changed", "seconds"} for item in result["results"])
    result = run(probes=[good, good])
    assert (result["failed"], result["healthy"], len(result["results"])) == (False, True, 2)
    assert run(probes=[])["healthy"] is True


def test_secrets_stay_secret(url, closed_port):
    result = run(
        probes=[
            {
                "url": f"{url}/broken",
                "headers": {"Authorization": "Bearer tok-98765"},
                "deadline": 0,
            },
            {"url": f"{url}/broken".replace("//", "//jane:sesame1@"), "deadline": 0},
            {"kind": "redis", "port": closed_port, "password": "opensesame2", "deadline": 0},
        ]
    )
    assert result["failed"]
    for secret in ("tok-98765", "sesame1", "amFuZTpzZXNhbWUx", "opensesame2"):
        assert secret not in str(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "kind http needs url"),
        ({"kind": "ftp"}, "value of kind must be one of"),
        ({"url": "http://a/", "probes": []}, "probes takes no url beside it"),
        ({"deadline": 5, "probes": []}, "probes takes no deadline beside it"),
        ({"probes": [{"url": "http://a/", "retries": 3}]}, "Unsupported parameters"),
        ({"url": "http://a/", "body_regex": "("}, "not a regular expression"),
        ({"kind": "tcp", "port": 1, "status": ["fine"]}, "status 'fine'"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(AnsibleActionFail) as refused:
        run(**options)
    assert message in str(refused.value)


def test_the_documentation_the_action_and_the_core_know_the_same_options():
    options = yaml.safe_load(health_probe.DOCUMENTATION)["options"]
    assert set(options) - {"probes", "fail"} == set(action.PROBE) == set(declared.DEFAULTS)
    assert options["probes"]["suboptions"].keys() == action.PROBE.keys()
    for name, option in action.PROBE.items():
        assert option.get("default", None) == declared.DEFAULTS[name], name
