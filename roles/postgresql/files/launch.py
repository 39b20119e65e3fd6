# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the package `mainstay_pitr` beside this file, with Python isolated from the caller's environment (python3 -I)."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mainstay_pitr.cli import main

if __name__ == "__main__":
    sys.exit(main())
