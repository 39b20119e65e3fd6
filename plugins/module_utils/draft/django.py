# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Django is told by its settings: which of them, where files lie, and what keeps visitors out or data in a release."""

from __future__ import annotations

import re

from .data import DRIVERS, FILE_NAME, OWN_SECRET
from .page import Said
from .python import dotted

SETTINGS = re.compile(r"(.*/)?settings(/\w+)?\.py")
OF_DEVELOPMENT = re.compile(r"[/_](dev|local|test|development)\.py$")
PRODUCTION = re.compile(r"(.*/)?settings[/_](production|prod)\.py")
# A folder below the top of a Django project: BASE_DIR / "static", os.path.join(BASE_DIR, "static")
ROOT_FOLDER = r"^ *{}\s*=[^\n]*?\b(?:BASE|ROOT|PROJECT_ROOT)\w*\W+[\"']([\w-]+(?:/[\w-]+)*)/?[\"']\)*\s*(?:#.*)?$"
URL_READERS = {"dj-database-url", "django-environ", "environs"}
SQLITE_FILE = re.compile(r"[\"'][\w/-]*\.(?:sqlite3?|db)[\"']")
COMPRESSED = re.compile(r"^ *COMPRESS_OFFLINE\s*=\s*True", re.MULTILINE)
HOST = re.compile(r"[\"']([a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.[a-z]{2,})[\"']")
HOSTS_ALLOWED = re.compile(r"^ *ALLOWED_HOSTS\s*=\s*\[([^\]]*)\]", re.MULTILINE)


class Django:
    """That part of a guess; see guess.py."""

    def _collectstatic(self):
        return self._manage("collectstatic --noinput")

    def _compressed(self):
        """The file whose settings leave no page uncompressed until it is asked for (django-compressor), so that a build has to do it."""
        return "django-compressor" in self.packages and self.tree.first(COMPRESSED, self._settings())[0]

    def _manage(self, arguments):
        """A build sees no variable of the app but those it names: the settings it reads, and what they cannot do without."""
        command, env = f"python manage.py {arguments}", {}
        settings = self.env.get("DJANGO_SETTINGS_MODULE")
        if settings and settings.value not in self.tree.text("manage.py"):
            env["DJANGO_SETTINGS_MODULE"] = "$DJANGO_SETTINGS_MODULE"
        asked = "".join(text for name, text in self._settings().items() if not OF_DEVELOPMENT.search(name))
        for name in sorted({*self.env, *(name for name in self.asked if OWN_SECRET.fullmatch(name))}):
            if re.search(rf"(?:environ\[|\b(?:env|config)(?:\.[a-z]\w*)?\(|\bget_?env\w*\()[\"']{name}[\"']\s*[\])]", asked):
                env[name] = f"${name}"
        return {"command": command, "env": env} if env else command

    def _is_django(self):
        return bool(self.tree.has("manage.py") and ("django" in self.packages or "DJANGO_SETTINGS" in self.tree.text("manage.py")))

    def _settings(self):
        if not self.is_django:
            return {}
        return {name: text for name, text in self.tree.code.items() if SETTINGS.fullmatch(name)}

    def _folder(self, setting):
        """A folder of Django's settings below the top of the project, and the file that says so."""
        file, match = self.tree.first(re.compile(ROOT_FOLDER.format(setting), re.MULTILINE), self._settings())
        return (match[1], file) if match else None

    def _used_settings(self):
        return {name: text for name, text in self._settings().items() if not OF_DEVELOPMENT.search(name)}

    def _host(self):
        """The name of its site, and what is said of it."""
        file, match = self.tree.first(HOSTS_ALLOWED, self._used_settings()) if self.is_django else (None, None)
        host = match and HOST.search(match[1])
        return (host[1], f"guessed from ALLOWED_HOSTS in {file}") if host else (f"{self.name}.example.com", "TODO: your host name")

    def _django_settings(self):
        """Which settings, and what of them keeps visitors out, or data in a release."""
        told = re.search(r"DJANGO_SETTINGS_MODULE[\"'], *[\"']([\w.]+)", self.tree.text("manage.py"))
        if not self.is_django or not told:
            return
        value, why = told[1], "guessed from manage.py; TODO: that of production, if it is another one"
        package = value.rpartition(".settings")[0].replace(".", "/")
        production = sorted(name for name in self._settings() if PRODUCTION.fullmatch(name) and name.startswith(package))
        if production and "prod" not in value:
            value, why = dotted(production[0]), f"guessed from {production[0]}; manage.py itself says {value}"
        self.env["DJANGO_SETTINGS_MODULE"] = Said(value, why)
        used = self._used_settings()
        file, match = self.tree.first(HOSTS_ALLOWED, used)
        is_said = any("ALLOWED_HOST" in name for name in self.asked) or not match and any("ALLOWED_HOSTS" in text for text in used.values())
        if not is_said and not (match and ("*" in match[1] or HOST.search(match[1]))):
            self.todo.append(f"ALLOWED_HOSTS in {file or value} has to hold the site's name, else every visitor is answered with 400")
        if used and not any("SECRET_KEY" in text for text in used.values()):
            self.todo.append(f'{value} has no SECRET_KEY: let it say os.environ["SECRET_KEY"], with secrets: [SECRET_KEY]')
        if used and not any(re.search(r"^ *LOGGING\b", text, re.MULTILINE) for text in used.values()):
            self.todo.append(
                f"{value} has no LOGGING: without DEBUG Django tells of an error by mail to ADMINS alone, and mainstay logs {self.name} shows "
                "nothing of it; a handler logging.StreamHandler of the logger django does"
            )
        file, match = self.tree.first(SQLITE_FILE, used)
        if match and URL_READERS & set(self.packages) and not DRIVERS["postgresql"] & set(self.packages):
            url = f"sqlite:////srv/{self.name}/shared/db.sqlite3"
            why = f"guessed from {file}: a file that all releases have in common; TODO: with a driver of PostgreSQL, database: postgresql"
            self.env["DATABASE_URL"] = Said(url, why)
        elif match and not URL_READERS & set(self.packages) and not self._database() and not any(map(FILE_NAME.fullmatch, self.asked)):
            self.todo.append(
                f"{file} keeps its database in {match[0]} of the release, which is read-only, and each release has another: "
                f'let it say os.environ.get("DATABASE_FILE", …), with env: {{DATABASE_FILE: /srv/{self.name}/shared/db.sqlite3}}, or use PostgreSQL'
            )

    def _shared(self):
        media = self._folder("MEDIA_ROOT")
        if not media:
            return self._instance()
        why = f"guessed from MEDIA_ROOT in {media[1]}: what people upload stays for all releases"
        if any(name.startswith(f"{media[0]}/") for name in self.tree.files):
            why += "; TODO: the source has files there, move them"
        return Said([media[0]], why)

    def _django(self):
        if not self.is_django:
            return None
        modules = sorted(name for name in self.tree.files if re.fullmatch(r"[\w/]+/wsgi\.py", name))
        is_async = "channels" in self.packages and any(name.endswith("/asgi.py") for name in self.tree.files)
        if is_async:
            modules = sorted(name for name in self.tree.files if re.fullmatch(r"[\w/]+/asgi\.py", name))
        if not modules:
            return None
        if is_async:
            server, why = self._server("uvicorn", "daphne")
        else:
            server, why = self._server("gunicorn", "waitress", "uwsgi")
        return self._web(self._serve(server, f"{dotted(modules[0])}:application"), f"guessed from {modules[0]}{why}")
