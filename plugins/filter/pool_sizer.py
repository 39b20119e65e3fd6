# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.plan_report import table
from ansible_collections.mainstay.vps.plugins.module_utils.sizing import plan
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


def pool_sizer(apps, users, hosts):
    return plan(normalise(apps), users, hosts)


class FilterModule:
    def filters(self):
        return {
            "pool_sizer": refused_as_filter_error(pool_sizer),
            "plan_report": refused_as_filter_error(table),
        }
