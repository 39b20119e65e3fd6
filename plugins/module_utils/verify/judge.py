# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checklists: each item says what it requires, looks at what was gathered, and says what it saw, what is wrong and what helps.

Nothing here asks a host. ``requirements`` are the numbers of the demands that an item answers to; docs/verification.md has the list.
"""

from __future__ import annotations

from . import items_backups_and_alerts, items_configuration, items_network, items_on_request, items_room, items_running
from .checklist import LIMITS, Context

ITEMS = [
    *items_configuration.ITEMS,
    *items_network.ITEMS,
    *items_running.ITEMS,
    *items_room.ITEMS,
    *items_backups_and_alerts.ITEMS,
    *items_on_request.ITEMS,
]


def judge(want, found, host, control, limits=None, waived=None):
    """Every item with its verdict. ``waived`` maps ids to the reason why somebody does without."""
    context = Context(want, found, host, control, {**LIMITS, **(limits or {})})
    items = []
    for entry in ITEMS:
        told = {key: entry[key] for key in ("id", "title", "requirements", "checklists")}
        verdict = entry["judge"](context)
        if verdict["verdict"] == "failed" and entry["id"] in (waived or {}):
            verdict = {**verdict, "verdict": "skipped", "reason": f"waived: {waived[entry['id']]} ({verdict['reason']})", "remedy": ""}
        items.append({**told, **verdict, "host": want["host"]})
    return items


def check_options(limits, waived):
    """Refuse a limit or an item that does not exist: a slip of the pen would count as not written."""
    for where, given, known in (
        ("mainstay_verify_limits", limits, LIMITS),
        ("mainstay_verify_waived", waived, [entry["id"] for entry in ITEMS]),
    ):
        for name in given or {}:
            if name not in known:
                raise ValueError(f"{where}: there is no {name!r}. Use {', '.join(known)}.")
    for name, value in (limits or {}).items():
        if isinstance(value, bool) or not str(value).replace(".", "", 1).isdigit():
            raise ValueError(f"mainstay_verify_limits.{name}: {value!r} cannot be used. Write a number; the default is {LIMITS[name]}.")
    for name, value in (waived or {}).items():
        if not str(value or "").strip():
            raise ValueError(f"mainstay_verify_waived.{name}: say why nobody needs it; the reason is in the report.")
