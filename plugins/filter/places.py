# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps, places
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


def _missing(declared, host, hostname):
    return places.missing(apps.normalise(declared), host, hostname)


class FilterModule:
    def filters(self):
        return {"asked_places": places.asked_of_host, "missing_places": refused_as_filter_error(_missing)}
