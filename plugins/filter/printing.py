# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible import constants
from ansible_collections.mainstay.vps.plugins.module_utils import text


def as_printed(lines):
    """Lines in the form that debug prints one below the other: in YAML one text, since a list of them is quoted and folded, as is a text
    without a line break; in JSON a list, since a text would be one line."""
    shown = [text.printable(line).rstrip() for line in lines]
    is_yaml = constants.config.get_config_value("result_format", plugin_type="callback", plugin_name="default") == "yaml"
    return "".join(f"{line}\n" for line in shown) if is_yaml else shown


class FilterModule:
    def filters(self):
        return {"as_printed": as_printed}
