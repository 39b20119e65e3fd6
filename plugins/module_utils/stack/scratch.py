# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that stand for a while beside an app's own, by what comes before its name. The backup's programs on a host have this file, too."""

from __future__ import annotations

OURS = "mainstay_"
DRILL = f"{OURS}drill_"  # into which a drill restores
RESTORED = f"{OURS}restore_"  # into which a restore does, before it takes the app's place
ASIDE = f"{OURS}before_"  # the app's own, while that happens
