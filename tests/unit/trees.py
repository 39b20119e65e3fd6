# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees that no user would make."""

from __future__ import annotations

import os


def deepen(place, levels):
    """Make so many folders in each other below a folder; returns a descriptor of the last, for whose path no call has room."""
    parent = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    for _level in range(levels):
        os.mkdir("d", dir_fd=parent)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)
        os.close(parent)
        parent = below
    return parent
