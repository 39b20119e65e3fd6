# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment
from ansible_collections.mainstay.vps.plugins.module_utils.derive import backup
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        filters = {
            "backup_check_environment": environment.check_environment,
            "backup_hooks": backup.backup_hooks,
            "backup_parts": backup.backup_parts,
            "backup_writable": backup.backup_writable,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
