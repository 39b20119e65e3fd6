# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of scripts/bench_edge."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(__file__).parents[2] / "scripts/bench_edge")
sys.path.insert(0, str(Path(SCRIPT).parent))
loader = importlib.machinery.SourceFileLoader("bench_edge", SCRIPT)
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_edge", loader))
loader.exec_module(bench)


def _figures(per_second):
    return {"per_second": per_second, "p99_ms": [5, 6, 7], "cpu_us": [20, 20, 20]}


@pytest.mark.parametrize(
    ("kind", "ours", "percent", "keeps_up"),
    [
        ("app", [100, 50, 100], 100.0, True),
        ("app", [95, 52, 92], 96.9, True),
        ("app", [90, 45, 91], 90.3, False),
        ("file", [65, 32, 64], 64.3, True),
        ("file", [55, 27, 54], 54.3, False),
    ],
)
def test_slower_by_more_than_the_noise_and_what_is_paid_for_is_told(kind, ours, percent, keeps_up):
    """The second round was a slow one for all. What runs without its sandbox is ours, not one of the others."""
    rounds = {"mainstay": ours, "unconfined": [200, 200, 200], "debian": [100, 50, 100], "guide": [60, 60, 60]}
    row = bench.judged({kind: {name: _figures(values) for name, values in rounds.items()}})[kind]
    assert (row["best_other"], row["to_best_percent"], row["keeps_up"]) == ("debian", percent, keeps_up)
    assert row["medians"]["debian"] == {"per_second": 100, "p99_ms": 6, "cpu_us": 20}
