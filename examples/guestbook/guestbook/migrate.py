# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the table. Runs once per release, before it takes traffic."""

from __future__ import annotations

from guestbook.db import engine, metadata

if __name__ == "__main__":
    metadata.create_all(engine)
