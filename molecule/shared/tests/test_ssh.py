# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sshd as it runs: what it offers, and that no change of it locks anybody out."""

from __future__ import annotations

import contextlib
import socket

import pytest
from plays import changes, only_on, play, words

slow = only_on("trixie", "it is a run of a playbook, or waits for a guard")
CONF = "/etc/ssh/sshd_config.d/00-mainstay.conf"


@pytest.fixture(scope="module")
def effective(host):
    """What sshd takes for its configuration, whoever wrote it."""
    said = host.check_output("sshd -T").lower().replace("without-password", "prohibit-password")  # its name before OpenSSH 10
    return {name: value for name, _blank, value in (line.partition(" ") for line in said.splitlines())}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitrootlogin", "prohibit-password"),
        ("permitemptypasswords", "no"),
        ("x11forwarding", "no"),
        ("allowagentforwarding", "no"),
        ("allowtcpforwarding", "yes"),
        ("tcpkeepalive", "no"),
        ("logingracetime", "30"),
        ("maxstartups", "20:30:100"),
        ("persourcemaxstartups", "10"),
        ("persourcenetblocksize", "32:64"),
    ],
)
def test_who_has_no_key_stays_out(effective, name, value):
    assert effective[name] == value


def test_what_sshd_offers_on_the_wire_is_what_was_declared(host):
    """As a client sees it that would like something else."""

    def ask(*options):
        told = " ".join(
            f"-o {option}" for option in ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", *options)
        )
        return host.check_output(f"ssh -v {told} nobody@127.0.0.1 2>&1; true")

    for options, refused in (
        (["KexAlgorithms=diffie-hellman-group14-sha256"], "no matching key exchange"),
        (["KexAlgorithms=curve25519-sha256,curve25519-sha256@libssh.org"], "no matching key exchange"),
        (["HostKeyAlgorithms=ecdsa-sha2-nistp256"], "no matching host key type"),
        (["Ciphers=aes128-cbc"], "no matching cipher"),
        (["Ciphers=aes128-ctr", "MACs=hmac-sha1"], "no matching MAC"),
    ):
        assert refused in ask(*options)
    said = ask()
    assert "Permission denied (publickey)" in said
    assert any(f"kex: algorithm: {name}" in said for name in ("sntrup761x25519-sha512", "mlkem768x25519-sha256")), said


@slow
def test_a_line_of_somebody_s_that_would_win_is_refused_and_nothing_changes(host):
    host.check_output("cp -a /etc/ssh/sshd_config /root/sshd_config && sed -i '1i MaxAuthTries 3' /etc/ssh/sshd_config")
    try:
        run = play("playbooks/site.yml", "--tags", "ssh", variables={"ssh_max_auth_tries": 5})
        assert run.returncode != 0
        assert "MaxAuthTries 5 is not in effect" in words(run) and "above all others" in words(run)
        assert "MaxAuthTries 6" in host.file(CONF).content_string
    finally:
        host.check_output("mv /root/sshd_config /etc/ssh/sshd_config")


@slow
def test_an_older_client_of_ansible_s_is_let_in_or_told_before_anything_changes(tmp_path):
    """A client of this machine's that says it knows curve25519 alone."""
    older = tmp_path / "ssh"
    older.write_text('#!/bin/sh\n[ "$1 $2" != "-Q kex" ] || { echo curve25519-sha256; exit; }\nexec ssh "$@"\n')
    older.chmod(0o755)
    client = {"ansible_ssh_executable": str(older)}
    run = play("playbooks/site.yml", "--tags", "ssh", "--check", "--diff", variables=client)
    assert run.returncode == 0 and ",curve25519-sha256,curve25519-sha256@libssh.org" in words(run)
    run = play("playbooks/site.yml", "--tags", "ssh", variables={**client, "ssh_older_clients": False})
    assert run.returncode != 0 and "knows none of them" in words(run) and "ssh_older_clients: true" in words(run)
    assert changes(run) == 0


def test_who_holds_the_door_open_keeps_nobody_out(host):
    """As many connections as one address may have, none of which logs in; another address finds a place all the same."""
    program = (
        "import socket, time; held = [socket.create_connection(('127.0.0.1', 22), 5, ('127.0.0.2', 0)) for _number in range(30)]; time.sleep(1);"
        "said = [item.recv(3) for item in held]; print(said.count(b'SSH'));"
        "print([socket.create_connection(('127.0.0.1', 22), 5, ('127.0.0.3', 0)).recv(3) for _number in range(5)].count(b'SSH'))"
    )
    assert host.check_output(f'python3 -c "{program}"').split() == ["10", "5"]


@slow
def test_a_notice_is_shown_before_a_login_where_there_is_one(host):
    def shown():
        return host.run(
            "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null nobody@127.0.0.1 2>&1; true"
        ).stdout

    assert "Members of staff only." not in shown()
    try:
        run = play("playbooks/site.yml", "--tags", "ssh", variables={"ssh_banner": "Members of staff only."})
        assert run.returncode == 0, run.stdout[-3000:]
        assert "Members of staff only." in shown()
    finally:
        assert play("playbooks/site.yml", "--tags", "ssh").returncode == 0
    assert "Members of staff only." not in shown()


@slow
def test_a_list_without_the_operator_is_refused(host):
    run = play("playbooks/site.yml", "--tags", "ssh", variables={"ssh_allow_users": ["ann", "bob@10.0.0.0/8"]})
    assert run.returncode != 0 and "ssh_allow_users: ann, bob@10.0.0.0/8 does not name" in words(run)
    assert changes(run) == 0


@only_on("ubuntu", "a socket of systemd's listens for sshd there, which has to follow it")
def test_sshd_moves_to_another_port_in_two_runs(host):
    """As docs/security.md has it, from outside; the inventory's own way in leads to port 22."""
    address = host.check_output("hostname --all-ip-addresses").split()[0]

    def move(ports, by):
        way_in = {"ansible_host": address, "ansible_port": by}
        return play("playbooks/site.yml", "--tags", "firewall,ssh,fail2ban", variables={"mainstay_ssh_ports": ports, **way_in})

    def answers():
        found = []
        for port in (22, 2222):
            with contextlib.suppress(OSError), socket.create_connection((address, port), 3) as connection:
                found += [port] if connection.recv(4) == b"SSH-" else []
        return found

    assert answers() == [22]
    run = move([2222], 22)
    assert run.returncode != 0 and "Ansible is logged in on molecule-ubuntu by its port 22, which would close" in words(run)
    assert changes(run) == 0
    try:
        assert (run := move([22, 2222], 22)).returncode == 0, run.stdout[-3000:]
        assert answers() == [22, 2222]
        assert (run := move([2222], 2222)).returncode == 0, run.stdout[-3000:]
        assert answers() == [2222]
        assert (run := move([2222], 2222)).returncode == 0 and changes(run) == 0, run.stdout[-3000:]
    finally:
        assert move([22, 2222], 2222).returncode == 0
        assert (run := play("playbooks/site.yml", "--tags", "firewall,ssh,fail2ban")).returncode == 0, run.stdout[-3000:]
    assert answers() == [22]


@slow
def test_a_configuration_with_which_nobody_gets_in_takes_itself_back(host):
    run = play("tests/integration/ssh_guard.yml", "--limit", "vps", variables={"wrong_users": ["nobody*"]})
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert host.check_output("systemctl list-units --all --no-legend 'mainstay-ssh-rollback*'") == ""
