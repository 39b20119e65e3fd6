# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all servers, and what each needs. test_sandbox.py of molecule asks systemd and the servers themselves."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import sandbox


@pytest.mark.parametrize("name", sandbox.SERVERS)
def test_a_server_s_sandbox(name):
    lines = sandbox.server(name)
    words = [line.split("=")[0] for line in lines]
    assert len(words) == len(set(words)), "a word that stands twice is added up or overrules"
    assert {line.split("=", maxsplit=1)[0] for line in sandbox.COMMON} - set(words) <= {
        "PrivateIPC",
        "PrivateTmp",
        "ProtectProc",
        "ReadOnlyPaths",
    }
    assert "NoNewPrivileges=yes" in lines and "SystemCallFilter=@system-service" in lines


def test_databases_share_tmp_with_their_operators_and_compile():
    for name in ("mariadb", "postgresql"):
        assert not [line for line in sandbox.server(name) if line.startswith(("PrivateTmp", "MemoryDenyWriteExecute"))]
