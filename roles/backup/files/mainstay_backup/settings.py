# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role backup has written down for this host, and where everything lies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

CONFIG = "/etc/mainstay/backup/config.json"
PASSWORD_FILE = "/etc/mainstay/backup/password"
SSH_KEY = "/etc/mainstay/backup/ssh_key"
KNOWN_HOSTS = "/etc/mainstay/backup/known_hosts"
STATE = "/var/lib/mainstay/backup"
CACHE = "/var/cache/mainstay-backup"
LOCK = "/run/lock/mainstay/backup.lock"
KEPT = "/var/backups/mainstay/restored"


class BackupError(Exception):
    """Something that did not work, in words for an operator; never with a secret in it."""


@dataclass(frozen=True)
class Settings:
    repository: str
    host: str
    parts: list
    keep: dict
    environment: dict = field(default_factory=dict)
    hooks: dict = field(default_factory=dict)
    password_file: str = PASSWORD_FILE
    state: str = STATE
    cache: str = CACHE
    kept: str = KEPT

    def part(self, name):
        for part in self.parts:
            if part["name"] == name:
                return part
        raise BackupError(f"there is no part {name}; there are {', '.join(part['name'] for part in self.parts)}")


def load(path=CONFIG):
    with open(path, encoding="utf-8") as file:
        return Settings(**json.load(file))
