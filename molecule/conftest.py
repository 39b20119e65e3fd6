# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what the host's journal says when a test fails."""

from __future__ import annotations

import pytest

LINES = "60"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Add the journal of the units that have failed, and of the whole host since the test began."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        listed = host.run("systemctl list-units --state=failed --plain --no-legend").stdout
        for unit in [line.split()[0] for line in listed.splitlines()]:
            said = host.run("journalctl --no-pager --lines %s --unit %s", LINES, unit).stdout
            report.sections.append((f"journal of {unit}, which has failed", said))
        said = host.run("journalctl --no-pager --lines %s --since %s", LINES, f"@{call.start:.0f}").stdout
        report.sections.append(("journal since the test began", said))
    return report
