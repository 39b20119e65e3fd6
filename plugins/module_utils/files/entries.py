# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of ``config_set`` made from lists."""

from __future__ import annotations


def copy_entries(paths, source, dest, **attributes):
    """One entry for config_set from each file below ``source``, to the same place below ``dest``."""
    for path in paths:
        if not path.startswith(f"{source}/"):
            raise ValueError(f"copy_entries: {path} is not below {source}. Give both as real paths.")
    return [{"dest": dest + path[len(source) :], "file": path, **attributes} for path in sorted(paths)]


def file_entries(items, dest, template, variable, **attributes):
    """One entry for config_set from each item: ``{name}`` in dest is the item's name, the template sees the item."""
    return [{"dest": dest.format(name=item["name"]), "template": template, "vars": {variable: item}, **attributes} for item in items]
