# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.stack import tiers
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        filters = {
            "enumeration": tiers.enumeration,
            "listen_addresses": tiers.listen_addresses,
            "other_addresses": tiers.other_addresses,
            "plan_hosts": tiers.plan_hosts,
            "planned_hosts": tiers.planned_hosts,
            "raised_limits": tiers.raised_limits,
            "tier_address": tiers.tier_address,
            "web_address": tiers.web_address,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
