# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From where, and by which port, whoever runs this program has logged in, as sshd told it to the shell that it started."""

from __future__ import annotations

import ipaddress
import os
import re

from ..text import read

# sudo and shells in between; more would be no login.
GENERATIONS = 32


def login(root="/", pid=None):
    """``(address, port)`` of the first login that a parent knows; sudo takes the variable away. Empty and None where nobody has come by SSH.

    The address is the client's, the port the host's own, which behind address translation is not the one that the client connected to.
    """
    pid = os.getpid() if pid is None else pid
    for _generation in range(GENERATIONS):
        folder = f"{root}/proc/{pid}"
        for variable in read(f"{folder}/environ").split("\0"):
            if variable.startswith("SSH_CONNECTION="):
                told = variable.partition("=")[2].split(" ")
                return _address(told[0]), int(told[3]) if len(told) == 4 and told[3].isdigit() else None
        parent = re.search(r"^PPid:\s+(\d+)", read(f"{folder}/status"), re.MULTILINE)
        if not parent or int(parent[1]) < 2:
            break
        pid = int(parent[1])
    return "", None


def _address(text):
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
