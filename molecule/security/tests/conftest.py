# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hostile app, as the tests see it."""

from __future__ import annotations

import json
import shlex
import sys
import textwrap
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "mole"))


class Mole:
    """What the hostile app's process does when it is told to."""

    def __init__(self, host):
        self.host = host

    @property
    def port(self):
        record = self.host.check_output("readlink /var/lib/mainstay/backend/mole-web")
        return int(record.rpartition(":")[2])

    def does(self, code):
        """Run code as the process may; ``result`` of it, or the error."""
        url = f"http://127.0.0.1:{self.port}/"
        said = self.host.check_output(f"curl --silent --max-time 60 --data-binary {shlex.quote(textwrap.dedent(code))} {url}")
        return json.loads(said)


@pytest.fixture
def mole(host):
    return Mole(host)


@pytest.fixture
def shop(host):
    """How the other app is, from outside in and with all that it needs."""

    def ready():
        said = host.run("curl --silent --insecure --max-time 5 --resolve localhost:443:127.0.0.1 https://localhost/ready")
        return json.loads(said.stdout or "{}").get("status")

    return ready
