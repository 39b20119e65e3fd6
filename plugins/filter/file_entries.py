# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


def file_entries(items, dest, template, variable, **attributes):
    """One entry for config_set from each item: ``{name}`` in dest is the item's name, the template sees the item."""
    return [
        {"dest": dest.format(name=item["name"]), "template": template, "vars": {variable: item}, **attributes}
        for item in items
    ]


class FilterModule:
    def filters(self):
        return {"file_entries": file_entries}
