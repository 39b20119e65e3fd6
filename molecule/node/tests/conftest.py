# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests of this scenario need."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def no_backup_timers(host):
    """The backup's timers would start another one between a test and what it looks at."""
    timers = host.check_output("systemctl list-units --plain --no-legend 'mainstay-backup*.timer' | cut --delimiter=' ' --fields=1").split()
    host.check_output(f"systemctl stop {' '.join(timers)}")
    yield
    host.check_output(f"systemctl start {' '.join(timers)}")
