# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One release of one app on one host: where it lies, who makes it, and what it is given."""

from __future__ import annotations

from ..stack import references
from . import confinement


class Job:
    """What the module ``release`` was asked for, and the places that follow from it."""

    def __init__(self, params):
        self.params = params
        self.app = params["app"]
        self.user = params["user"] or self.app
        self.build_user = params["build_user"] or f"{self.user}-build"
        self.root = params["root"] or f"/srv/{self.app}"
        self.cache = f"{confinement.CACHE}/{self.app}"
        self.path = f"{self.root}/releases/{params['id']}"
        self.directory = params["source"].get("directory", "")
        self.place = f"{self.path}/{self.directory}".rstrip("/")
        self.environment = params["environment"]
        self.private = params["app_environment"]
        self.secrets = [self.private[name] for name in params["secrets"] if name in self.private]

    def declared(self, item):
        """The variables that a command of the build declares; of the app's own it sees those it names, and no other."""
        return {name: references.resolve(value, self.private) for name, value in item["env"].items()}
