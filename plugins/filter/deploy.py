# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment, model, removal, steps, way_back
from ansible_collections.mainstay.vps.plugins.module_utils.stack import variables
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error, refused_in_words


class FilterModule:
    def filters(self):
        filters = {
            "backend_env_file": variables.env_text,
            "backend_environment": environment.environment,
            "backend_model": model.model,
            "backend_preparation": steps.preparation,
            "backend_takeover": steps.takeover,
            "backend_completion": steps.completion,
            "backend_retreat": steps.retreat,
            "backend_report": steps.report,
            "removal": removal.removal,
            "removal_places": removal.places,
            "removal_report": removal.told,
        }
        asked = {"removal_request": removal.request, "way_back": way_back.way_back}  # of whom runs a playbook with -e
        return {
            **{name: refused_as_filter_error(function) for name, function in filters.items()},
            **{name: refused_in_words(function) for name, function in asked.items()},
        }
