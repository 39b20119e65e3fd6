# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.derive import outside, proof
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


class FilterModule:
    def filters(self):
        filters = {
            "lasting_listeners": proof.lasting_listeners,
            "outside": outside.outside,
            "ports_of_any_address": proof.ports_of_any_address,
            "proof_probes": proof.proof_probes,
            "summary": proof.summary,
            "undeclared_listeners": proof.undeclared_listeners,
            "visited_at": outside.visited_at,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
