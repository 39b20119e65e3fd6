# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mainstay.vps.plugins.filter import plan
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, broken
from ansible_collections.mainstay.vps.tests.unit.stacks import one_host

FILTERS = plan.FilterModule().filters()
sizer, report = FILTERS["pool_sizer"], FILTERS["plan_report"]


def test_a_declaration_and_its_normal_form_give_the_same_plan():
    plan = sizer(SHOP, users=100, hosts=one_host(8192, 4))
    assert plan == sizer(normalise(SHOP), 100, one_host(8192, 4))
    assert plan["hosts"]["web1"]["processes"]["shop"]["web"]["instances"] == 4


def test_a_plan_that_does_not_fit_is_ansible_s_own_error_with_the_arithmetic():
    with pytest.raises(AnsibleFilterError) as refusal:
        sizer(SHOP, 100, one_host(512, 1))
    text = str(refusal.value)
    assert "web1: the smallest plan does not fit into 512 MB" in text
    assert "144 MB  shop.web          instances 1 x memory_max 144" in text
    assert "=    951 MB  needed, 439 MB more than there are" in text
    assert "1. Give web1 at least 951 MB of memory." in text
    assert "2. " in text


def test_a_declaration_that_cannot_work_is_ansible_s_own_error():
    with pytest.raises(AnsibleFilterError, match="mainstay_apps.shop.runtime"):
        sizer(broken(("shop", "runtime"), "ruby"), 100, one_host(8192, 4))


def test_the_report_is_lines_of_text():
    lines = report(sizer(SHOP, 100, one_host(8192, 4)))
    assert lines[0] == "Capacity plan for 100 people online"
    assert all(isinstance(line, str) and "\n" not in line for line in lines)
