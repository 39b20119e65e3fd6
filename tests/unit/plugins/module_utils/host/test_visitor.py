# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the operator comes from, through sudo and shells."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host.visitor import client_address

LOGIN = "HOME=/home/admin\0SSH_CONNECTION={} 51234 198.51.100.1 22\0LANG=C\0"


def family(tmp_path, *environments):
    """Processes 100, 101, …, each the parent of the one before; the last is a child of systemd's."""
    for number, environment in enumerate(environments):
        folder = tmp_path / f"proc/{100 + number}"
        folder.mkdir(parents=True)
        parent = 101 + number if number + 1 < len(environments) else 1
        (folder / "status").write_text(f"Name:\tx\nPid:\t{100 + number}\nPPid:\t{parent}\n")
        (folder / "environ").write_text(environment)
    return client_address(str(tmp_path), 100)


@pytest.mark.parametrize(
    ("environments", "address"),
    [
        (["LANG=C\0", "SUDO_USER=admin\0", "", LOGIN.format("192.0.2.7"), ""], "192.0.2.7"),
        ([LOGIN.format("2001:db8::7")], "2001:db8::7"),
        (["", LOGIN.format("fe80::1%eth0")], "fe80::1"),
        (["", LOGIN.format("::ffff:192.0.2.7")], "192.0.2.7"),  # an ignored address has to be the one that a log names
        (["", LOGIN.format("$(reboot)")], ""),
        (["XSSH_CONNECTION=192.0.2.7\0", ""], ""),  # a job of cron
        ([""] * 40 + [LOGIN.format("192.0.2.7")], ""),
    ],
)
def test_client_address(tmp_path, environments, address):
    assert family(tmp_path, *environments) == address


def test_a_process_that_is_gone(tmp_path):
    assert client_address(str(tmp_path), 100) == ""
