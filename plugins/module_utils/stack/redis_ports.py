# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port each Redis instance has: one instance for each app and purpose, so that none reads, fills or flushes another's.

An instance keeps its port for good: its host has it on record, in a link that names nothing and is only read, and whose target is the
port. A new instance gets the lowest free one.
"""

from __future__ import annotations

from .apps import normalise
from .refusal import DeclarationError
from .services import REDIS_PORTS

RECORDS = "/var/lib/mainstay/redis"


def instance_name(app_name, purpose):
    return f"{app_name}-{purpose}"


def recorded_ports(paths):
    """The ports on record in the paths of a snapshot, by instance."""
    found = {}
    for path, entry in paths.items():
        folder, _slash, name = path.rpartition("/")
        if folder == RECORDS and (entry.get("target") or "").isdigit():
            found[name] = int(entry["target"])
    return found


def assigned_ports(apps, recorded=None):
    """The port of each instance, ``{app: {purpose: port}}``: the recorded one, or the lowest that is nobody's.

    :raises DeclarationError: there are more instances than ports.
    """
    wanted = [(name, purpose) for name, app in sorted(normalise(apps).items()) for purpose in app["redis"]]
    kept = {name: port for name, port in (recorded or {}).items() if port in REDIS_PORTS}
    free = [port for port in REDIS_PORTS if port not in kept.values()]
    ports = {}
    for app_name, purpose in wanted:
        name = instance_name(app_name, purpose)
        if name not in kept and not free:
            raise DeclarationError(
                f"mainstay_apps.{app_name}.redis",
                purpose,
                f"All ports from {REDIS_PORTS[0]} to {REDIS_PORTS[-1]} are taken; let another host serve some of the apps.",
            )
        ports.setdefault(app_name, {})[purpose] = kept[name] if name in kept else free.pop(0)
    return ports
