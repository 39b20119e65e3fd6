# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the kill matrix; scripts/prove_kills.py has all of it."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.tests.unit import kills

# Every so many calls: the set has up to 1430 of them in the module and up to 330 in the helper.
STRIDES = {"module": 211, "meanwhile": 41, "helper": 31, "both": 31, "recovery": 151}


@pytest.mark.parametrize("question", kills.QUESTIONS)
@pytest.mark.parametrize("mode", kills.MODES)
def test_a_killed_transaction_leaves_the_old_or_the_new_set(mode, question):
    result = kills.matrix(mode, question, STRIDES[question], offset=30)
    assert result["kills"] > 0


def test_the_matrix_sees_mixes_where_nobody_recovers():
    """Else it would prove nothing: between two renames both processes die, and what is left is a mix."""
    before, after = kills.ends()
    states = [kills.kill_at("untested", "both", number, before, after) for number in range(25, 70, 4)]
    assert "mix" in states
