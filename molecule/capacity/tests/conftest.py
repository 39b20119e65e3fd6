# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the capacity plan compare with."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def applied(host):
    """The plan as the host keeps it."""
    return json.loads(host.file("/etc/mainstay/plan.json").content_string)


@pytest.fixture(scope="module")
def plan(applied):
    """The plan of the host itself."""
    return applied["plan"]
