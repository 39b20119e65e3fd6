# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of the kill matrix; scripts/prove_kills.py has all of it."""
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.tests.unit import kills

# Every so many calls; the sets have up to 1030 in the module and up to 290 in the helper.
STRIDES = {"module": 97, "meanwhile": 13, "helper": 13, "both": 13, "recovery": 37}


@pytest.mark.parametrize("question", kills.QUESTIONS)
@pytest.mark.parametrize("mode", kills.MODES)
def test_a_killed_transaction_leaves_the_old_or_the_new_set(mode, question):
    result = kills.matrix(mode, question, STRIDES[question], offset=3)
    assert result["kills"] >= 2


def test_the_matrix_sees_mixes_where_nobody_recovers():
    """Else it would prove nothing: between two renames both processes die, and what is left is a mix."""
    before, after = kills.ends()
    states = [kills.kill_at("untested", "both", number, before, after) for number in range(25, 70, 4)]
    assert "mix" in states
