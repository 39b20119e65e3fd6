# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's firewall has turned away, as the counters of its table say. Reading only, which the kernel lets root alone do."""

from __future__ import annotations

import re

from .units import SystemdError

QUESTION = ["nft", "--terse", "list", "table", "inet", "mainstay"]
# The last rule of a chain counts what none before has let in; what an address has beyond its part is counted where it is refused.
CLOSED = re.compile(r'counter packets (\d+) bytes \d+ (?:drop )?comment "(?:closed|published) ports"')
BEYOND = re.compile(r"counter packets (\d+) bytes \d+ (?:drop|reject)(?! comment)")


def look(run):
    """None where that cannot be told, as behind ufw; else both numbers since the rules were loaded, and a sentence for `mainstay status`."""
    try:
        rules = run(QUESTION)
    except SystemdError:
        return None
    closed = CLOSED.findall(rules)
    if not closed:
        return None
    beyond, dropped = sum(map(int, BEYOND.findall(rules))), sum(map(int, closed))
    sentence = f"Firewall: since its rules were loaded, {dropped} packets to closed ports and {beyond} connections beyond an address's part refused"
    return {"closed": dropped, "beyond": beyond, "sentence": sentence}
