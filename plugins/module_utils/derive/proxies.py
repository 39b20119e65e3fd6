# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables of what downloads and builds to those that name a proxy."""

from __future__ import annotations

NAMES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


def proxies(environment):
    """The variables that say which proxies to take, in the spelling that they have."""
    return {name: value for name, value in (environment or {}).items() if name.lower() in NAMES}
