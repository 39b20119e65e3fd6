# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import references

VARIABLES = {"KEY": "se$cret", "A_1": "one"}


@pytest.mark.parametrize(
    ("text", "names", "value"),
    [
        ("plain", set(), "plain"),
        ("$KEY", {"KEY"}, "se$cret"),
        ("x${A_1}y$KEY", {"A_1", "KEY"}, "xoneyse$cret"),
        ("5$$ $$KEY", set(), "5$ $KEY"),
        ("$$$KEY", {"KEY"}, "$se$cret"),
        ("$1 $ {KEY} ${", set(), "$1 $ {KEY} ${"),
    ],
)
def test_a_text_refers_to_variables(text, names, value):
    assert references.names(text) == names
    assert references.resolve(text, VARIABLES) == value


def test_a_variable_that_is_not_there():
    with pytest.raises(KeyError, match="OTHER"):
        references.resolve("$OTHER", VARIABLES)
