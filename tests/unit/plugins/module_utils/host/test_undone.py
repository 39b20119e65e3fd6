# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host that undo what the stack's own say, in the orders in which each program reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import undone
from fixture_host import Host

SYSCTL = "etc/sysctl.d/zz-mainstay.conf"
JOURNAL = "etc/systemd/journald.conf.d/zz-mainstay.conf"
LIMITS = "etc/security/limits.d/zz-mainstay.conf"
APT = "etc/apt/apt.conf.d/zz-mainstay-upgrades"
SSH = "etc/ssh/sshd_config.d/00-mainstay.conf"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        ({"etc/sysctl.d/99-x.conf": "vm.swappiness = 1\n"}, []),
        (
            {
                SYSCTL: "vm.swappiness = 10\n",
                "etc/sysctl.d/99-x.conf": "vm.swappiness = 1\n",
                "usr/lib/sysctl.d/99-y.conf": "vm.swappiness=2",
            },
            [],
        ),
        (
            {SYSCTL: "# by us\n-vm.swappiness = 10\n", "etc/sysctl.d/zzz.conf": "vm/swappiness=1\n"},
            [("/etc/sysctl.d/zzz.conf", "vm.swappiness", "1", "10")],
        ),
        ({SYSCTL: "vm.swappiness = 10\n", "etc/sysctl.d/zzz.conf": "vm.swappiness=10\n#vm.swappiness=1\nvm.*=3\n"}, []),
        ({SYSCTL: "net.ipv4.conf.all.rp_filter = 2\n", "run/sysctl.d/zzz": "net.ipv4.conf.all.rp_filter=0\n"}, []),  # no .conf
        # a file of /etc hides the one of /usr/lib by the same name
        ({SYSCTL: "vm.a = 1\n", "usr/lib/sysctl.d/zzz.conf": "vm.a = 2\n", "etc/sysctl.d/zzz.conf": "\n"}, []),
        (
            {
                JOURNAL: "[Journal]\nSystemMaxUse=500M\n",
                "etc/systemd/journald.conf.d/zzz.conf": "[Journal]\nSystemMaxUse=8G\nStorage=none\n",
            },
            [("/etc/systemd/journald.conf.d/zzz.conf", "SystemMaxUse", "8G", "500M")],
        ),
        (
            {
                LIMITS: "* soft nofile 65536\n* hard nofile 65536\n",
                "etc/security/limits.d/zzz.conf": "* - nofile 1024 # few\nroot - nofile 9\n",
            },
            [("/etc/security/limits.d/zzz.conf", f"* {kind} nofile", "1024", "65536") for kind in ("soft", "hard")],
        ),
        (
            {
                APT: '// by us\nAPT::Periodic::Enable "1";\nA::B:: "x";\n',
                "etc/apt/apt.conf": '/* mine */ APT { Periodic { Enable "0"; # no\n}; };',
            },
            [("/etc/apt/apt.conf", "APT::Periodic::Enable", "0", "1")],
        ),
        ({APT: 'APT::Periodic::Enable "1";\n', "etc/apt/apt.conf.d/99local": 'APT::Periodic::Enable "0";', "etc/apt/apt.conf": "#x"}, []),
        (
            {SSH: "PasswordAuthentication no\n", "etc/ssh/sshd_config": f"{INCLUDE}Match User git\n  PasswordAuthentication yes\n"},
            [("/etc/ssh/sshd_config", "passwordauthentication", "yes", "no")],
        ),
        (
            {SSH: "PermitRootLogin no\n", "etc/ssh/sshd_config": INCLUDE, "etc/ssh/sshd_config.d/00-a.conf": "PermitRootLogin yes\n"},
            [("/etc/ssh/sshd_config.d/00-a.conf", "permitrootlogin", "yes", "no")],
        ),
        (
            {
                SSH: "PermitRootLogin prohibit-password\nX11Forwarding no\n",
                "etc/ssh/sshd_config": f"PermitRootLogin without-password\nX11Forwarding yes\n{INCLUDE}PermitRootLogin yes\nMatch User git\n  PermitTTY no\n",
            },
            [],
        ),
        (
            {
                "etc/postgresql/15/main/postgresql.conf": "data_directory = '/mnt/pg'\t# elsewhere\n",
                "etc/postgresql/15/main/conf.d/zz-mainstay.conf": "max_connections = 56\nshared_buffers = '144MB'\njit = off\n",
                "etc/postgresql/15/main/conf.d/zzz.conf": "jit on\nwork_mem = '1GB'\n",
                "etc/postgresql/15/main/conf.d/a.conf": "shared_buffers = '1MB'\njit = on\n",
                "etc/postgresql/15/other/conf.d/own.conf": "jit = on\n",
                "mnt/pg/postgresql.auto.conf": "# by ALTER SYSTEM\nmax_connections = '77'\nshared_buffers = '147456kB'\n",
            },
            [
                ("/etc/postgresql/15/main/conf.d/zzz.conf", "jit", "on", "off"),
                ("/mnt/pg/postgresql.auto.conf", "max_connections", "77", "56"),
            ],
        ),
        ({"etc/ssh/sshd_config": "Match User git\n  PasswordAuthentication yes\n"}, []),  # before the stack has come
    ],
)
def test_what_has_the_last_word_and_is_not_the_stack_s_is_told(tmp_path, files, expected):
    host = Host(str(tmp_path))
    for name, text in files.items():
        host.write(name, text)
    assert [tuple(item.values()) for item in undone.undone(host.root)] == expected


def test_what_the_role_writes_is_known_for_the_stack_s_own():
    text = (Path(__file__).parents[5] / "roles/system/vars/main.yml").read_text()
    for folder in ("sysctl.d", "journald.conf.d", "limits.d", "apt.conf.d"):
        assert f"/{folder}/zz-mainstay" in text, folder
