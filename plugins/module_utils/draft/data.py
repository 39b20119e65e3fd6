# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases, Redis, and the variables under an app's own names, out of its packages and of what its code asks for."""

from __future__ import annotations

import re

from ..stack.placeholders import is_secret
from ..stack.variables import generated_names
from .page import Said, Todo

DRIVERS = {
    "postgresql": {"psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "asyncpg", "pg8000", "pg", "pg-promise", "postgres"},
    "mariadb": {"mysqlclient", "pymysql", "aiomysql", "asyncmy", "mariadb", "mysql-connector-python", "mysql", "mysql2"},
}
# Drivers of a database that is a file.
FILE_DRIVERS = {"better-sqlite3", "sqlite3", "sqlite", "aiosqlite", "libsql", "@libsql/client"}
QUEUES = {"celery", "rq", "django-rq", "huey", "dramatiq", "arq", "taskiq-redis", "saq", "litestar-saq", "bullmq", "bull", "bee-queue"}
# Queues that work over a database, too: over Redis where its client is required beside them.
MAYBE_QUEUES = {"django-q", "django-q2"}
CACHES = {"redis", "django-redis", "flask-caching", "ioredis", "@redis/client", "connect-redis", "channels-redis"}
# What a run makes for the app, or the host has anyway.
GIVEN = {
    *generated_names((), "postgresql", ("cache", "queue")),
    *(
        "HOST",
        "PORT",
        "WEB_CONCURRENCY",
        "FORWARDED_ALLOW_IPS",
        "MAX_WS_CONNECTIONS",
        "CELERY_CONCURRENCY",
        "CELERY_WORKER_CONCURRENCY",
        "CELERY_BEAT_SCHEDULE",
    ),
    *(
        "DB_POOL_SIZE",
        "DB_MAX_OVERFLOW",
        "HEARTBEAT_FILE",
        "NODE_OPTIONS",
        "NODE_ENV",
        "PYTHONUNBUFFERED",
        "LANG",
        "PATH",
        "HOME",
        "TMPDIR",
    ),
}
OWN_SECRET = re.compile(
    r"((DJANGO|FLASK|APP)_)?(SECRET|SECRET_KEY|SECRET_KEY_BASE)|(NEXT)?AUTH_SECRET"
    r"|([A-Z0-9]+_)*SALT|APP_KEYS|([A-Z0-9]+_)*(SESSION|COOKIE|JWT|CSRF|REFRESH|ACCESS_TOKEN|REFRESH_TOKEN)_(SECRET|SECRET_KEY)|SESSION_KEY"
)
DATABASE_NAME = re.compile(
    r"(?:[A-Z0-9]+_)??(?:DB|DATABASE|POSTGRES|POSTGRESQL|MYSQL|MARIADB|SQL|TYPEORM)"
    r"_(HOST|HOSTNAME|SERVER|PORT|NAME|DATABASE|DB|USER|USERNAME|PASSWORD|PASS|URL|URI)"
    r"|(SQLALCHEMY_DATABASE_(?:URI|URL)|DATABASE_URI)"
)
# A database that is a file, as a URL has it.
FILE_DATABASE = re.compile(r"(file:|sqlite(?:\+\w+)?:///?)/?(?:\.{0,2}/)*(?:[\w.-]+/)*([\w.-]+)(?:\?.*)?")
FILE_NAME = re.compile(r"(?:[A-Z0-9]+_)*(?:DATABASE|DB|SQLITE3?)_(?:FILE|FILENAME|PATH)")
# One below the code, whose name is put behind that of a folder: no other place can be told.
FILE_BELOW = re.compile(r"""\bjoin\([^\n]*["']([A-Z][A-Z0-9_]+)["']\s*,\s*["'](?:\./)?(\.?[\w-]+(?:/[\w-]+)*)/[\w.-]+["']""")
# Where people's files go, as a source has the folder for them.
UPLOADS = re.compile(r"((?:[\w-]+/)*uploads)/\.git(?:keep|ignore)")
ALCHEMY = {"sqlalchemy", "sqlmodel", "advanced-alchemy", "flask-sqlalchemy", "databases", "encode-databases"}
# A whole URL with the driver's name in it, and code that puts that name there itself.
WITH_DRIVER = re.compile(r"\b((?:postgresql|mysql|mariadb)\+[a-z0-9]+)://[\w$]")
DRIVER_ADDED = re.compile(r"\b(?:postgresql|mysql|mariadb)\+[a-z0-9]+(?:://)?[\"']|make_url|drivername|URL\.create")
# What a site is called, as a name or as a URL.
OWN_HOST = re.compile(r"([A-Z0-9]+_)?ALLOWED_HOSTS?|(SITE|APP|PUBLIC|SERVER|BACKEND|FRONTEND)_DOMAIN|DOMAIN|HOST_NAME")
OWN_URL = re.compile(
    r"([A-Z0-9]+_)?(SITE|BASE|APP|PUBLIC|SERVER|ROOT|EXTERNAL|BACKEND|FRONTEND|CLIENT|NEXTAUTH|AUTH)_(URL|ORIGIN|ROOT)|ORIGIN"
    r"|([A-Z0-9]+_)?(CSRF_TRUSTED_ORIGINS|CORS_ORIGINS?|CORS_ALLOWED_ORIGINS)"
)
# Where a process listens, under names of the app's.
OWN_ADDRESS = re.compile(r"(?:APP|SERVER|HTTP|API|WEB|LISTEN|BIND|NITRO|LITESTAR|FLASK_RUN|FASTAPI)_(PORT|HOST)")
# Which database it is, under a name of the app's, and the words for it.
DATABASE_KIND = re.compile(r"([A-Z0-9]+_)??(DB|DATABASE|TYPEORM)(_(ENGINE|TYPE|DIALECT|CLIENT|CONNECTION|DRIVER))?")
KINDS = {"postgresql": {"postgres", "postgresql", "pg", "pgsql", "psql"}, "mariadb": {"mysql", "mariadb", "mysql2"}}
PARTS = {"HOSTNAME": "HOST", "SERVER": "HOST", "DATABASE": "NAME", "DB": "NAME", "USERNAME": "USER", "PASS": "PASSWORD", "URI": "URL"}
REDIS_NAME = re.compile(
    r"(?:[A-Z0-9]+_)??REDIS_(URL|HOST|PORT|PASSWORD|USER|DB)|(?:CELERY_)?(BROKER)_URL|(CELERY_RESULT_BACKEND|CACHE_URL|REDIS_URI)"
)

FIXED_REDIS = re.compile(r"""rediss?://(?:localhost|127\.0\.0\.1|redis)[\w:/.]*|["'](?:localhost|127\.0\.0\.1|redis)["'], *6379""")


class Data:
    """That part of a guess; see guess.py."""

    def _required(self):
        """What the source requires, in a workspace each of its members."""
        return self.tree.node_packages(*self.members) if self.members else self.packages

    def _database(self):
        required = self._required()
        for database, drivers in DRIVERS.items():
            for package in sorted(drivers & set(required)):
                return Said(database, f"guessed from {package} in {required[package][1]}")
        provider = re.search(
            r'datasource\s+\w+\s*\{[^}]*provider\s*=\s*"(\w+)"',
            "".join(t or "" for n, t in self.tree.files.items() if n.endswith(".prisma")),
        )
        if provider and provider[1] in ("postgresql", "mysql"):
            return Said({"mysql": "mariadb"}.get(provider[1], provider[1]), "guessed from the provider of Prisma's schema")
        if provider or FILE_DRIVERS & set(required) or FILE_DATABASE.fullmatch(self.tree.sample("DATABASE_URL")):
            return None
        named = next((name for name in self.asked if name == "DATABASE_URL" or DATABASE_NAME.fullmatch(name)), None)
        if named and not (self.runtime == "python" and self.tree.has("db.sqlite3")):
            kind = "mariadb" if re.search("MYSQL|MARIADB", named) else "postgresql"
            return Said(kind, f"guessed from {named} in {self.asked[named]}; TODO: which one it is, postgresql, mariadb or none")
        return None

    def _scheme(self, database):
        if database is None or not ALCHEMY & set(self.packages):
            return
        file, match = self.tree.first(WITH_DRIVER, {**self.tree.code, **{name: self.tree.text(name) for name in self.tree.samples}})
        if match and not self.tree.first(DRIVER_ADDED)[0]:
            self.env["DATABASE_SCHEME"] = Said(match[1], f"guessed from {file}: what DATABASE_URL begins with")
            return
        names = {"pymysql": "mysql+pymysql", "aiomysql": "mysql+aiomysql", "asyncmy": "mysql+asyncmy", "asyncpg": "postgresql+asyncpg"}
        found = next((name for name in names if name in self.packages), None)
        code = "".join(self.tree.code.values())
        if found and database.value == "mariadb":
            self.env["DATABASE_SCHEME"] = Said(names[found], f"guessed from sqlalchemy and {found} in {self.packages[found][1]}")
        elif found or ("psycopg" in self.packages and "psycopg2" not in self.packages):
            scheme = names.get(found, "postgresql+psycopg")
            if not re.search(r"make_url|drivername|postgresql\+", code):
                self.env["DATABASE_SCHEME"] = Said(
                    scheme, f"guessed from sqlalchemy and {found or 'psycopg'}: what DATABASE_URL begins with"
                )

    def _redis(self):
        named = {
            purpose: next((n for n in self.asked if n.startswith(f"REDIS_{purpose.upper()}_")), None) for purpose in ("cache", "queue")
        }
        if any(named.values()):
            found = [purpose for purpose, variable in named.items() if variable]
            places = sorted({self.asked[named[purpose]] for purpose in found})
            return Said(found, f"guessed from {', '.join(filter(None, named.values()))} in {', '.join(places)}")
        purposes, reasons, required = [], [], self._required()
        queues = QUEUES | (MAYBE_QUEUES if "redis" in required else set())
        for purpose, known in (("cache", CACHES), ("queue", queues)):
            package = next((name for name in sorted(known) if name in required), None)
            # Of a queue's own client of Redis nobody knows whether it is a cache, too.
            if package and not (purpose == "cache" and queues & set(required) and package in ("redis", "ioredis")):
                purposes.append(purpose)
                reasons.append(f"{package} in {required[package][1]}")
        if purposes:
            return Said(purposes, f"guessed from {' and '.join(reasons)}; cache evicts, queue never does")
        if any(REDIS_NAME.fullmatch(name) and "REDIS" in name for name in self.asked):
            return Said(["cache"], "guessed from a variable REDIS_…; TODO: queue, if nothing of it may be lost")
        return None

    def _fixed_redis(self, redis):
        """A Redis is there and the source has an address of its own, under which there is none."""
        if redis and not any("REDIS" in name or "BROKER" in name or name == "CACHE_URL" for name in self.asked):
            file, match = self.tree.first(FIXED_REDIS)
            if match:
                self.todo.append(
                    f'{file} names a Redis of its own ({match[0]}): let it say os.environ["REDIS_{redis.value[0].upper()}_URL"]'
                    if self.runtime == "python"
                    else f"{file} names a Redis of its own ({match[0]}): let it say process.env.REDIS_{redis.value[0].upper()}_URL"
                )

    def _secrets(self):
        names = sorted(name for name in self.asked if OWN_SECRET.fullmatch(name))
        if not names:
            return None
        return Said(names, f"made at random once; guessed from {', '.join(sorted({self.asked[name] for name in names}))}")

    def _environment(self, database, redis):
        """The variables under the app's own names, and a line about those that nobody can guess."""
        env = self.env
        secrets = {name for name in self.asked if OWN_SECRET.fullmatch(name)}
        unknown, required, below = [], self.tree.required(), self._files_below(database)
        for name, file in sorted(self.asked.items()):
            kept = None if database else FILE_DATABASE.fullmatch(self.tree.sample(name))
            if name in below:
                continue
            if not kept and not database and FILE_NAME.fullmatch(name):
                sample = self.tree.sample(name).rpartition("/")[2]
                value = f"/srv/{self.name}/shared/{sample or 'db.sqlite3'}"
                env[name] = Said(value, f"guessed from {file}: a file that all releases have in common")
                continue
            if kept:
                # The release is read-only, and the next one is another folder.
                value = f"{kept[1].partition('/')[0]}{'' if kept[1] == 'file:' else '///'}/srv/{self.name}/shared/{kept[2]}"
                env[name] = Said(value, f"guessed from {file}: a file that all releases have in common")
                continue
            if name in secrets or name in GIVEN or name in env:
                continue
            value, why = self._own_name(name, database, redis), f"guessed from {file}, which asks for it"
            if not value and (OWN_HOST.fullmatch(name) or OWN_URL.fullmatch(name)):
                site, sample = self._host()[0], self.tree.sample(name)
                is_url = "://" in sample if sample else OWN_URL.fullmatch(name)
                value, why = f"https://{site}" if is_url else site, f"{why}; TODO: your host name"
                value = f'["{value}"]' if sample.startswith("[") else value
            if not value and OWN_ADDRESS.fullmatch(name):
                continue  # it is the process's own
            if value:
                env[name] = Said(value, why)
            else:
                # Those first without which the app does not start.
                place = 0 if name in required else 1 if DATABASE_KIND.fullmatch(name) and database else 2
                unknown.append((place, f"{name} ({file}{', a secret: from a vault' if is_secret(name) else ''})"))
        todo, unknown = None, [text for _place, text in sorted(unknown, key=lambda item: item[0])]
        if unknown:
            more = f" and {len(unknown) - 15} more" if len(unknown) > 15 else ""
            todo = Todo(f"the source asks for these, too; give in env what it needs: {', '.join(unknown[:15])}{more}")
        return (Said(dict(sorted(env.items()))) if env else None), todo

    def _files_below(self, database):
        """Variables that name a file below the code, each with its folder and what says so; none where a server has the data."""
        if database:
            return {}
        return {match[1]: (match[2], file) for file, match in self.tree.search(FILE_BELOW) if FILE_NAME.fullmatch(match[1])}

    def _kept(self, database):
        """Folders of the source that hold what people or the app have put there."""
        below = {folder: f"a database is a file there, says {file}" for folder, file in self._files_below(database).values()}
        return below | {match[1]: f"guessed from {file}" for file in sorted(self.tree.files) if (match := UPLOADS.fullmatch(file))}

    def _own_name(self, name, database, redis):
        match = DATABASE_NAME.fullmatch(name)
        if match and database:
            return f"$DATABASE_{PARTS.get(match[1], match[1]) if match[1] else 'URL'}"
        if database and DATABASE_KIND.fullmatch(name) and self.tree.sample(name).lower() in KINDS[database.value]:
            return self.tree.sample(name)
        match = REDIS_NAME.fullmatch(name)
        if match and redis:
            wanted = "cache" if name == "CACHE_URL" else "queue"
            purpose = wanted if wanted in redis.value else redis.value[0]
            return f"$REDIS_{purpose.upper()}_{match[1] or 'URL'}"
        return None
