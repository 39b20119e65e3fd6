# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.derive import postgresql
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        filters = {
            "postgresql_databases": postgresql.postgresql_databases,
            "postgresql_extensions_missing": postgresql.postgresql_extensions_missing,
            "postgresql_index_work": postgresql.postgresql_index_work,
            "postgresql_invalid_indexes": postgresql.postgresql_invalid_indexes,
            "postgresql_missing": postgresql.postgresql_missing,
            "postgresql_open": postgresql.postgresql_open,
            "postgresql_remote_access": postgresql.postgresql_remote_access,
            "postgresql_settings": postgresql.postgresql_settings,
            "postgresql_superuser": postgresql.postgresql_superuser,
            "postgresql_version": postgresql.postgresql_version,
            "scram_verifier": postgresql.scram_verifier,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
