# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``python3 /usr/local/lib/mainstay/recovery`` runs: settles the transactions of files that were cut off."""

from __future__ import annotations

from files.journal import main

if __name__ == "__main__":
    raise SystemExit(main())
