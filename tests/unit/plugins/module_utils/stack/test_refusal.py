# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import unfit

SIZE = {"form": "[1-9][0-9]*[KMGT]", "what": "a size such as 500M"}


@pytest.mark.parametrize(
    "rule, sentence",
    [
        ({"value": 2, "least": 2}, None),
        ({"value": "2", "least": "2"}, None),
        ({"value": 1, "least": 2}, "x: 1 must be at least 2."),
        ({"value": 9, "least": 1, "most": 8}, "x: 9 must be from 1 to 8."),
        ({"value": 9, "least": 1, "most": 8, "why": ", which is all there is"}, "x: 9 must be from 1 to 8, which is all there is."),
        ({"value": -1}, "x: -1 must be at least 0."),
        ({"value": "500M", **SIZE}, None),
        ({"value": "500", **SIZE}, "x: 500 is not a size such as 500M."),
        ({"value": "500M\n", **SIZE}, "x: 500M\n is not a size such as 500M."),
        ({"value": 27, "form": "0?[0-7]{3}", "what": "a umask"}, "x: 27 is not a umask."),
    ],
)
def test_each_value_that_cannot_be_used_has_a_sentence(rule, sentence):
    assert unfit([{"name": "x", **rule}]) == ([] if sentence is None else [sentence])


def test_all_of_them_are_named():
    assert (
        len(unfit([{"name": "x", "value": 0, "least": 1}, {"name": "y", "value": 1, "least": 1}, {"name": "z", "value": 0, "least": 1}]))
        == 2
    )
