# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make Ansible find this collection's plugins by name, as it does in a playbook; and processes in the way of others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([path for path in sys.path if os.path.isdir(os.path.join(path, "ansible_collections", "mainstay"))])

LISTEN = (
    "import signal, socket, sys, time\n"
    "if 'stubborn' in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "sock = socket.create_server(('127.0.0.1', 0))\n"
    "print(sock.getsockname()[1], flush=True)\n"
    "time.sleep(60)"
)


@pytest.fixture
def closed_port():
    """A port nobody listens on, kept from others while the test runs."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def stray():
    """Starts a process that listens, with words on its command line; gives the process and its port. It belongs to no service."""
    started = []

    def start(*words):
        process = subprocess.Popen([sys.executable, "-c", LISTEN, *words], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
