# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of sshd as people have them; what `sshd -T` says of the first value is seen on hosts, by the role's guard."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import sshd
from fixture_host import Host

DEBIAN = "# a comment\nInclude /etc/ssh/sshd_config.d/*.conf\n\nUsePAM yes\nX11Forwarding yes\n"


@pytest.mark.parametrize(
    ("files", "reads", "before", "asks"),
    [
        ({"sshd_config": DEBIAN}, True, [], []),
        ({"sshd_config": DEBIAN, "sshd_config.d/50-cloud-init.conf": "PasswordAuthentication yes\n"}, True, [], []),
        (
            {"sshd_config": DEBIAN, "sshd_config.d/00-hardening.conf": "PermitRootLogin no\n"},
            True,
            [("permitrootlogin", "/etc/ssh/sshd_config.d/00-hardening.conf")],
            [],
        ),
        ({"sshd_config": f"PermitRootLogin=yes\n{DEBIAN}"}, True, [("permitrootlogin", "/etc/ssh/sshd_config")], []),
        ({"sshd_config": "include sshd_config.d/*.conf\n"}, True, [], []),
        ({"sshd_config": 'Include "/etc/ssh/sshd_config.d/*.conf"\n'}, True, [], []),
        ({"sshd_config": "Port 22\nUsePAM yes\n"}, False, [], []),  # as Debian 10 left it, and many a guide
        ({"sshd_config": "# Include /etc/ssh/sshd_config.d/*.conf\n"}, False, [], []),
        ({"sshd_config": "Include /etc/ssh/own.d/*.conf\n"}, False, [], []),
        ({"sshd_config": f"Match User git\n  X11Forwarding no\n{DEBIAN}"}, False, [], []),
        ({"sshd_config": f"Match User git\nMatch all\n{DEBIAN}"}, True, [], []),
        ({"sshd_config": f"{DEBIAN}Match User git\n  PermitTTY no\n"}, True, [], []),
        # A Match in an included file ends with it
        ({"sshd_config": DEBIAN, "sshd_config.d/00-git.conf": "Match User git\n  PermitTTY no\n"}, True, [], []),
        (
            {"sshd_config": f"{DEBIAN}AuthenticationMethods publickey,keyboard-interactive:pam\n"},
            True,
            [],
            ["/etc/ssh/sshd_config"],
        ),
        (
            {
                "sshd_config": DEBIAN,
                "sshd_config.d/90-totp.conf": "Match Group staff\n  AuthenticationMethods publickey,keyboard-interactive\n",
            },
            True,
            [],
            ["/etc/ssh/sshd_config.d/90-totp.conf"],
        ),
        ({"sshd_config": f"{DEBIAN}AuthenticationMethods publickey\n"}, True, [], []),
        ({"sshd_config": "Include /etc/ssh/sshd_config\n"}, False, [], []),  # sshd refuses it; here it ends
    ],
)
def test_what_stands_before_and_beside_our_file(tmp_path, files, reads, before, asks):
    host = Host(str(tmp_path))
    for name, text in files.items():
        host.write(f"etc/ssh/{name}", text)
    found = sshd.sshd(host.root)
    assert (found["reads"], [(item["name"], item["file"]) for item in found["before"]], found["asks"]) == (reads, before, asks)
    host.write("etc/ssh/sshd_config.d/00-mainstay.conf", "PermitRootLogin no\n")
    assert sshd.sshd(host.root) == found, "before the first run and after it"


def test_a_host_without_sshd(tmp_path):
    assert sshd.sshd(str(tmp_path)) == {}
