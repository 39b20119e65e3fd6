# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.derive import firewall, ufw
from ansible_collections.mainstay.vps.plugins.module_utils.stack import refusal
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        filters = {
            "firewall_rules": firewall.firewall_rules,
            "networks": refusal.networks_of,
            "nft_published_rules": firewall.nft_published_rules,
            "nft_rules": firewall.nft_rules,
            "nft_sets": firewall.nft_sets,
            "nft_ssh_rules": firewall.nft_ssh_rules,
            "ufw_changes": ufw.ufw_changes,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
