# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's firewall has turned away, as the counters of its table say. Reading only, which the kernel lets root alone do."""

from __future__ import annotations

import re

from .units import SystemdError

QUESTION = ["nft", "list", "chain", "inet", "mainstay", "input"]
# The last rule counts what none before has let in; what an address has beyond its part is counted where it is refused.
CLOSED = re.compile(r'counter packets (\d+) bytes \d+ comment "closed ports"')
BEYOND = re.compile(r"counter packets (\d+) bytes \d+ (?:drop|reject)")


def look(run):
    """None where that cannot be told, as behind ufw; else both numbers since the rules were loaded, and a sentence for `mainstay status`."""
    try:
        rules = run(QUESTION)
    except SystemdError:
        return None
    closed = CLOSED.search(rules)
    if not closed:
        return None
    beyond = sum(map(int, BEYOND.findall(rules)))
    dropped = int(closed[1])
    sentence = f"Firewall: since its rules were loaded, {dropped} packets to closed ports and {beyond} connections beyond an address's part refused"
    return {"closed": dropped, "beyond": beyond, "sentence": sentence}
