# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of scripts/bench_settings."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(__file__).parents[2] / "scripts/bench_settings")
sys.path.insert(0, str(Path(SCRIPT).parent))
loader = importlib.machinery.SourceFileLoader("bench_settings", SCRIPT)
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_settings", loader))
loader.exec_module(bench)


@pytest.mark.parametrize(
    ("planned", "percent", "noise", "keeps_up"),
    [
        ([100, 50, 100], 100.0, 0.0, True),
        ([95, 52, 92], 96.9, 7.3, True),
        ([95, 49, 92], 95.0, 3.6, False),
        ([90, 45, 91], 90.3, 0.7, False),
    ],
)
def test_slower_by_more_than_the_noise_is_told(planned, percent, noise, keeps_up):
    """The second round was a slow one for all."""
    row = bench.judged({"x": {"planned": planned, "distribution": [100, 50, 100], "guide": [60, 60, 60]}})["x"]
    assert (row["plan_to_better_percent"], row["noise_percent"], row["keeps_up"]) == (percent, noise, keeps_up)
    assert row["per_second"]["distribution"] == 100
