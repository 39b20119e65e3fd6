# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify.yml over a host on which much is broken at once: each is named with its remedy; and over the same host when it is well again."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import yaml
from plays import ROOT, play, words

TLS = "/etc/mainstay/tls/localhost"
LIMIT = "/run/systemd/system/shop-mailer@1.service.d"
LISTEN = "import socket, time; s = socket.create_server(('0.0.0.0', 9955)); time.sleep(300)"
BREAK = f"""
set -e
cp -p /etc/mainstay/shop/env /run/verify.env
echo 'API_DEBUG="true"' >>/etc/mainstay/shop/env
chmod 0644 /etc/mainstay/shop/env
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj /CN=x -addext subjectAltName=DNS:elsewhere.example \
  -keyout /run/verify.key -out /run/verify.crt 2>/dev/null
cp -P {TLS}.crt /run/verify.crt.link; cp -P {TLS}.key /run/verify.key.link
ln -sfn /run/verify.crt {TLS}.crt; ln -sfn /run/verify.key {TLS}.key
chmod 0640 /run/verify.key
systemctl reload nginx
mkdir -p {LIMIT}; printf '[Service]\\nMemoryMax=900M\\n' >{LIMIT}/verify.conf
systemctl daemon-reload
systemctl stop apt-daily.timer
systemd-run --quiet --unit=verify-foreign python3 -c "{LISTEN}"
"""
HEAL = f"""
cp -p /run/verify.env /etc/mainstay/shop/env
cp -P --remove-destination /run/verify.crt.link {TLS}.crt; cp -P --remove-destination /run/verify.key.link {TLS}.key
systemctl reload nginx
rm -rf {LIMIT}
systemctl daemon-reload
systemctl start apt-daily.timer
systemctl stop verify-foreign.service
rm -f /run/verify.*
"""
OTHERS = "other tests of this host make them"
WAIVED = {"backup": "this scenario makes none", "errors": OTHERS, "failed-units": OTHERS, "restarts": OTHERS}
# The disk is the machine's, whatever else is on it.
LIMITS = {"disk_percent": 99, "inodes_free": 1}


def _verify(folder, **variables):
    return play("playbooks/verify.yml", variables={"mainstay_verify_report": str(folder), "mainstay_verify_limits": LIMITS, **variables})


def _verdicts(folder):
    found = json.loads((folder / "verification.json").read_text())
    return {check["id"]: check for host in found["hosts"].values() for check in host["checks"]}


@pytest.fixture
def broken(host):
    try:
        host.check_output(BREAK)
        yield
    finally:
        host.check_output(HEAL)


@pytest.mark.skipif(os.environ.get("MOLECULE_SCENARIO_NAME") == "trixie", reason="as on Debian 12")
def test_each_fault_is_named_with_its_remedy_and_no_secret_is_made(host, broken, tmp_path):
    declared = yaml.safe_load((ROOT / "inventory.example/group_vars/all.yml").read_text())["mainstay_apps"]
    declared["shop"]["secrets"].append("NEW_TOKEN")
    before = host.check_output("find /etc -xdev -newermt '-1 hour' -type f -printf '%p %T@\\n' | sort")
    run = _verify(tmp_path, mainstay_apps=declared, mainstay_verify_waived=WAIVED)
    assert run.returncode == 2, run.stdout
    told, checks = words(run), _verdicts(tmp_path)
    for name, reason, remedy in (
        ("environment-files", "/etc/mainstay/shop/env is 0644 root:shop instead of 0640", "--tags backend"),
        ("debug", "API_DEBUG is on", "false"),
        ("secret-files", "localhost.key is 0640", "replace"),
        ("secrets", "shop/NEW_TOKEN is missing", "rotate.yml"),
        ("secrets-kept", "NEW_TOKEN.txt is missing", "site.yml"),
        ("certificates", "lasts 2 days", "certificates.yml"),
        ("certificates", "is not for localhost", "certificates.yml"),
        ("unit-limits", "shop-mailer@1.service: MemoryMax is 900M instead of", "systemctl revert"),
        ("listeners", "tcp 0.0.0.0:9955 by python3", "Bind it to 127.0.0.1"),
        ("timers", "apt-daily.timer is inactive", "systemctl enable --now"),
    ):
        assert (checks[name]["verdict"], reason in checks[name]["reason"]) == ("failed", True), checks[name]
        assert remedy in checks[name]["remedy"] and reason in told, name
    assert host.check_output("find /etc -xdev -newermt '-1 hour' -type f -printf '%p %T@\\n' | sort") == before
    kept = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent / "secrets/shop"
    assert kept.is_dir() and not (kept / "NEW_TOKEN.txt").exists()


def test_a_host_that_is_well_passes_bears_a_little_load_and_heals(host, tmp_path):
    """The limits are those of a busy machine; what it can bear is told by docs/verification.md."""
    little = {"requests": 500, "concurrency": 20, "warmup": 20, "mean_ms": 5000, "p99_ms": 10000}
    run = _verify(
        tmp_path,
        mainstay_verify_waived=WAIVED,
        mainstay_verify_load=True,
        mainstay_verify_load_limits=little,
        mainstay_verify_websocket_limits={"connections": 20, "seconds": 2, "p99_ms": 10000},
        mainstay_verify_alert=False,
        mainstay_verify_chaos=True,
        mainstay_verify_chaos_options={"units": ["shop-web", "shop-mailer"], "faults": ["kill"]},
    )
    assert run.returncode == 0, run.stdout
    checks = _verdicts(tmp_path)
    assert checks["stability"]["seen"].startswith("2 of 2 faults healed"), checks["stability"]
    (chaos,) = [entry["chaos"] for entry in json.loads((tmp_path / "verification.json").read_text())["hosts"].values()]
    assert chaos["down_s"]["https://localhost/"] > 0 and chaos["latency_ms"]["https://localhost/"]
    assert host.run("systemctl is-active mainstay-chaos-heal.timer").stdout.strip() == "inactive"
    assert {name for name, check in checks.items() if check["verdict"] == "skipped"} <= {
        "dns",
        "alert-delivery",
        "availability",  # of less than a day
        "drift",
        "backup-drill",
        "recovery",
        *WAIVED,
    }
    assert checks["load"]["seen"].startswith("https://localhost/health: 100 % of 500")
    assert "wss://localhost/ws: 100 % of 20 kept" in checks["load"]["seen"]
    assert checks["websockets"]["verdict"] == checks["beat"]["verdict"] == "ok"
    evidence = json.loads((tmp_path / "evidence.json").read_text())
    (told,) = [entry["evidence"] for entry in evidence["hosts"].values()]
    assert told["units"]["shop-worker@1.service"]["exposure"] <= 3 and told["versions"]["nginx"] and told["deploys"]
    secret = host.check_output("sed -n 's/^SECRET_KEY=\"\\(.*\\)\"$/\\1/p' /etc/mainstay/shop/env")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["evidence.json", "verification.html", "verification.json"]
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and secret and secret not in file.read_text()
