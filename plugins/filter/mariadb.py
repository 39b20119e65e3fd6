# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils import mariadb
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        return {
            "mariadb_databases": refused_as_filter_error(mariadb.databases),
            "mariadb_differing": refused_as_filter_error(mariadb.differing),
            "mariadb_missing": refused_as_filter_error(mariadb.missing),
            "mariadb_password_hash": refused_as_filter_error(mariadb.password_hash),
            "mariadb_set_statements": refused_as_filter_error(mariadb.set_statements),
            "mariadb_settings": refused_as_filter_error(mariadb.settings),
        }
