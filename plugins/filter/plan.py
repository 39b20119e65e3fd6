# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.derive import build_memory, unprepared
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity, report
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps as declaration
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


def pool_sizer(apps, users, hosts):
    return capacity.plan(declaration.normalise(apps), users, hosts)


class FilterModule:
    def filters(self):
        filters = {
            "build_memory": build_memory.build_memory,
            "pool_sizer": pool_sizer,
            "plan_report": report.table,
            "unprepared": unprepared.unprepared,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
