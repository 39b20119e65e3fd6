# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who attacks is banned and let in again, and the control node never is: by real failed logins and real requests."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import strangers

GUESSER, FLOODER, BYSTANDER = "198.51.100.50", "198.51.100.51", "198.51.100.52"
GUESSER_IPV6 = "2001:db8:f::50"
TABLE = "nft list table inet mainstay-bans"
OPTIONS = "-o BatchMode=yes -o ConnectTimeout=5 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PubkeyAuthentication=no"
on_trixie = pytest.mark.skipif(os.environ.get("MOLECULE_SCENARIO_NAME", "trixie") == "default", reason="the same for any release")
JSON = '{{"time":"{iso}","client":"%s","status":%s,"method":"%s","user":"%s","host":"x","agent":"%s"}}'
OLD = "[28/Nov/2020:18:31:22 +0000] "
# Lines as nginx writes them, in both formats and in one file, and whom they ban when they come often.
LINES = {
    JSON % ("203.0.113.13", 401, "POST", "", OLD): "203.0.113.13",
    JSON % ("2001:db8:e::13", 401, "GET", OLD, OLD): "2001:db8:e::13",
    JSON % ("203.0.113.14", 401, "GET", "", "x"): None,
    JSON % ("203.0.113.15", 200, "POST", "bob", '\\"client\\":\\"203.0.113.16\\",\\"status\\":401,\\"method\\":\\"POST\\",'): None,
    '203.0.113.9 - - [{now}] "POST /login HTTP/1.1" 401 5 "-" "x" - - -': "203.0.113.9",
    '203.0.113.10 - bob [x] [{now}] "GET / HTTP/1.1" 401 5 "-" "x" - - -': "203.0.113.10",
    '2001:db8:e::9 - a [28/Nov/2020:18:31:22 +0000] \\x22 [{now}] "GET / HTTP/1.1" 401 5 "-" "x" - - -': "2001:db8:e::9",
    '203.0.113.11 - - [{now}] "GET /poll HTTP/1.1" 401 5 "-" "x" - - -': None,
    '203.0.113.12 - - [{now}] "GET / HTTP/1.1" 200 401 "POST / 401" "\\x22POST / \\x22 401" - - -': None,
    '203.0.113.17 - - [{now}] "POST /login HTTP/1.1" 401 5 "-" "x" 127.0.0.1:8000 401 0.001': "203.0.113.17",  # of the only app
    '127.0.0.1 - - [{now}] "POST /login HTTP/1.1" 401 5 "-" "x" - - -': None,
}


@pytest.fixture(scope="module")
def run(host):
    with strangers.stranger(host) as run:
        addresses = [f"{address}/24" for address in (GUESSER, FLOODER, BYSTANDER)] + [f"{GUESSER_IPV6}/64 nodad"]
        host.check_output("; ".join(f"ip -n {strangers.NAME} address add dev mainstay-out {address}" for address in addresses))
        yield run
        host.check_output("fail2ban-client unban --all")


def drops(host, address, seconds=15):
    """Whether the kernel drops what comes from an address, or does it within so many seconds."""
    return host.run(f"timeout {seconds} sh -c 'until {TABLE} 2>/dev/null | grep -qwF {address}; do sleep 0.2; done'").rc == 0


def reaches(run, source, port, target=strangers.HOST):
    program = f"import socket; socket.create_connection(('{target}', {port}), 2, ('{source}', 0))"
    return run(f'python3 -c "{program}"').rc == 0


@pytest.mark.parametrize(
    ("source", "target", "user", "times"),
    [(GUESSER, strangers.HOST, "root", 6), pytest.param(GUESSER_IPV6, strangers.HOST_IPV6, "nobody-here", 3, marks=on_trixie)],
    ids=["a user who exists, from IPv4", "one who does not, from IPv6"],
)
def test_who_guesses_is_banned_and_let_in_again(host, run, source, target, user, times):
    said = run(f"sh -c 'for turn in $(seq {times}); do timeout 10 ssh -b {source} {OPTIONS} {user}@{target} true 2>&1; done; true'").stdout
    assert said.count("Permission denied") == times, said
    assert drops(host, source)
    assert not reaches(run, source, 22, target)
    assert reaches(run, BYSTANDER, 22)
    host.check_output(f"fail2ban-client set sshd unbanip {source}")
    assert reaches(run, source, 22, target)


@on_trixie
def test_each_further_ban_lasts_twice_as_long(host):
    failures = f"fail2ban-client set sshd attempt {BYSTANDER} 1 2 3 4 5 6"
    host.check_output(f"fail2ban-client set sshd bantime 2 && {failures}")
    try:
        assert drops(host, BYSTANDER)
        host.check_output(f"timeout 20 sh -c 'while {TABLE} | grep -qwF {BYSTANDER}; do sleep 0.2; done' && {failures}")
        assert drops(host, BYSTANDER)
        told = host.check_output("fail2ban-client get sshd banip --with-time").splitlines()
        assert [line.split(" + ")[1].split(" = ")[0] for line in told if BYSTANDER in line] == ["4"]
    finally:
        host.check_output("fail2ban-client set sshd bantime 600")


def test_who_floods_a_site_is_kept_from_the_sites(host, run):
    run(
        f"timeout 60 curl --interface {FLOODER} -sk -o /dev/null --resolve localhost:443:{strangers.HOST} 'https://localhost/health?[1-500]'"
    )
    assert drops(host, FLOODER), host.check_output("tail -n 3 /var/log/nginx/access.log")
    assert not reaches(run, FLOODER, 443)
    assert reaches(run, BYSTANDER, 443)
    assert reaches(run, FLOODER, 22)


def test_refused_passwords_ban_and_a_token_that_has_expired_does_not(host):
    now = host.check_output("date '+%d/%b/%Y:%H:%M:%S %z'")
    iso = host.check_output("date --iso-8601=seconds")
    lines = "\n".join(line.format(now=now, iso=iso) for line in LINES for _turn in range(20))
    host.check_output("printf '%%s\\n' %s >>/var/log/nginx/access.log", lines)
    for address in filter(None, LINES.values()):
        assert drops(host, address), address
    told = host.check_output("fail2ban-client get nginx-auth banip").split()
    assert sorted(told) == sorted(filter(None, LINES.values()))


def test_the_control_node_is_never_banned(host):
    """After 20 logins that fail, in the journal as an attack's are."""
    inventory = host.backend.ansible_runner.get_variables(host.backend.host)
    client = host.check_output("sed -n 's/^ignoreip = 127.0.0.0.8 ::1 \\([^ /]*\\).*/\\1/p' /etc/fail2ban/jail.d/mainstay.local")
    patient = OPTIONS.replace("ConnectTimeout=5", "ConnectTimeout=60")  # the firewall lets in so many at once, and the rest one by one
    command = f"ssh {patient} -o ControlPath=none -p {inventory['ansible_port']} root@{inventory['ansible_host']} true"

    def fail(_turn):
        return subprocess.run(command.split(), capture_output=True, text=True, timeout=90, check=False).stderr

    with ThreadPoolExecutor(4) as pool:  # with those that are just ending fewer than MaxStartups, from which on sshd drops some
        said = list(pool.map(fail, range(20)))
    assert all("Permission denied" in line for line in said), said
    count = f'journalctl --unit=ssh.service --since=-2min --output=cat | grep -cF "user root {client} "'
    host.check_output(f"timeout 20 sh -c 'until [ $({count}) -ge 20 ]; do sleep 0.5; done'; sleep 1")
    assert client not in host.check_output("fail2ban-client get sshd banip").split()
    assert not drops(host, client, 1)


@on_trixie
def test_its_table_goes_with_it_and_the_bans_come_back(host):
    host.check_output(f"fail2ban-client set sshd banip {GUESSER}")
    assert drops(host, GUESSER)
    host.check_output("systemctl stop fail2ban.service")
    try:
        assert host.run(TABLE).rc != 0
    finally:
        host.check_output("systemctl start fail2ban.service")
    assert drops(host, GUESSER)


@on_trixie
@pytest.mark.parametrize(
    ("user", "address", "banned"),
    [("nobody", "203.0.113.77", False), ("root", "203.0.113.78", True)],
    ids=["an app may call itself and write what it likes", "root's lines count, though the journal has lost their unit"],
)
def test_who_speaks_in_the_name_of_sshd_is_known_by_its_user(host, user, address, banned):
    line = f"Failed password for root from {address} port 4711 ssh2"
    logger = f"systemd-run --quiet --wait --uid={user} logger --tag=sshd-session '{line}'"
    host.check_output(f"for turn in 1 2 3 4 5 6 7 8; do {logger}; done")
    assert line in host.check_output("journalctl --identifier=sshd-session --since=-1min --output=cat")
    assert drops(host, address, 15 if banned else 3) is banned
