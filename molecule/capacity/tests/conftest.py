# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share lies in molecule/shared/tests: running plays, and the journal of a test that fails."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared/tests"
sys.path.insert(0, str(SHARED))
found = importlib.util.spec_from_file_location("shared_conftest", SHARED / "conftest.py")
shared = importlib.util.module_from_spec(found)
found.loader.exec_module(shared)
pytest_runtest_makereport = shared.pytest_runtest_makereport


@pytest.fixture(scope="module")
def applied(host):
    """The plan as the host keeps it."""
    return json.loads(host.file("/etc/mainstay/plan.json").content_string)


@pytest.fixture(scope="module")
def plan(applied):
    """The plan of the host itself."""
    return applied["plan"]
