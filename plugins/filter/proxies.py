# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.derive import proxies


class FilterModule:
    def filters(self):
        return {"proxies": proxies.proxies}
