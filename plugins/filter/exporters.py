# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.derive import exporters
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        filters = {
            "exporters": exporters.exporters,
            "exporter_units": exporters.exporter_units,
            "exporters_left": exporters.exporters_left,
            "scrape_configs": exporters.scrape_configs,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
