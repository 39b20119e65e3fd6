# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When we keep our hands off: a list of functions, each with one reason. Later reasons are further entries."""

from __future__ import annotations

import json
import os

from .limits import Hold
from .shapes import MAINTENANCE, fits


def read_maintenance(path, now):
    """The maintenance flag {until, by, reason} while it is valid, else None. Times are of the wall clock."""
    try:
        with open(path, encoding="utf-8") as file:
            flag = json.load(file)
    except (OSError, ValueError):
        return None
    return flag if fits(flag, MAINTENANCE) and now < flag["until"] else None


class Guards:
    def __init__(self, settings, paths, clock, booted):
        self.settings, self.paths, self.clock, self.booted = settings, paths, clock, booted
        self.rules = (self.booting, self.maintenance, self.deploying, self.lacking)
        self.servers = {}  # name: its watch

    def hold(self, process):
        for rule in self.rules:
            found = rule(process)
            if found:
                return found
        return None

    def booting(self, process):
        until = self.booted + self.settings.boot_grace
        return Hold("the system has just started", until) if self.clock.monotonic() < until else None

    def maintenance(self, process):
        flag = read_maintenance(self.paths.maintenance, self.clock.time())
        if not flag:
            return None
        return Hold("maintenance is on", self.clock.monotonic() + flag["until"] - self.clock.time())

    def deploying(self, process):
        """A deploy holds a lock file of its app, which counts until the time it was modified at: one left behind, for a while only.

        A server is left alone while any app is deployed.
        """
        if process is None:
            return None
        for app in self._locked() if process.kind == "server" else [process.app]:
            try:
                left = os.stat(os.path.join(self.paths.locks, f"{app}.deploy")).st_mtime - self.clock.time()
            except OSError:
                continue
            if left > 0:
                return Hold(f"{app} is being deployed", self.clock.monotonic() + left)
        return None

    def _locked(self):
        try:
            return sorted(name.removesuffix(".deploy") for name in os.listdir(self.paths.locks) if name.endswith(".deploy"))
        except OSError:
            return []

    def lacking(self, process):
        """A restart gives an app nothing back that its server cannot give, and takes from it what it still has."""
        absences = (self.servers[name].absence() for name in (process.needs if process else ()) if name in self.servers)
        return next((absence for absence in absences if absence), None)
