# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils import fleet
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        return {
            "enumeration": fleet.enumeration,
            "listen_addresses": fleet.listen_addresses,
            "other_addresses": fleet.other_addresses,
            "raised_limits": fleet.raised_limits,
            "plan_hosts": refused_as_filter_error(fleet.plan_hosts),
            "stack_packages": refused_as_filter_error(fleet.stack_packages),
            "tier_address": fleet.tier_address,
            "web_address": fleet.web_address,
        }
