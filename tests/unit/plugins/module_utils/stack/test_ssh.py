# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of sshd as they are declared, and its own configuration beside the stack's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.stack import ssh
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError

SSHD = {"protocol": "tcp", "address": "0.0.0.0", "port": 22, "name": "sshd", "unit": "ssh.service", "user": "root", "pid": 7}
GITEA = {**SSHD, "port": 2222, "name": "gitea", "unit": "gitea.service"}
HOST = {"login_port": 22, "ssh_ports": [22], "listeners": [SSHD, GITEA, {**GITEA, "protocol": "udp", "port": 2022}]}


@pytest.mark.parametrize(
    ("ports", "host"),
    [
        (None, HOST),
        ([], HOST),
        ([22], HOST),
        ([2022, 22], HOST),
        (["22"], HOST),
        ([2022], {**HOST, "login_port": 2022}),
        ([2022], {**HOST, "login_port": None}),  # not by SSH at all
    ],
)
def test_ports_that_let_ansible_in_again(ports, host):
    assert ssh.refuse_ssh_ports(ports, host, "web1") is None


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ([2022], ["mainstay_ssh_ports: [2022]", "logged in on web1 by its port 22", "ansible_port"]),
        ([22, 2222], ["mainstay_ssh_ports: 2222", "n web1 gitea (gitea.service) listens there"]),
        (22, ["mainstay_ssh_ports: 22", "Write a list of numbers"]),
        (["ssh"], ["mainstay_ssh_ports[0]: 'ssh'", "from 1 to 65535"]),
        ([70000], ["mainstay_ssh_ports[0]: 70000"]),
    ],
)
def test_ports_that_would_lock_somebody_out(ports, words):
    with pytest.raises(DeclarationError) as refusal:
        ssh.refuse_ssh_ports(ports, HOST, "web1")
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


MAIN, DROPIN = "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/00-hardening.conf"


def _sshd(reads=True, before=(), asks=(), **host):
    before = [{"name": name, "value": (*value, "yes")[0], "file": file} for name, file, *value in before]
    return {"packages": {"openssh-server": "1:9.2p1-2"}, "sshd": {"reads": reads, "before": before, "asks": list(asks)}, **host}


@pytest.mark.parametrize(
    ("host", "variables", "words"),
    [
        ({}, {}, None),
        (_sshd(), {}, None),
        (_sshd(reads=False, packages={"dropbear": "2022.83"}), {}, None),
        (_sshd(reads=False), {}, ["sshd does not read", "`sudo sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config`"]),
        (_sshd(before=[("port", MAIN), ("subsystem", MAIN), ("allowusers", MAIN)]), {}, None),  # what the stack leaves to it
        (
            _sshd(before=[("permitrootlogin", MAIN), ("usepam", MAIN), ("maxauthtries", MAIN, "3")]),
            {},
            ["/etc/ssh/sshd_config sets PermitRootLogin, MaxAuthTries otherwise", "`sudo sed -i '1i Include"],
        ),
        (
            _sshd(before=[("challengeresponseauthentication", DROPIN)]),
            {},
            ["sets KbdInteractiveAuthentication otherwise", f"`sudo mv {DROPIN} /etc/ssh/sshd_config.d/50-00-hardening.conf`"],
        ),
        (_sshd(before=[("permitrootlogin", MAIN)], paths={"/var/lib/mainstay/ssh/proven.conf": {}}), {}, None),
        # What says the same may stand there
        (
            _sshd(
                before=[
                    ("passwordauthentication", DROPIN, "No"),
                    ("permitrootlogin", DROPIN, "prohibit-password"),
                    ("maxsessions", MAIN, "10"),
                ]
            ),
            {},
            None,
        ),
        (_sshd(before=[("x11forwarding", DROPIN, "no"), ("loglevel", DROPIN, "VERBOSE")]), {"ssh_log_level": "VERBOSE"}, None),
        (_sshd(before=[("passwordauthentication", DROPIN, "no")]), {"ansible_password": "x"}, ["sets PasswordAuthentication otherwise"]),
        (_sshd(before=[("passwordauthentication", DROPIN)]), {"ansible_ssh_pass": "x"}, None),
        (_sshd(before=[("ciphers", DROPIN, "aes256-ctr")]), {}, ["sets Ciphers otherwise"]),
        (_sshd(asks=[DROPIN]), {}, [DROPIN, "Write ssh_keyboard_interactive: true"]),
        (_sshd(asks=[DROPIN]), {"ssh_keyboard_interactive": True}, None),
    ],
)
def test_an_sshd_that_would_not_heed_the_stack_or_keep_its_users_out_is_refused_first(host, variables, words):
    if words is None:
        assert ssh.refuse_sshd(host, "web1", variables) is None
        return
    with pytest.raises(ValueError, match="web1: .*Nothing has changed") as refused:
        ssh.refuse_sshd(host, "web1", variables)
    assert [word for word in words if word not in str(refused.value)] == []


def test_what_may_stand_before_is_what_the_role_writes():
    template = (Path(__file__).parents[5] / "roles/ssh/templates/sshd.conf.j2").read_text()
    written = set(re.findall(r"^([A-Z]\w+) ", template, re.MULTILINE))
    assert written - set(ssh.SETTINGS) == {"Port", "AllowUsers"}, "which add up"
    assert set(ssh.SETTINGS) <= written
    assert {name for name, value in ssh.SETTINGS.items() if isinstance(value, str)} == {
        name for name, value in ssh.SETTINGS.items() if f"\n{name} {value}\n" in template
    }


def test_what_says_the_same_says_what_the_role_would():
    defaults = yaml.safe_load((Path(__file__).parents[5] / "roles/ssh/defaults/main.yml").read_text())
    named = dict(value for value in ssh.SETTINGS.values() if isinstance(value, tuple))
    assert set(named) <= set(defaults)
    assert {name: default for name, default in named.items() if name != ssh.PASSWORDS} == {
        name: defaults[name] for name in named if name != ssh.PASSWORDS
    }
    assert all(name in defaults[ssh.PASSWORDS] for name in ssh.LOGS_IN_BY_PASSWORD)
