# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of scripts/bench_settings."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

SCRIPT = str(Path(__file__).parents[2] / "scripts/bench_settings")
loader = importlib.machinery.SourceFileLoader("bench_settings", SCRIPT)
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_settings", loader))
loader.exec_module(bench)


@pytest.mark.parametrize(
    ("planned", "keeps_up"),
    [([100, 101, 99], True), ([92, 91, 92], True), ([80, 81, 80], False)],
)
def test_slower_by_more_than_the_noise_is_told(planned, keeps_up):
    found = {"x": {"planned": planned, "distribution": [100, 95, 105], "guide": [60, 60, 60]}}
    row = bench.judged(found)["x"]
    assert (row["noise_percent"], row["keeps_up"]) == (10.0, keeps_up)
    assert row["per_second"]["distribution"] == 100
