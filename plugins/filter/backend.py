# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils import backend, backend_changes, egress, releases
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        return {
            "backend_env_file": refused_as_filter_error(releases.env_text),
            "backend_environment": refused_as_filter_error(backend.environment),
            "backend_model": refused_as_filter_error(backend.model),
            "backend_preparation": refused_as_filter_error(backend_changes.preparation),
            "backend_takeover": refused_as_filter_error(backend_changes.takeover),
            "backend_completion": refused_as_filter_error(backend_changes.completion),
            "egress_chains": refused_as_filter_error(egress.egress_chains),
            "backend_retreat": refused_as_filter_error(backend_changes.retreat),
            "backend_report": refused_as_filter_error(backend_changes.report),
        }
