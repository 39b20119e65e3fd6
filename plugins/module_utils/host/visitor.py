# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address from which whoever runs this program has logged in, as sshd told it to the shell that it started."""

from __future__ import annotations

import ipaddress
import os
import re

from ..text import read

# sudo and shells in between; more would be no login.
GENERATIONS = 32


def client_address(root="/", pid=None):
    """The first address that a parent knows; sudo takes the variable away. Empty where nobody has come by SSH."""
    pid = os.getpid() if pid is None else pid
    for _generation in range(GENERATIONS):
        folder = f"{root}/proc/{pid}"
        for variable in read(f"{folder}/environ").split("\0"):
            if variable.startswith("SSH_CONNECTION="):
                return _address(variable.partition("=")[2].split(" ")[0])
        parent = re.search(r"^PPid:\s+(\d+)", read(f"{folder}/status"), re.MULTILINE)
        if not parent or int(parent[1]) < 2:
            return ""
        pid = int(parent[1])
    return ""


def _address(text):
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
