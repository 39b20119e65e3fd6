# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.verify import report
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        filters = {
            "drift": report.drift,
            "verification": report.verification,
            "verification_message": report.message,
            "verification_page": report.page,
            "verification_table": report.table,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
