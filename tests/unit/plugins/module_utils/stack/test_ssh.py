# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of sshd as they are declared."""

from __future__ import annotations

import pytest
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
