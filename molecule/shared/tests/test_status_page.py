# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page tells what is so, only to who has its password, and what is remembered for it outlives damage and a full disk."""

from __future__ import annotations

import base64
import os
import re
import time
from pathlib import Path

from plays import only_on

UNIT, FILE = "mainstay-history.service", "/var/lib/mainstay/agent/history/samples.sqlite"
URL = "http://127.0.0.1:8444/"
slow = only_on("trixie", "one release is enough for what happens to a file")
COUNT = "import sqlite3; print(sqlite3.connect('file:%s?mode=ro', uri=True).execute('SELECT count(*) FROM samples').fetchone()[0])"


def _password():
    return (Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent / "secrets/mainstay/STATUS_PASSWORD.txt").read_text().strip()


def _asked(host, path="", password=None):
    """(status, body) of the page, asked from the host itself."""
    token = base64.b64encode(f"status:{password}".encode()).decode()
    header = f"Authorization: Basic {token}" if password is not None else "Accept: */*"
    said = host.check_output("curl --silent --path-as-is --header %s --write-out %s %s", header, "\n%{http_code}", URL + path)
    body, _newline, status = said.rpartition("\n")
    return int(status), body


def _fresh(host):
    host.check_output(f"systemctl start {UNIT}")
    status, body = _asked(host, password=_password())
    assert status == 200
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", body, flags=re.DOTALL).split()), body


def _journal(host, since):
    return host.check_output(f"journalctl --quiet --no-pager --output=cat --since=@{since} --unit={UNIT} --priority=warning")


def _now(host):
    time.sleep(1)
    return host.check_output("date +%s")


def _samples(host):
    return int(host.check_output("python3 -c %s", COUNT % FILE))


def test_it_tells_what_is_so(host):
    words, page = _fresh(host)
    for name in ("shop/web/", "shop/mailer/1", "postgresql", "redis/shop-cache", "nginx", "disk /", "localhost"):
        assert name in words, name
    assert "All is well" in words or "to look at" in words or "wrong" in words
    assert "<script" not in page and not re.search(r"(src|href)=.(?!https?://localhost/|data:,)", page)
    assert "succeeded" in words and "Could not be read" not in words
    assert _journal(host, _now(host)) == ""


def test_it_is_only_for_who_has_the_password(host):
    for password in (None, "wrong", ""):
        assert _asked(host, password=password)[0] == 401
    for path in ("index.html.new", "../mainstay/state.json", "%2e%2e/mainstay/state.json"):
        assert _asked(host, path, _password())[0] in (400, 404)
    listening = host.check_output("ss --no-header --listening --tcp --numeric 'sport = :8444'")
    assert re.findall(r"(\S+):8444", listening) == ["127.0.0.1"]
    kept = host.file("/etc/nginx/mainstay/status.htpasswd")
    assert (kept.mode, kept.user, kept.group) == (0o640, "root", "www-data") and _password() not in kept.content_string


def test_only_nginx_and_the_agent_reach_its_file(host):
    folder, page = host.file("/run/mainstay-page"), host.file("/run/mainstay-page/index.html")
    assert (folder.mode, folder.user, folder.group) == (0o750, "mainstay", "www-data")
    assert (page.mode, page.user, page.group) == (0o640, "mainstay", "www-data")
    for user in ("shop", "nobody"):
        assert host.run(f"setpriv --reuid={user} --regid=nogroup --clear-groups cat /run/mainstay-page/index.html").rc != 0
        assert host.run(f"setpriv --reuid={user} --regid=nogroup --clear-groups cat {FILE}").rc != 0
    assert host.run("setpriv --reuid=www-data --regid=www-data --clear-groups touch /run/mainstay-page/x").rc != 0


def test_it_is_made_anew_each_minute_and_costs_little(host):
    assert host.service("mainstay-history.timer").is_running and host.service("mainstay-history.timer").is_enabled
    before = _samples(host)
    host.check_output(f"systemctl start {UNIT}")
    assert _samples(host) > before
    program = (
        "import resource, sys; sys.path.insert(0, '/usr/local/lib/mainstay'); from mainstay import remember; assert not remember.main(); "
    )
    program += "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_maxrss, used.ru_utime + used.ru_stime)"
    groups = "--property=Group=www-data --property=SupplementaryGroups=mainstay"
    said = host.check_output(f"systemd-run --quiet --wait --pipe --property=User=mainstay {groups} python3 -c %s", program)
    resident, seconds = map(float, said.split())
    assert resident < 32 * 1024 and seconds < 0.6, said  # 21 MB and 0.12 s were measured: 0.2 % of one core


@slow
def test_a_damaged_file_is_set_aside(host):
    host.check_output("systemctl stop mainstay-history.timer")
    try:
        since = _now(host)
        host.check_output(f"head -c 100000 /dev/urandom > {FILE}")
        words, _page = _fresh(host)
        said = _journal(host, since).splitlines()
        assert len(said) == 1 and f"it is now {FILE}.bad.1, and a new one begins" in said[0]
        assert _samples(host) > 5 and "shop/web/" in words
        since = _now(host)
        _fresh(host)
        assert _journal(host, since) == ""
    finally:
        host.check_output(f"rm -f {FILE}.bad.*; systemctl start mainstay-history.timer")


@slow
def test_a_full_disk_loses_samples_and_the_page_goes_on(host):
    folder = os.path.dirname(FILE)
    host.check_output("systemctl stop mainstay-history.timer")
    host.check_output(f"mount -t tmpfs -o size=2m,uid=mainstay,mode=700 none {folder}")
    try:
        since = _now(host)
        for _time in range(3):
            host.check_output(f"dd if=/dev/zero of={folder}/ballast bs=4k 2>/dev/null || true; chown mainstay {folder}/ballast")
            words, _page = _fresh(host)
            assert "shop/web/" in words
        assert "what was measured cannot be" in _journal(host, since)
        host.check_output(f"rm {folder}/ballast")
        since = _now(host)
        _fresh(host)
        assert _journal(host, since) == "" and _samples(host) > 5
    finally:
        host.check_output(f"umount {folder}; systemctl start mainstay-history.timer")


@slow
def test_a_kill_leaves_the_page_and_a_sound_file(host):
    _fresh(host)
    for delay in (0.05, 0.15, 0.3, 0.45, 0.6, 0.8):
        host.run(f"systemctl start --no-block {UNIT}; sleep {delay}; systemctl kill --signal=KILL {UNIT}; sleep 0.2")
        status, body = _asked(host, password=_password())
        assert status == 200 and body.endswith("</html>\n")
    since = _now(host)
    host.run(f"systemctl reset-failed {UNIT}")
    _fresh(host)
    assert _journal(host, since) == ""


def test_what_is_stopped_is_told(host):
    host.check_output("mainstay stop shop/mailer")
    try:
        deadline = time.monotonic() + 30
        while "shop/mailer/1 ■ stopped" not in (words := _fresh(host)[0]):
            assert time.monotonic() < deadline, words
            time.sleep(2)
        assert "mainstay start shop/mailer/1" in words
    finally:
        host.check_output("mainstay start shop/mailer")
