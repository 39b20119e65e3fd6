# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three that make backups: mainstay, borgmatic, and pg_dump and tar in cron; and what is broken of them, which test_z_hard.py has, too."""

from __future__ import annotations

import importlib
import shlex
import sys
from dataclasses import dataclass

from hosts import ROOT

sys.path[:0] = [str(ROOT / "molecule/shared/tests"), str(ROOT / "molecule/node/tests")]
hard = importlib.import_module("test_z_hard")
declared = importlib.import_module("plays").declared

SHARED = hard.SHARED
PSQL = "cd /; runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1"
SCRIPT = f"""#!/bin/bash
BACKUP_DIR=/mnt/cron
DATE=$(date +%Y-%m-%d_%H-%M-%S)
sudo -u postgres pg_dump chat | gzip > $BACKUP_DIR/chat_$DATE.sql.gz
tar -czf $BACKUP_DIR/files_$DATE.tar.gz {SHARED}
find $BACKUP_DIR -type f -mtime +7 -delete
"""
SEND = "rsync -az --delete -e 'ssh -p 2222 -i /root/peer_key -o UserKnownHostsFile=/root/peer_hosts' /mnt/cron/ keeper@127.0.0.1:cron/\n"
BORGMATIC = {
    "location": {"source_directories": [SHARED], "repositories": ["/mnt/borg"]},
    "storage": {"encryption_passcommand": "cat /etc/borgmatic/passphrase"},
    "retention": {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 6},
    "consistency": {"checks": [{"name": "repository"}, {"name": "archives"}]},
    "hooks": {
        "postgresql_databases": [
            {"name": "chat", "pg_dump_command": "runuser -u postgres -- pg_dump", "psql_command": "runuser -u postgres -- psql"}
        ]
    },
}


@dataclass(frozen=True)
class Tool:
    """What makes a backup, where it keeps it, and what fetches the newest one: its dump into $out/dump, its folder into $out/files."""

    name: str
    repository: str
    password: str
    unit: str
    start: str
    fetch: str = ""


def peer(command):
    output = "--property=StandardOutput=append:/run/said --property=StandardError=inherit"
    return f"systemctl reset-failed peer 2>/dev/null; systemd-run --quiet --unit=peer {output} {command}"


TOOLS = {
    "mainstay": Tool("mainstay", "/mnt/backups", hard.PASSWORD, "mainstay-backup", "systemctl start mainstay-backup"),
    "borgmatic": Tool(
        "borgmatic", "/mnt/borg", "/etc/borgmatic/passphrase", "peer", peer("--setenv=HOME=/root /usr/bin/borgmatic"),
        "borgmatic extract --archive latest --destination $out && cp $(find $out -path '*postgresql_databases*/chat' -type f) $out/dump &&"
        f" mv $out{SHARED} $out/files",
    ),
    "pg_dump in cron": Tool(
        "pg_dump in cron", "/mnt/cron", "", "peer", peer("/usr/local/bin/backup.sh"),
        "if [ -z \"$(find /mnt/cron -name 'chat_*' -newer /run/began)\" ]; then echo nothing new is there; exit 1; fi;"
        " gunzip -c $(ls -t /mnt/cron/chat_* | head -n 1) > $out/dump && mkdir $out/all && tar -C $out/all -xzf $(ls -t /mnt/cron/files_* | head -n 1) &&"
        f" mv $out/all{SHARED} $out/files",
    ),
}  # fmt: skip


def sql(statements, database="chat"):
    return f"{PSQL} {database} --command={shlex.quote(statements)}"
