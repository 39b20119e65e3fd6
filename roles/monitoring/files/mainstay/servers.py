# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of this host that apps share or depend on, as the configuration names them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from .checks import ConfigError, mapping, number, unit_name

# How each is asked, and for which its children must rest, too, until it counts as frozen: those that answer in its place.
PROBES = {"hangup": True, "mysql": False, "postgresql": False, "redis": False}


@dataclass(frozen=True)
class Server:
    """One server: one unit."""

    name: str
    unit: str
    probe: dict | None = field(default=None, hash=False)

    kind = "server"
    silent = False
    needs = ()
    patience = None
    memory_max_mb = None  # systemd knows it

    @property
    def place(self):
        """How records name it."""
        return {"server": self.name}

    @property
    def job(self):
        return self.unit

    @property
    def names(self):
        """What it may be called on the command line."""
        return (self.name, self.name.partition("/")[0], self.unit, self.unit.rpartition(".")[0])


def server(data, where):
    """An entry of `servers` in the configuration."""
    mapping(data, where, {item.name for item in fields(Server)}, {"name", "unit"})
    if not isinstance(data["name"], str) or not data["name"]:
        raise ConfigError(f"{where}.name is {data['name']!r}; write a text")
    unit_name(data["unit"], f"{where}.unit")
    if data.get("probe") is not None:
        probe = data["probe"]
        mapping(probe, f"{where}.probe", {"kind", "host", "port", "username", "timeout"}, {"kind", "port"})
        if not isinstance(probe["kind"], str) or probe["kind"] not in PROBES:
            raise ConfigError(f"{where}.probe.kind is {probe['kind']!r}; use one of {', '.join(PROBES)}")
        for key in ("host", "username"):
            if not isinstance(probe.get(key, ""), str):
                raise ConfigError(f"{where}.probe.{key} is {probe[key]!r}; write a text")
        number(probe["port"], f"{where}.probe.port", 1, 65535, whole=True)
        number(probe.get("timeout", 1), f"{where}.probe.timeout", 0.1, 60)
    return Server(**data)
