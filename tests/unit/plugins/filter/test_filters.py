# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib
from pathlib import Path

from ansible_collections.mainstay.vps.plugins.module_utils import text

FOLDER = Path(text.__file__).parents[1] / "filter"


def test_every_filter_has_its_documentation_and_no_documentation_is_left_over():
    named = set()
    for file in FOLDER.glob("*.py"):
        module = importlib.import_module(f"ansible_collections.mainstay.vps.plugins.filter.{file.stem}")
        named |= set(module.FilterModule().filters())
    assert named == {file.stem for file in FOLDER.glob("*.yml")}
