# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the role backup as they lie on a host, importable as `mainstay_backup`, with what they share beside them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "roles/backup/files"))

import mainstay_backup

mainstay_backup.__path__ += [str(ROOT / "plugins/module_utils/stack"), str(ROOT / "plugins/module_utils")]
