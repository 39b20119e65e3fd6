# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of an authority, here pebble: issued and renewed without a restart, and what becomes of sites that cannot have one."""

from __future__ import annotations

import json
import re

import yaml
from plays import ROOT, play, words

VISITOR = ROOT / "tests/load/flood.py"
RENEWAL = "/etc/letsencrypt/renewal/mainstay-acme.test.conf"
VISIT = "curl --silent --insecure --noproxy '*' --output /dev/null --write-out '%{{http_code}} %{{redirect_url}}' {}"


def _served(host, name):
    """Issuer, serial number and names of the certificate on the wire."""
    return host.check_output(
        f"openssl s_client -connect 127.0.0.1:443 -servername {name} </dev/null 2>/dev/null | "
        "openssl x509 -noout -issuer -serial -ext subjectAltName"
    )


def _with(*names):
    """The scenario's variables with further sites of the authority's."""
    declared = yaml.safe_load((ROOT / "molecule/node/group_vars/all/stack.yml").read_text())["mainstay_apps"]
    declared["chat"]["source"]["path"] = str(ROOT / "examples/chat")
    for name in names:
        declared["chat"]["sites"][name] = {"tls": "letsencrypt", "routes": {"/": {"process": "web"}}}
    return {"mainstay_apps": declared}


def test_the_site_and_its_alias_are_served_with_the_authority_s_certificate(host):
    for name in ("acme.test", "www.acme.test"):
        assert re.search(r"(?s)Pebble.*DNS:acme.test, DNS:www.acme.test", _served(host, name))
    assert host.check_output(VISIT.format("https://acme.test/")).startswith("200")
    for url in ("http://acme.test/a?b=1", "http://www.acme.test/a?b=1", "https://www.acme.test/a?b=1"):
        assert host.check_output(VISIT.format(f"'{url}'")) == "301 https://acme.test/a?b=1"


def test_challenges_are_root_s_and_leave_nothing_behind(host):
    assert host.check_output("stat --format='%a %U' /var/lib/mainstay/acme/.well-known/acme-challenge") == "755 root"
    assert host.check_output("ls /var/lib/mainstay/acme/.well-known/acme-challenge") == ""


def test_a_renewal_reaches_nginx_without_a_restart_and_no_visitor_notices(host):
    assert host.service("certbot.timer").is_enabled and host.service("certbot.timer").is_running
    lifetime = re.search(r"renew_before_expiry = (\d+) hours", host.file(RENEWAL).content_string)
    assert int(lifetime[1]) * 3 // 24 in range(5 * 365, 5 * 366 + 2)  # pebble's are valid for five years
    before, pid = _served(host, "acme.test"), host.check_output("systemctl show --property=MainPID nginx.service")
    host.check_output(f"sed -i 's/^renew_before_expiry.*/renew_before_expiry = 20 years/' {RENEWAL}")
    host.check_output(f"python3 -c \"open('/run/flood.py', 'wb').write(bytes.fromhex('{VISITOR.read_bytes().hex()}'))\"")
    visit = "python3 /run/flood.py visit --target 127.0.0.1 --source 127.0.0.1 --name acme.test --rate 20 --seconds 20"
    host.check_output(f"systemd-run --quiet --unit=visitor --collect --property=StandardOutput=truncate:/run/visitor.json {visit}")
    host.check_output("systemctl start certbot.service")
    host.check_output("while systemctl is-active --quiet visitor; do sleep 0.5; done")
    found = json.loads(host.file("/run/visitor.json").content_string)
    assert found["failed"] == [] and found["visits"] > 100, found
    assert "Pebble" in _served(host, "acme.test") and _served(host, "acme.test") != before
    assert host.check_output("systemctl show --property=MainPID nginx.service") == pid
    assert lifetime[0] in host.file(RENEWAL).content_string


def test_a_name_that_leads_elsewhere_is_told_and_holds_back_no_other(host):
    run = play("playbooks/deploy.yml", "--tags", "certificates,nginx", variables=_with("second.test", "shop.caa.test", "wrong.test"))
    assert run.returncode != 0
    assert "The A record of wrong.test, 192.0.2.9, is no address of this host" in words(run)
    assert "The CAA records of caa.test let other.example give out certificates for shop.caa.test, and not pebble.test." in words(run)
    assert 'caa.test. CAA 0 issue "pebble.test"' in words(run)
    assert "Pebble" in _served(host, "second.test")
    assert re.search(r"(?s)issuer=CN ?= ?wrong.test.*DNS:wrong.test", _served(host, "wrong.test"))


def test_an_authority_that_is_down_is_told_and_everything_is_served(host):
    host.check_output("echo '127.0.0.1 third.test' >> /etc/hosts")
    variables = {**_with("third.test"), "certificates_acme_server": "https://localhost:14001/dir"}
    run = play("playbooks/deploy.yml", "--tags", "certificates,nginx", variables=variables)
    assert run.returncode != 0 and "Nothing answers at certificates_acme_server" in words(run)
    assert "Pebble" in _served(host, "acme.test")
    assert re.search(r"(?s)issuer=CN ?= ?third.test.*DNS:third.test", _served(host, "third.test"))
    for name in ("acme.test", "third.test"):
        assert host.check_output(VISIT.format(f"https://{name}/")).startswith("200")
    back = play("playbooks/deploy.yml", "--tags", "certificates,nginx")
    assert back.returncode == 0, back.stdout[-4000:]


def test_an_authority_that_has_had_enough_is_asked_once_and_told_in_its_own_words(host):
    program = (ROOT / "molecule/node/tests/busy_authority.py").read_bytes().hex()
    host.check_output(f"python3 -c \"open('/run/busy.py', 'wb').write(bytes.fromhex('{program}'))\"")
    files = "/etc/pebble/cert.pem /etc/pebble/key.pem /run/asked"
    host.check_output(f"systemd-run --quiet --unit=busy --collect python3 /run/busy.py 14002 {files}")
    host.check_output("echo '127.0.0.1 fourth.test' >> /etc/hosts")
    variables = {**_with("fourth.test"), "certificates_acme_server": "https://localhost:14002/dir"}
    run = play("playbooks/deploy.yml", "--tags", "certificates,nginx", variables=variables)
    host.check_output("systemctl stop busy")
    assert run.returncode != 0, run.stdout[-3000:]
    assert re.search(
        r"fourth.test: no certificate of https://localhost:14002/dir. rateLimited: .*retry after 2030-01-02.*Wait as long", words(run)
    )
    # Of the one site that has none: acme.test, which has another authority's, is asked for, too.
    assert host.check_output("sort /run/asked | uniq -c").split() == ["2", "order"]
    assert "Pebble" in _served(host, "acme.test")
    assert host.check_output(VISIT.format("https://fourth.test/")).startswith("200")
    back = play("playbooks/deploy.yml", "--tags", "certificates,nginx")
    assert back.returncode == 0 and "Pebble" in _served(host, "acme.test"), back.stdout[-4000:]


def test_certificates_of_undeclared_sites_are_deleted_and_those_of_others_stay(host):
    """The tests before have taken second.test out again."""
    live = "/etc/letsencrypt/live"
    assert host.check_output(f"ls -d {live}/mainstay-*") == f"{live}/mainstay-acme.test"
    assert host.check_output("ls /etc/mainstay/tls | grep -c second.test || true") == "0"
    host.check_output("cd /etc/letsencrypt && for part in live archive; do cp -a $part/mainstay-acme.test $part/foreign.test; done")
    foreign = f"sed 's,mainstay-acme.test,foreign.test,' {RENEWAL} >/etc/letsencrypt/renewal/foreign.test.conf"
    host.check_output(foreign)
    added = play("playbooks/deploy.yml", "--tags", "certificates,nginx", variables=_with("second.test"))
    assert added.returncode == 0 and host.file(f"{live}/mainstay-second.test").exists, added.stdout[-3000:]
    predicted = play("playbooks/deploy.yml", "--tags", "certificates,nginx", "--check", "--diff")
    assert predicted.returncode == 0 and "of a site that is no longer declared" in words(predicted)
    kept = play("playbooks/deploy.yml", "--tags", "certificates")  # nginx still serves it
    assert kept.returncode == 0 and "certificate of second.test is served" in words(kept), kept.stdout[-3000:]
    assert "Pebble" in _served(host, "second.test")
    for changed in (True, False):
        run = play("playbooks/deploy.yml", "--tags", "certificates,nginx")
        assert run.returncode == 0 and ("changed=0 " not in words(run)) is changed, run.stdout[-3000:]
        assert set(host.check_output(f"cd {live} && ls -d */").split()) == {"foreign.test/", "mainstay-acme.test/"}
    host.check_output("rm -rf /etc/letsencrypt/*/foreign.test /etc/letsencrypt/renewal/foreign.test.conf")
    host.check_output("nginx -t")
