# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils import databases
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        return {
            name: refused_as_filter_error(getattr(databases, name))
            for name in (
                "pgbouncer_databases",
                "pgbouncer_settings",
                "postgresql_databases",
                "postgresql_extensions_missing",
                "postgresql_index_work",
                "postgresql_invalid_indexes",
                "postgresql_missing",
                "postgresql_open",
                "postgresql_remote_access",
                "postgresql_settings",
                "scram_verifier",
            )
        }
