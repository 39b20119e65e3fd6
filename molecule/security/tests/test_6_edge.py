# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx between visitors and an app that dies, is slow or streams: it repeats nothing, delays nothing and switches nothing off."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from plays import ROOT, play

SITE = "https://edge.example.com"
CURL = "curl --silent --show-error --insecure --max-time 20 --resolve edge.example.com:443:127.0.0.1"
STACK = ROOT / "molecule/security/group_vars/all/stack.yml"


@pytest.fixture
def ask(host):
    """Ask the site; the status, the head in small letters, and the body."""

    def asked(path, *options, curl=CURL, site=SITE):
        said = host.check_output(f"{curl} --include {shlex.join(options)} {shlex.quote(site + path)}").replace("\r\n", "\n")
        head, _empty, body = said.removeprefix("HTTP/1.1 100 Continue\n\n").partition("\n\n")
        return int(head.split()[1]), head.lower(), body

    return asked


@pytest.fixture
def outside(host):
    """curl as a client that is not the host itself: from its address in the network, to which no exemption applies."""
    address = host.check_output("hostname -I").split()[0]
    return CURL.replace("127.0.0.1", address)


@pytest.fixture
def requests(host):
    """What has reached the app since the test began."""
    host.check_output("rm -f /var/lib/edge/requests")

    def seen():
        return host.run("cat /var/lib/edge/requests").stdout.splitlines()

    return seen


@pytest.fixture
def well(host):
    """Wait until both instances answer again, as systemd starts them."""

    def wait():
        for port in re.findall(r"server 127.0.0.1:(83..) max_fails=2", host.file("/etc/nginx/mainstay/upstreams.conf").content_string):
            host.check_output(f"timeout 20 sh -c 'until curl --silent --fail --max-time 2 127.0.0.1:{port}/health; do sleep 0.2; done'")

    wait()
    yield wait
    wait()


@pytest.mark.parametrize(("method", "path"), [("PUT", "/die"), ("DELETE", "/api/die"), ("POST", "/die"), ("MKCOL", "/echo")])
def test_a_request_that_changes_something_is_sent_once(ask, requests, well, method, path):
    status, _head, _body = ask(path, "--request", method)
    assert status in (501, 502)
    assert len(requests()) == (0 if method == "MKCOL" else 1)  # the library behind the app does not know MKCOL


def test_a_put_with_a_body_arrives_whole(ask):
    status, _head, body = ask("/echo", "--request", "PUT", "--data", "x=1")
    assert (status, json.loads(body)["headers"]["content-length"]) == (200, "3")


def test_a_slow_answer_is_asked_for_once_and_ends_with_the_route_s_time(ask, requests, well):
    status, _head, _body = ask("/api/slow?seconds=5")
    assert (status, requests()) == (504, ["GET /slow?seconds=5"])
    assert ask("/slow?seconds=5")[0] == 200


def test_requests_that_no_instance_can_answer_close_the_site_for_nobody(ask, well):
    assert {ask("/silence")[0] for _number in range(6)} == {502}
    assert {ask("/echo")[0] for _number in range(10)} == {200}


def test_headers_of_30_kb_pass_both_ways(ask):
    status, head, _body = ask("/cookies?size=30000", "--header", "X-Token: " + "b" * 30000)
    assert status == 200 and len(head) > 30000


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_events_arrive_as_they_are_sent(host, protocol):
    script = f'{CURL} {protocol} --no-buffer {SITE}/live/stream | while read -r line; do [ -n "$line" ] && date +%s.%N; done; true'
    times = [float(line) for line in host.check_output(script).splitlines()]
    assert len(times) == 6 and times[-1] - times[0] > 1.2, times


@pytest.mark.parametrize(("path", "least", "most"), [("/live/upload", 0.8, 5), ("/upload", 0, 0.5)])
def test_an_upload_waits_for_its_end_unless_declared(host, path, least, most):
    client = f"""
import socket, ssl, time
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with context.wrap_socket(socket.create_connection(("127.0.0.1", 443)), server_hostname="edge.example.com") as stream:
    stream.sendall(b"POST {path} HTTP/1.1\\r\\nHost: edge.example.com\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nab")
    time.sleep(1)
    stream.sendall(b"cd")
    print(stream.makefile("rb").read().decode().rpartition("\\n")[2])
"""
    seconds = json.loads(host.check_output(f"python3 -c {shlex.quote(client)}"))["seconds"]
    assert least <= seconds <= most


def test_the_plan_s_numbers_of_connections_are_in_use(host):
    plan = json.loads(host.file("/etc/mainstay/plan.json").content_string)["plan"]
    waiting = {
        line.split()[2] for line in host.check_output("ss --no-header --listening --tcp '( sport = :80 or sport = :443 )'").splitlines()
    }
    assert waiting == {str(min(plan["sysctl"]["net.core.somaxconn"], int(host.check_output("sysctl --values net.core.somaxconn"))))}
    shown = host.check_output("nginx -T 2>/dev/null")
    for line in (
        f"keepalive_timeout {plan['nginx']['keepalive_timeout_s']}s;",
        f"keepalive_requests {plan['nginx']['keepalive_requests']};",
        f"keepalive {plan['nginx']['keepalive_connections']};",
    ):
        assert line in shown, line


def test_a_trusted_proxy_is_believed_and_nobody_else(ask, outside):
    forged = ("--header", "X-Forwarded-For: 203.0.113.9, 203.0.113.10", "--header", "X-Forwarded-Proto: http")

    def seen():
        said = json.loads(ask("/echo", *forged, curl=outside)[2])["headers"]
        return said["x-forwarded-for"], said["x-real-ip"], said["x-forwarded-proto"]

    address = outside.rpartition(":")[2]
    assert seen() == (address, address, "https")
    trusted = play("playbooks/site.yml", "--tags", "nginx", variables={"mainstay_trusted_proxies": [address]})
    try:
        assert trusted.returncode == 0, trusted.stdout[-3000:]
        assert seen() == ("203.0.113.10", "203.0.113.10", "http")
    finally:
        assert play("playbooks/site.yml", "--tags", "nginx").returncode == 0
    assert seen() == (address, address, "https")


def test_a_prefix_is_stripped_and_told(ask):
    for path, seen in (("/api", "/"), ("/api/", "/"), ("/api/a%20b?q=1", "/a%20b?q=1")):
        status, _head, body = ask(path)
        said = json.loads(body)
        assert (status, said["path"], said["headers"]["x-forwarded-prefix"]) == (200, seen, "/api")


def test_a_prefix_is_a_whole_word(ask):
    assert json.loads(ask("/apixyz")[2])["path"] == "/apixyz"
    assert ask("/docsify")[0] == 200


def test_what_is_closed_is_closed(ask, outside):
    assert ask("/docs")[0] == ask("/docs/x")[0] == 404
    assert (ask("/internal/x")[0], ask("/internal/x", curl=outside)[0]) == (200, 403)
    assert ask("/internal/x", "--request", "PUT", curl=outside)[0] == 403


def test_a_route_s_limits_hold_for_every_method(ask, outside):
    assert ask("/api/echo", "--data", "x" * 2000)[0] == ask("/api/echo", "--request", "PUT", "--data", "x" * 2000)[0] == 413
    statuses = [ask("/login", "--request", method, curl=outside)[0] for method in ("POST", "PUT", "POST", "PUT")]
    assert (statuses[0], statuses[2:]) == (200, [429, 429])


def test_directives_of_one_s_own_stand_beside_the_others(ask):
    status, head, body = ask("/robots.txt")
    assert (status, body) == (200, "} of a text") and "content-security-policy: default-src 'self'" in head
    assert "set-cookie" in ask("/cookies?size=10")[1]
    status, head, _body = ask("/gone/cookies?size=10")
    assert status == 200 and "set-cookie" not in head and "content-security-policy: default-src 'self'" in head
    assert (ask("/gone/x", "--request", "DELETE")[0], ask("/gone/x", "--request", "PUT")[0]) == (410, 200)


def test_a_header_that_an_app_sends_itself_is_not_sent_twice(ask):
    for path, said in (("/framed", ["no-referrer", "deny"]), ("/echo", ["strict-origin-when-cross-origin", "sameorigin"])):
        headers = sorted(re.findall("^(?:referrer-policy|x-content-type-options|x-frame-options): (.*)$", ask(path)[1], re.MULTILINE))
        assert headers == sorted([*said, "nosniff"]), path


def test_a_websocket_may_be_silent_for_an_hour_and_an_answer_for_a_minute(host):
    shown = host.check_output("nginx -T 2>/dev/null")
    for place, seconds in (("/ws/", 3600), ("/live/", 60), ("/api/", 3)):
        location = re.search(rf"^    location {place} {{$.*?^    }}$", shown, re.MULTILINE | re.DOTALL)[0]
        assert f"proxy_read_timeout {seconds}s;" in location and f"proxy_send_timeout {seconds}s;" in location, place


def test_connections_to_an_app_are_kept(host):
    """Twenty requests of one client, which one worker of nginx passes on to two instances."""
    said = host.check_output(f"{CURL} --write-out '\\n' '{SITE}/echo?number=[1-20]'").splitlines()
    assert len(said) == 20 and len({tuple(json.loads(line)["client"]) for line in said}) <= 2


def test_systemd_is_told_when_an_instance_listens(host):
    shown = host.check_output("systemctl show --property=Type,StatusText 'edge-web@*'").split("\n\n")
    assert len(shown) == 2 and all(sorted(unit.splitlines()) == ["StatusText=It listens.", "Type=notify"] for unit in shown)


def test_a_page_is_asked_for_again_and_its_parts_are_kept(ask):
    for path, kept in (
        ("/app/", "no-cache"),
        ("/app/index.html", "no-cache"),
        ("/app/some/where", "no-cache"),
        ("/app/plain.js", "max-age=1800"),
        ("/app/assets/app-3f2a1b9c.js", "max-age=315360000 immutable"),
    ):
        status, head, _body = ask(path)
        assert (status, " ".join(re.findall("^cache-control: (.*)$", head, re.MULTILINE))) == (200, kept), path
        assert "content-security-policy: default-src 'self'" in head and "x-content-type-options: nosniff" in head
    assert ask("/app/assets/none-3f2a1b9c.js")[0] == ask("/app/.git/config.js")[0] == ask("/.before/app/plain.js")[0] == 404


def test_an_app_s_own_debian_packages_are_there(host):
    assert host.package("tree").is_installed


def test_who_meets_a_site_without_its_app_is_told_in_his_own_language(host, ask, well):
    host.check_output("mainstay stop edge")
    try:
        page, program = ask("/"), ask("/", "--header", "Accept: application/json")
        sent = ask("/", "--request", "PUT", "--data", "x")
    finally:
        host.check_output("mainstay start edge")
        well()
    for status, head, body in (page, sent):
        assert status in (502, 504) and "<h1>Back in a moment</h1>" in body
        assert "retry-after: 30" in head and "content-type: text/html" in head and "content-security-policy:" in head
    assert program[0] in (502, 504) and json.loads(program[2])["error"] == "unavailable" and "application/json" in program[1]
    assert ask("/.mainstay-sorry.html")[0] == 404


def test_a_site_under_maintenance_is_open_to_the_host_and_its_health_to_all(host, ask, outside):
    address = host.check_output("hostname -I").split()[0]
    stranger = f"curl --silent --show-error --insecure --max-time 20 --resolve closed.example.com:443:{address}"
    for path in ("/", "/app/", "/anything"):
        status, head, body = ask(path, curl=stranger, site="https://closed.example.com")
        assert (status, "retry-after: 30" in head, "Back in a moment" in body) == (503, True, True), path
    assert ask("/health", curl=stranger, site="https://closed.example.com")[0] == 200
    own = stranger.replace(address, "127.0.0.1")
    assert ask("/", curl=own, site="https://closed.example.com")[0] == 200
    assert ask("/", curl=outside)[0] == 200  # the other site of the app


LOCKED = CURL.replace("edge.", "locked.")
# What is behind a password, and whose. The last four are where nginx looks a second time: for a method, a file, a page, another's route.
BEHIND = [
    ("anna", "/echo", ()),
    ("anna", "/own-file", ()),
    ("anna", "/app/", ()),
    ("ben", "/ben/plain.js", ()),
    ("anna", "/echo", ("--request", "PUT")),
    ("anna", "/app/assets/app-3f2a1b9c.js", ()),
    ("anna", "/app/some/where", ()),
    ("anna", "/openly", ()),
]


def kept(user):
    """Where the control node keeps somebody's password: beside the inventory, a file or a folder."""
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"])
    return (inventory if inventory.is_dir() else inventory.parent) / f"secrets/edge/auth-{user}.txt"


@pytest.fixture
def password():
    return lambda user: kept(user).read_text().strip()


@pytest.mark.parametrize(("user", "path", "options"), BEHIND, ids=[f"{path} {' '.join(options)}" for _user, path, options in BEHIND])
def test_a_site_asks_for_a_password_on_every_way(ask, requests, password, user, path, options):
    def status(*login):
        return ask(path, *options, *login, curl=LOCKED, site="https://locked.example.com")[0]

    other = "ben" if user == "anna" else "anna"
    assert status() == status("--user", f"{user}:wrong") == status("--user", f"{other}:{password(other)}") == 401
    assert requests() == []
    assert status("--user", f"{user}:{password(user)}") == 200


def test_who_is_refused_sees_what_all_answers_have(ask):
    status, head, _body = ask("/echo", curl=LOCKED, site="https://locked.example.com")
    assert status == 401 and 'www-authenticate: basic realm="locked.example.com"' in head and "x-content-type-options: nosniff" in head


def test_a_route_asks_its_own_people_or_nobody(ask, password):
    for user in ("anna", "ben"):
        assert ask("/staff/x", "--user", f"{user}:{password(user)}")[0] == 200
        assert ask("/staff/x", "--request", "DELETE", "--user", f"{user}:wrong")[0] == 401
    assert ask("/staff/x")[0] == ask("/staff")[0] == 401 and ask("/echo")[0] == 200
    assert ask("/open/x", curl=LOCKED, site="https://locked.example.com")[0] == 200
    assert ask("/docs", curl=LOCKED, site="https://locked.example.com")[0] == 404


def test_an_app_never_learns_a_password(ask, password):
    for options in ((), ("--request", "PUT")):
        said = json.loads(ask("/staff/x", *options, "--user", f"anna:{password('anna')}")[2])
        assert "authorization" not in said["headers"]
    said = json.loads(ask("/echo", "--header", "Authorization: Bearer x")[2])
    assert said["headers"]["authorization"] == "Bearer x"  # a token of the app's own, where nginx asks for nothing


def test_a_locked_site_without_its_app_says_so_to_those_who_may_enter_alone(host, ask, well, password):
    host.check_output("mainstay stop edge")
    try:
        inside = ask("/", "--user", f"anna:{password('anna')}", curl=LOCKED, site="https://locked.example.com")
        outside = ask("/", curl=LOCKED, site="https://locked.example.com")
    finally:
        host.check_output("mainstay start edge")
        well()
    assert inside[0] in (502, 504) and "Back in a moment" in inside[2] and outside[0] == 401


def test_of_passwords_the_host_has_hashes_that_nginx_alone_reads(host, password):
    folder = "/etc/nginx/mainstay/auth"
    found = host.check_output(f"cd {folder} && stat --format='%n %a %U %G' *").splitlines()
    assert found == [
        "edge.example.com%2Fstaff 640 root www-data",
        "locked.example.com 640 root www-data",
        "locked.example.com%2Fben 640 root www-data",
    ]
    for user in ("anna", "ben"):
        assert len(password(user)) == 24
        places = "/etc /var/log/nginx /var/lib/mainstay /run/systemd /srv"  # this test's own commands are in the journal
        assert host.run(f"grep --recursive --fixed-strings --files-with-matches -e {password(user)} {places}").stdout == ""
    assert host.run("runuser -u edge -- cat /etc/nginx/mainstay/auth/locked.example.com").rc != 0
    assert "auth" not in host.file("/etc/mainstay/edge/env").content_string


def test_a_password_that_is_replaced_serves_at_once_and_is_shown_nowhere(ask, password):
    was = password("ben")
    kept("ben").write_text("ben's own: a password\n")
    try:
        run = play("playbooks/site.yml", "--tags", "nginx", "--diff", "-vvv")
        assert run.returncode == 0, run.stdout[-3000:]
        assert "edge.example.com%2Fstaff" in run.stdout and "ben's own" not in run.stdout + run.stderr
        assert not re.search(r"\$6\$|rounds=1000", run.stdout + run.stderr)
        assert ask("/staff/x", "--user", "ben:ben's own: a password")[0] == 200
        assert ask("/staff/x", "--user", f"ben:{was}")[0] == 401
    finally:
        kept("ben").write_text(f"{was}\n")
        assert play("playbooks/site.yml", "--tags", "nginx").returncode == 0
    assert ask("/staff/x", "--user", f"ben:{was}")[0] == 200


def test_requests_are_logged_as_json_where_that_is_asked_for(host, ask):
    """Whatever a client sends; and what reads the log reads this one, too (test_fail2ban.py, test_watch.py)."""
    run = play("playbooks/site.yml", "--tags", "nginx", variables={"nginx_access_log_format": "json"})
    try:
        assert run.returncode == 0, run.stdout[-3000:]
        said = json.loads(ask('/echo?a="b\\c', "--header", 'User-Agent: "},{\\x"\t\xff', "--user", "a b:c")[2])["headers"]
        host.run(f"{CURL} --http1.0 --header Host: {SITE}/docs")  # a connection that ends without an answer
        lines = [json.loads(line) for line in host.check_output("tail -n 2 /var/log/nginx/access.log").splitlines()]
    finally:
        assert play("playbooks/site.yml", "--tags", "nginx").returncode == 0
    first, second = lines
    assert (first["client"], first["status"], first["method"], first["user"], first["host"]) == (
        "127.0.0.1", 200, "GET", "a b", "edge.example.com",
    )  # fmt: skip
    assert first["request_id"] == said["x-request-id"] and len(first["request_id"]) == 32
    assert first["upstream"].startswith("127.0.0.1:83") and (first["upstream_status"], first["protocol"]) == ("200", "HTTP/2.0")
    assert 0 <= float(first["upstream_seconds"]) <= first["seconds"] + 0.001
    assert second["upstream"] == "" and second["status"] == 444


def test_brotli_where_asked_for_sends_what_a_build_has_compressed_and_compresses_the_rest(host, ask):
    """And follows no link that an app has made, as gzip's and the plain file do not."""
    media = "/srv/mole/shared/media"

    def sent(name, encodings="gzip, br"):
        curl = CURL.replace("edge.", "mole.")
        url = f"https://mole.example.com/media/{name}"
        head = host.check_output(f"{curl} --dump-header - --output /tmp/sent --header 'Accept-Encoding: {encodings}' {url}").lower()
        return re.findall(r"^(?:content-encoding|vary): (.+?)\r?$", head, re.MULTILINE), host.check_output(
            "cat --show-nonprinting /tmp/sent"
        )

    host.check_output(
        f"cd {media} && seq 999 >large.css && echo 1 >own.css && echo 2 >own.css.br && echo 1 >led.css && ln -s /etc/hostname led.css.br"
    )
    run = play("playbooks/site.yml", "--tags", "nginx", variables={"nginx_brotli": "all"})
    try:
        assert run.returncode == 0, run.stdout[-3000:]
        assert sorted(sent("large.css")[0]) == ["accept-encoding", "br"]
        assert sorted(sent("large.css", "gzip")[0]) == ["accept-encoding", "gzip"]
        assert sent("own.css")[1] == "2" and sent("own.css", "gzip")[1] == "1"
        assert host.check_output("cat /etc/hostname") not in sent("led.css")[1]
    finally:
        host.check_output(f"rm {media}/*.css {media}/*.br")
        assert play("playbooks/site.yml", "--tags", "nginx").returncode == 0


def test_a_wildcard_is_answered_as_it_is_and_takes_nobody_s_name(host, ask):
    anna, deep, other = "anna.edge.example.com", "a.b.edge.example.com", "edge.example.org"
    for name, answered in ((anna, True), (deep, True), (other, False)):
        plain = host.run(f"curl --silent --include --max-time 5 --header 'Host: {name}' 'http://127.0.0.1/x?y=1'").stdout
        assert (f"Location: https://{name}/x?y=1" in plain) is answered, plain
        curl = CURL.replace("edge.example.com", name)
        secure = host.run(f"{curl} https://{name}/echo")
        assert (secure.rc == 0) is answered, secure
        assert not answered or json.loads(secure.stdout)["headers"]["host"] == name
    said = host.check_output(f"openssl s_client -connect 127.0.0.1:443 -servername {anna} -verify_hostname {anna} </dev/null 2>&1")
    assert "hostname mismatch" not in said.lower() and "self-signed certificate" in said
    assert ask("/echo")[0] == 200


def test_nginx_tells_its_figures_to_the_host_alone(host, outside):
    assert host.check_output("curl --silent --max-time 5 http://127.0.0.80/figures").startswith("Active connections: ")
    assert host.check_output("curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.80/") == "404"
    address = outside.rpartition(":")[2]
    for name in ("edge.example.com", "127.0.0.80", "_"):
        said = host.run(f"curl --silent --max-time 5 --header 'Host: {name}' http://{address}/figures").stdout
        assert "Active connections" not in said, name
    before = json.loads(host.run("mainstay plan --json").stdout)["nginx"]
    host.check_output("for i in 1 2 3; do curl --silent --max-time 5 http://127.0.0.80/figures; done")
    after = json.loads(host.run("mainstay plan --json").stdout)["nginx"]
    assert after["requests"] >= before["requests"] + 3 and after["refused"] == 0


def test_who_guesses_at_a_site_s_password_is_counted(host, outside):
    """By name: a visitor whose browser has none yet is asked for one, and counts for nothing."""
    counted = 'fail2ban-client status nginx-auth | grep "Total failed" | tr -dc 0-9'
    before = int(host.check_output(counted))
    curl = outside.replace("edge.", "locked.")
    host.check_output(f"{curl} https://locked.example.com/echo")
    host.check_output(f"{curl} --user anna:guess https://locked.example.com/echo")
    line = host.check_output("tail -n 1 /var/log/nginx/access.log")
    assert " - anna [" in line and " 401 " in line
    # The host's own address is never banned, so its failures are not counted; a stranger's line is.
    forged = line.replace(line.split()[0], "203.0.113.77", 1)
    host.check_output(f"echo {shlex.quote(forged)} >>/var/log/nginx/access.log")
    host.check_output(f"timeout 20 sh -c 'until [ $({counted}) -gt {before} ]; do sleep 0.5; done'")
    assert int(host.check_output(counted)) == before + 1


OF_AN_APP, OF_NGINX = "127.0.0.1:8200 {0} 0.001", "- - -"
SAID = '203.0.113.77 - anna [{now}] "POST / HTTP/1.1" {0} 5 "-" "\\x22 - - -" '


@pytest.mark.parametrize(("jail", "status"), [("nginx-auth", 401), ("nginx-flood", 429)])
def test_an_app_bans_no_visitor_by_what_it_answers(host, jail, status):
    """A ban is for all sites: what nginx has answered itself counts, and an app's word does where it is the only one."""
    counted = f'fail2ban-client status {jail} | grep "Total failed" | tr -dc 0-9'
    before, now = int(host.check_output(counted)), host.check_output("date '+%d/%b/%Y:%H:%M:%S %z'")
    for whose in (OF_AN_APP, OF_NGINX):  # in this order: when the second has counted, the first has been read
        host.check_output("echo %s >>/var/log/nginx/access.log", (SAID + whose).format(status, now=now))
    host.check_output(f"timeout 20 sh -c 'until [ $({counted}) -gt {before} ]; do sleep 0.5; done'")
    assert int(host.check_output(counted)) == before + 1


def test_a_process_that_asks_for_more_time_to_end_gets_none(host, ask):
    """Else no stop, no deploy and no reboot would come to its end: systemd sets no limit to what a process may ask for."""
    assert ask("/stay")[2] == "stays"
    try:
        assert host.run("timeout --kill-after=1 40 mainstay stop edge/web").rc == 0
        assert host.run("systemctl is-active 'edge-web@*'").stdout.strip() in ("", "inactive")
    finally:
        host.run("systemctl kill --signal=KILL 'edge-web@*'; mainstay start edge/web")


def test_a_page_still_open_finds_its_parts_after_a_deploy(ask, tmp_path):
    kept = ask("/keep")[2]
    declared = yaml.safe_load(STACK.read_text())["mainstay_apps"]
    for name in declared:
        declared[name]["source"]["path"] = str((ROOT / "molecule" / declared[name]["source"]["path"]).resolve())
    shutil.copytree(ROOT / "molecule/security/edge", tmp_path / "edge")
    (tmp_path / "edge/dist/assets/app-3f2a1b9c.js").rename(tmp_path / "edge/dist/assets/app-9c1b2a3f.js")
    declared["edge"]["source"]["path"] = str(tmp_path / "edge")
    run = play("playbooks/deploy.yml", "--extra-vars", "mainstay_app=edge", variables={"mainstay_apps": declared})
    assert run.returncode == 0, run.stdout[-4000:]
    assert len(ask("/keep")[2]) == len(kept) + 1  # what the release before wrote is there
    for name in ("app-3f2a1b9c.js", "app-9c1b2a3f.js"):
        assert ask(f"/app/assets/{name}")[0] == 200, name
