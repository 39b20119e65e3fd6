# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import status_page
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP


@pytest.mark.parametrize("nothing", [None, False, {}])
def test_nobody_wants_one(nothing):
    assert status_page.status_page(nothing) == {}
    status_page.refuse_port_of_app({}, normalise(SHOP), None)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (True, ["mainstay_status_page: True", "mapping"]),
        ({"prot": 8444}, ["mainstay_status_page.prot", "port"]),
        ({"port": 80}, ["mainstay_status_page.port: 80", "1024"]),
        ({"port": "x"}, ["mainstay_status_page.port"]),
        ({"port": 5432}, ["mainstay_status_page.port: 5432", "listens there", "such as 8444"]),
    ],
)
def test_what_cannot_work_is_refused(declared, words):
    with pytest.raises(DeclarationError) as refusal:
        status_page.status_page(declared)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def test_a_port_that_a_process_owns_is_refused():
    apps = normalise(SHOP)
    with pytest.raises(DeclarationError) as refusal:
        status_page.refuse_port_of_app(status_page.status_page({"port": 8003}), apps, lambda app, process: 2)
    assert "mainstay_status_page.port: 8003" in str(refusal.value) and "shop/web owns" in str(refusal.value)
    status_page.refuse_port_of_app({"port": 8004}, apps, lambda app, process: 2)
