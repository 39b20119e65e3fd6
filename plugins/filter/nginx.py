# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.derive import nginx, passwords
from ansible_collections.mainstay.vps.plugins.module_utils.stack import versions
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        filters = {
            "nginx_collision": nginx.nginx_collision,
            "nginx_password_files": passwords.nginx_password_files,
            "nginx_sites": nginx.nginx_sites,
            "nginx_upstreams": nginx.nginx_upstreams,
            "nginx_version": versions.nginx_version,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
