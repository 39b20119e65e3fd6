# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: read once from the environment, refused early and all at once when incomplete."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

APP = "shop"
RELEASE = Path(__file__).resolve().parents[1].name
REQUIRED = ("DATABASE_URL", "REDIS_CACHE_URL", "REDIS_QUEUE_URL", "SECRET_KEY")


@dataclass(frozen=True, repr=False)
class Settings:
    database_url: str
    redis_cache_url: str
    redis_queue_url: str
    secret_key: bytes
    db_pool_size: int
    db_max_overflow: int
    db_prepared_statements: bool
    max_ws_connections: int
    log_level: str
    heartbeat_file: Path | None
    smtp_url: str | None
    faults: bool

    @classmethod
    def load(cls, env: Mapping[str, str]) -> Settings:
        missing = [name for name in REQUIRED if not env.get(name)]
        if missing:
            raise SystemExit(f"{APP}: set {', '.join(missing)} in the environment")
        if len(env["SECRET_KEY"]) < 32:
            raise SystemExit(f"{APP}: SECRET_KEY needs at least 32 characters")
        heartbeat = env.get("HEARTBEAT_FILE")
        return cls(
            database_url=env["DATABASE_URL"],
            redis_cache_url=env["REDIS_CACHE_URL"],
            redis_queue_url=env["REDIS_QUEUE_URL"],
            secret_key=env["SECRET_KEY"].encode(),
            db_pool_size=int(env.get("DB_POOL_SIZE", "5")),
            db_max_overflow=int(env.get("DB_MAX_OVERFLOW", "5")),
            db_prepared_statements=env.get("DB_PREPARED_STATEMENTS", "1") not in ("0", "false"),
            max_ws_connections=int(env.get("MAX_WS_CONNECTIONS", "100")),
            log_level=env.get("LOG_LEVEL", "info").upper(),
            heartbeat_file=Path(heartbeat) if heartbeat else None,
            smtp_url=env.get("SMTP_URL") or None,
            faults=env.get("FAULTS") == "1",
        )

    def heartbeat(self) -> None:
        """Tell the supervisor that this process still turns."""
        if self.heartbeat_file:
            self.heartbeat_file.touch()


settings = Settings.load(os.environ)
