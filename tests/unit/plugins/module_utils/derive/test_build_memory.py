# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.build_memory import DEFAULT_MB, build_memory


def _plan(place, reserve):
    return {"hosts": {"web1": {"build_memory_mb": place, "memory": {"reserve_mb": reserve}}}}


@pytest.mark.parametrize(
    ("plan", "available", "memory"),
    [
        (_plan(512, 308), 2100, 1792),  # Next.js wants 1100, and the plan has given everything to servers that hold little of it
        (_plan(512, 308), 700, 512),  # what is planned, a build may use in any case
        (_plan(512, 308), 100, 512),
        ({}, 2100, DEFAULT_MB),
        ({"hosts": {"web1": {"memory": {"reserve_mb": 200}}}}, 2100, DEFAULT_MB),  # a host without apps
    ],
)
def test_a_build_may_use_what_the_host_has_free(plan, available, memory):
    assert build_memory(plan, "web1", {"memory": {"available_mb": available}}) == memory


def test_a_host_that_nobody_has_looked_at_has_what_is_planned():
    assert build_memory(_plan(256, 205), "web1", {}) == 256
