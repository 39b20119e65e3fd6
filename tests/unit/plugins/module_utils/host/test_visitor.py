# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the operator comes from, and by which port, through sudo and shells."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host.visitor import login

LOGIN = "HOME=/home/admin\0SSH_CONNECTION={} 51234 198.51.100.1 22\0LANG=C\0"


def family(tmp_path, *environments):
    """Processes 100, 101, …, each the parent of the one before; the last is a child of systemd's."""
    for number, environment in enumerate(environments):
        folder = tmp_path / f"proc/{100 + number}"
        folder.mkdir(parents=True)
        parent = 101 + number if number + 1 < len(environments) else 1
        (folder / "status").write_text(f"Name:\tx\nPid:\t{100 + number}\nPPid:\t{parent}\n")
        (folder / "environ").write_text(environment)
    return login(str(tmp_path), 100)


@pytest.mark.parametrize(
    ("environments", "address", "port"),
    [
        (["LANG=C\0", "SUDO_USER=admin\0", "", LOGIN.format("192.0.2.7"), ""], "192.0.2.7", 22),
        ([LOGIN.format("2001:db8::7")], "2001:db8::7", 22),
        (["", LOGIN.format("fe80::1%eth0").replace(" 22", " 2222")], "fe80::1", 2222),
        (["", LOGIN.format("::ffff:192.0.2.7")], "192.0.2.7", 22),  # an ignored address has to be the one that a log names
        (["", LOGIN.format("$(reboot)").replace(" 22", " $(reboot)")], "", None),
        (["SSH_CONNECTION=192.0.2.7\0", ""], "192.0.2.7", None),
        (["XSSH_CONNECTION=192.0.2.7\0", ""], "", None),  # a job of cron
        ([""] * 40 + [LOGIN.format("192.0.2.7")], "", None),
    ],
)
def test_a_login(tmp_path, environments, address, port):
    assert family(tmp_path, *environments) == (address, port)


def test_a_process_that_is_gone(tmp_path):
    assert login(str(tmp_path), 100) == ("", None)
