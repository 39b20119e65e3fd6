# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/verification.md has every item and every limit as they are."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.mainstay.vps.plugins.module_utils.stack import names
from ansible_collections.mainstay.vps.plugins.module_utils.verify import checklist, judge

TEXT = (Path(__file__).parents[5] / "docs/verification.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| `")]


def test_every_item_is_there_as_it_is():
    expected = [[f"`{item['id']}`", item["title"], ", ".join(item["checklists"]), ", ".join(item["requirements"])] for item in judge.ITEMS]
    assert [row for row in ROWS if len(row) == 4] == expected


def test_every_limit_is_there_with_its_default():
    assert {row[0].strip("`"): row[1] for row in ROWS if len(row) == 3} == {name: str(value) for name, value in checklist.LIMITS.items()}


def test_every_variable_is_there():
    assert not [name for name in names.VARIABLES if name.startswith("mainstay_verify_") and name not in TEXT]
