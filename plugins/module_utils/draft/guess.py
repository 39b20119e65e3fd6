# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app's declaration may be, guessed from its source. Every guess says what it is from; what cannot be known is a TODO."""

from __future__ import annotations

import re

from ..deploy.unit_commands import exec_words
from ..release.recipes import node_steps, python_requirements
from ..stack.apps import normalise
from ..stack.placeholders import is_secret
from ..stack.refusal import DeclarationError, ReleaseError, refuse
from ..stack.services import RESERVED_PORTS
from ..stack.variables import generated_names
from . import commands
from .page import Said, Todo, bare, document, short

PYTHON_FILES = ("manage.py", "pyproject.toml", "requirements.txt", "requirements.lock", "uv.lock", "Pipfile", "setup.py")
IMAGE_FILES = ("Dockerfile", "Containerfile")
DRIVERS = {
    "postgresql": {"psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "asyncpg", "pg8000", "pg", "pg-promise", "postgres"},
    "mariadb": {"mysqlclient", "pymysql", "aiomysql", "asyncmy", "mariadb", "mysql-connector-python", "mysql", "mysql2"},
}
QUEUES = {"celery", "rq", "django-rq", "huey", "dramatiq", "arq", "taskiq-redis", "saq", "litestar-saq", "bullmq", "bull", "bee-queue"}
CACHES = {"redis", "django-redis", "flask-caching", "ioredis", "@redis/client", "connect-redis"}
WEBSOCKETS = {"ws": "/ws", "socket.io": "/socket.io", "flask-socketio": "/socket.io", "python-socketio": "/socket.io", "channels": "/ws"}
# What a run makes for the app, or the host has anyway.
GIVEN = {
    *generated_names((), "postgresql", ("cache", "queue")),
    *("HOST", "PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "MAX_WS_CONNECTIONS", "CELERY_CONCURRENCY", "CELERY_BEAT_SCHEDULE"),
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
    r"|([A-Z0-9]+_)*(SESSION|COOKIE|JWT|CSRF|REFRESH|ACCESS_TOKEN|REFRESH_TOKEN)_(SECRET|SECRET_KEY)|SESSION_KEY"
)
DATABASE_NAME = re.compile(
    r"(?:[A-Z0-9]+_)??(?:DB|DATABASE|POSTGRES|POSTGRESQL|MYSQL|MARIADB|SQL|TYPEORM)"
    r"_(HOST|HOSTNAME|SERVER|PORT|NAME|DATABASE|DB|USER|USERNAME|PASSWORD|PASS|URL|URI)"
    r"|(SQLALCHEMY_DATABASE_(?:URI|URL)|DATABASE_URI)"
)
# A database that is a file, as a URL has it.
FILE_DATABASE = re.compile(r"(file:|sqlite(?:\+\w+)?:///?)/?(?:\.{0,2}/)*(?:[\w.-]+/)*([\w.-]+)(?:\?.*)?")
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
ASGI_FRAMEWORKS = {"fastapi", "starlette", "litestar", "quart"}
HEALTH = re.compile(r"""["'`](?:[A-Z]+ )?(/?(?:[a-z0-9]+/){0,2}_?(?:healthz?|health-?check|livez?|liveness|ping|up)/?)\$?["'`]""")
READY = re.compile(r"""["'`](?:[A-Z]+ )?(/?(?:[a-z0-9]+/){0,2}_?(?:readyz?|readiness|health/ready)/?)\$?["'`]""")
WEBSOCKET = re.compile(r"""\.websocket\(\s*["'](/[\w/-]*)["']|path:\s*["'](/ws[\w/-]*)["']|["'](/ws)["']""")
ASGI = re.compile(r"^(\w+)(?:: *\w+)? *= *(FastAPI|Starlette|Litestar|Quart)\(", re.MULTILINE)
WSGI = re.compile(r"^(\w+)(?:: *\w+)? *= *(Flask|Bottle|falcon\.App)\(", re.MULTILINE)
FACTORY = re.compile(r"^def (create_app|make_app)\(", re.MULTILINE)
CALLABLE = re.compile(r"^def (\w+)\(environ, *start_response\)", re.MULTILINE)
FACTORY_MODULES = re.compile(r"(.*/)?asgi\.py")
# Workers of other queues: what makes one of a module, the packages it is of, and its command.
WORKERS = (
    (re.compile(r"^(\w+)(?:: *\w+)? *= *\w*Huey\(", re.MULTILINE), {"huey"}, "huey_consumer {module}.{name}"),
    (re.compile(r"^@(dramatiq)\.actor", re.MULTILINE), {"dramatiq"}, "dramatiq {module}"),
    (re.compile(r"^class (WorkerSettings)\b", re.MULTILINE), {"arq"}, "arq {module}.{name}"),
    (
        re.compile(r"^(\w+)(?:: *\w+)? *= *\w*(?:Redis|Stream|List|PubSub|Aio\w*)\w*Broker\(", re.MULTILINE),
        {"taskiq"},
        "taskiq worker {module}:{name}",
    ),
)
# The same as commands of Django, each by the package that brings it, with a word that stands in the settings.
DJANGO_WORKERS = (
    ({"huey"}, "djhuey", "run_huey"),
    ({"django-dramatiq"}, "django_dramatiq", "rundramatiq"),
    ({"django-q", "django-q2"}, "django_q", "qcluster"),
    ({"django-rq"}, "django_rq", "rqworker default"),
    ({"django-tasks", "django-tasks-db"}, "django_tasks", "db_worker"),
)
CELERY = re.compile(r"^(\w+)(?:: *\w+)? *= *Celery\(", re.MULTILINE)
BEAT = re.compile(r"beat_schedule|CELERY_BEAT_SCHEDULE|django_celery_beat|add_periodic_task")
MAIN = re.compile(r"^if __name__ == ['\"]__main__['\"]", re.MULTILINE)
# Where a version is told from a range of them, what Debian 12 has, and what to say of it.
INTERPRETERS = {
    "python": (re.compile(r"(?:^|>=?|==|~=|\^)\s*(3\.\d{1,2})"), 11, "Debian 12 has 3.11 and 13 has 3.13"),
    "node": (re.compile(r"(?:^v?|>=?|\^|~)\s*(\d{2})"), 18, "Debian 12 has 18 and 13 has 20"),
}
SETTINGS = re.compile(r"(.*/)?settings(/\w+)?\.py")
OF_DEVELOPMENT = re.compile(r"[/_](dev|local|test|development)\.py$")
PRODUCTION = re.compile(r"(.*/)?settings[/_](production|prod)\.py")
# A folder below the top of a Django project: BASE_DIR / "static", os.path.join(BASE_DIR, "static")
ROOT_FOLDER = r"^ *{}\s*=[^\n]*?\b(?:BASE|ROOT|PROJECT_ROOT)\w*\W+[\"']([\w-]+(?:/[\w-]+)*)/?[\"']\)*\s*(?:#.*)?$"
URL_READERS = {"dj-database-url", "django-environ", "environs"}
SQLITE_FILE = re.compile(r"[\"'][\w/-]*\.(?:sqlite3?|db)[\"']")
HOSTS_ALLOWED = re.compile(r"^ *ALLOWED_HOSTS\s*=\s*\[([^\]]*)\]", re.MULTILINE)
# What listens where $HOST and $PORT say without being told in the app's own code.
LISTENERS = {"nuxt", "@sveltejs/adapter-node", "@astrojs/node", "@remix-run/serve", "@react-router/serve"}
# Node's frameworks that serve their pages themselves, and what a build leaves to be run.
SERVERS = {
    "next": "next start -H $HOST -p $PORT",
    "nuxt": "node .output/server/index.mjs",
    "@sveltejs/adapter-node": "node build",
    "@astrojs/node": "node dist/server/entry.mjs",
}
SERVING_SCRIPTS = ("start:prod", "start:production", "serve:prod", "prod", "production", "start")
EXPORTED = re.compile(r"""\boutput\s*:\s*["']export["']""")
OUT_FOLDER = re.compile(r"""\boutDir\s*:\s*["'](?:\./)?([\w-]+(?:/[\w-]+)*)/?["']""")
# What builds pages alone, and where they are then.
PAGES = (
    ("@sveltejs/adapter-static", "build"),
    ("@docusaurus/core", "build"),
    ("gatsby", "public"),
    ("@11ty/eleventy", "_site"),
    ("astro", "dist"),
    ("vite", "dist"),
    ("react-scripts", "build"),
    ("@angular/cli", "dist"),
    ("@vue/cli-service", "dist"),
)
# Packages that are compiled when they are installed, and the Debian packages that this takes.
COMPILED = {
    "uwsgi": ("build-essential", "python3-dev"),
    "mysqlclient": ("build-essential", "python3-dev", "pkg-config", "default-libmysqlclient-dev"),
    "psycopg2": ("build-essential", "python3-dev", "libpq-dev"),
    "python-ldap": ("build-essential", "python3-dev", "libldap-dev", "libsasl2-dev"),
}
DEFAULT_PORT = re.compile(r"\bPORT\b[\"')\]]*\s*(?:\?\?|\|\||,|:-)\s*[\"']?(\d{4,5})\b")
PROCESS_PORTS = {"python": 8000, "node": 3000, "container": 8000, "command": 8000}
# How a route is told from a text that merely looks like one.
ROUTED = re.compile(r"""(?:\.(?:get|route|all|add_url_rule|add_api_route|add_get)\(\s*["'`]|["'`]GET )$""")
JINJA = re.compile(r"\{[{%#]")
EVERY_ADDRESS = re.compile(r"(?<![\d.])0\.0\.0\.0(?![\d.])")


def draft(name, tree, path, shown="", beside="", modeline=""):
    """The declaration of an app as a file of variables, for a source that is declared with ``path``, relative to ``beside``.

    :raises DeclarationError: the name cannot be one of an app.
    """
    shown = shown or path
    entries = Guess(name, tree, path, shown, beside).entries()
    declared = {name: bare(entries)}
    normalise(declared)
    _refuse_expressions(declared, "mainstay_apps")
    head = (
        f"A draft by playbooks/new.yml, made by looking at {shown} and running nothing of it.",
        "Each guess says what it is from, and TODO marks what only you know. docs/apps.md has every key.",
    )
    users = Said(100, "people online at once, the plan is sized for them; TODO: your number")
    return document({"mainstay_users": users, "mainstay_apps": Said({name: Said(entries)})}, head, modeline)


def _refuse_expressions(value, where):
    """Ansible would evaluate an expression on the control node, and this one would be the source's."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_expressions(key, where)
            _refuse_expressions(item, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_expressions(item, where)
    elif isinstance(value, str) and JINJA.search(value):
        refuse(where, value, "the source holds an expression of Jinja there, which Ansible would evaluate; declare the app by hand")


def dotted(file, files=()):
    """A Python file as the name of its module; among other ``files``, as that of the package it is in."""
    name, top = re.sub(r"(/__init__)?\.py$", "", file), _top(file, files)
    return name.removeprefix(f"{top}/" if top else "src/").replace("/", ".")


def _top(file, files):
    """The folder from which a module of a package is imported, where it is not the top of the source or src."""
    folder = file.rpartition("/")[0]
    if f"{folder}/__init__.py" not in files:
        return ""
    while f"{folder}/__init__.py" in files:
        folder = folder.rpartition("/")[0]
    return folder


class Guess:
    """One app's declaration, part by part."""

    def __init__(self, name, tree, path, shown, beside):
        self.name, self.tree, self.path, self.shown, self.beside = name, tree, path, shown, beside
        self.asked = tree.asked()
        self.env, self.todo = {}, []
        # What stands before what serves in a line of a shell, and belongs elsewhere.
        self.before = {"build": [], "migrate": []}
        self.runtime, self.runtime_why = self._runtime()
        self.packages = {"node": tree.node_packages, "python": tree.python_packages}.get(self.runtime, dict)()

    # --- the whole -------------------------------------------------------------------------------------------------

    def entries(self):
        procfile = self.tree.procfile()
        self.is_django = self._is_django()
        processes = self._processes(procfile)
        migrate = self._migrate(procfile)
        packages = self._packages()
        self._locks()
        self._django_settings()
        database, redis = self._database(), self._redis()
        self._scheme(database)
        env, unknown = self._environment(database, redis)
        found = {
            "runtime": Said(self.runtime, self.runtime_why),
            "interpreter?": self._interpreter(),
            "source": self._source(),
            "source?": self._source_todo(),
            "packages": packages,
            **self._build(),
            "migrate": migrate,
            "secrets": self._secrets(),
            "database": database,
            "redis": redis,
            "env": env,
            "env?": unknown,
            **self._volumes(),
            "shared": self._shared(),
            "processes": Said(processes),
            "sites": self._sites(processes),
            **{f"todo{index}": Todo(text) for index, text in enumerate(self.todo)},
        }
        if not any(isinstance(item, Said) for item in processes.values()):
            found["processes"] = Said({}, "nothing runs, nginx serves the files" if self._static() else "nothing runs yet")
            found["processes?"] = next(iter(processes.values()), None)
        return {key: entry for key, entry in found.items() if entry is not None}

    def _runtime(self):
        tree = self.tree
        image = tree.has(*IMAGE_FILES)
        python = tree.has(*PYTHON_FILES)
        if image and not python and not tree.has("package.json"):
            return "container", f"guessed from {image}, there is nothing of Python or Node beside it"
        if image:
            self.todo.append(f"there is a {image}, too; runtime: container with an image of it is the other way, see docs/containers.md")
        if python:
            return "python", f"guessed from {python}"
        if tree.has("package.json"):
            return "node", "guessed from package.json"
        if self._pages():
            return "command", f"guessed from {self._pages()}, there is nothing to install"
        self.todo.append(
            "nothing that is known was found in the source: no pyproject.toml, requirements.txt, package.json, Dockerfile, Procfile"
        )
        return "command", "nothing was found that says what installs it"

    def _interpreter(self):
        """What the source says of its interpreter's version, where Debian's may be too old for it."""
        if self.runtime == "python":
            project = self.tree.table("pyproject.toml").get("project", {})
            wanted = {"requires-python": project.get("requires-python"), ".python-version": self.tree.text(".python-version").strip()}
        elif self.runtime == "node":
            engines = self.tree.table("package.json").get("engines")
            wanted = {"engines": engines.get("node") if isinstance(engines, dict) else "", ".nvmrc": self.tree.text(".nvmrc").strip()}
        else:
            return None
        pattern, oldest, have = INTERPRETERS[self.runtime]
        for where, text in wanted.items():
            version = pattern.search(str(text or ""))
            if version and int(version[1].rpartition(".")[2]) > oldest:
                return Todo(f'{where} says {short(str(text))}; {have}, {self.runtime}: "{version[1]}" brings that one')
        return None

    def _pages(self):
        return self.tree.has("index.html", "public/index.html", "dist/index.html", "build/index.html")

    def _source(self):
        if self.runtime == "container":
            image = f"build/{self.name}.tar"
            return Said(
                {"image": image}, f"a file that you make: docker build -t {self.name} {self.shown} && docker save {self.name} -o {image}"
            )
        return Said({"path": self.path}, f"the folder as it is, relative to {self.beside}" if self.beside else "the folder as it is")

    def _source_todo(self):
        if self.runtime == "container":
            return Todo("or a registry's image with its tag, source: {image: registry.example.com/team/shop:1.2}")
        return Todo('better a pinned version once there is one, source: {git: "https://…", version: v1.0.0}')

    # --- build and migrate -----------------------------------------------------------------------------------------

    def _build(self):
        script = self.tree.scripts().get("build")
        steps, notes, found = [], [], {}
        if script and self.runtime == "node":
            manager = "pnpm" if self.tree.has("pnpm-lock.yaml") and not self.tree.has("package-lock.json") else "npm"
            steps.append("npm run build")
            notes.append(
                f'guessed from the script "build" of package.json: {short(script)}' + (" (pnpm installs)" if manager == "pnpm" else "")
            )
        elif script and self.runtime == "python":
            found["build?"] = Todo(
                f'package.json has a build script ({short(script)}); packages: [npm], build: ["npm ci", "npm run build"] runs it'
            )
        steps += [self._command(part)[0] for part in self.before["build"] if not re.search(r"\b(npm|pnpm|yarn) (run )?build$", part)]
        if len(steps) > len(notes):
            notes.append("what stood before the command that serves")
        static = self._folder("STATIC_ROOT")
        if static and "collectstatic" not in str(steps):
            steps.append(self._collectstatic())
            notes.append(f"guessed from STATIC_ROOT in {static[1]}")
        return {**({"build": Said(steps, "; ".join(notes))} if steps else {}), **found}

    def _collectstatic(self):
        """A build sees no variable of the app but those it names: the settings it reads, and what they cannot do without."""
        command, env = "python manage.py collectstatic --noinput", {}
        settings = self.env.get("DJANGO_SETTINGS_MODULE")
        if settings and settings.value not in self.tree.text("manage.py"):
            env["DJANGO_SETTINGS_MODULE"] = "$DJANGO_SETTINGS_MODULE"
        asked = "".join(text for name, text in self._settings().items() if not OF_DEVELOPMENT.search(name))
        for name in sorted({*self.env, *(name for name in self.asked if OWN_SECRET.fullmatch(name))}):
            if re.search(rf"(?:environ\[|\b(?:env|config)(?:\.[a-z]\w*)?\(|\bget_?env\w*\()[\"']{name}[\"']\s*[\])]", asked):
                env[name] = f"${name}"
        return {"command": command, "env": env} if env else command

    def _packages(self):
        """Debian packages by which others are compiled: of those PyPI has no wheel."""
        wanted = [name for name in COMPILED if self.runtime == "python" and name in self.packages]
        if not wanted:
            return None
        names = list(dict.fromkeys(package for name in wanted for package in COMPILED[name]))
        return Said(names, f"guessed from {', '.join(wanted)} in {self.packages[wanted[0]][1]}, of which PyPI has no built package")

    def _locks(self):
        """A lock that no host can read is refused by a run; the draft says so, with the remedy."""
        names = {name.partition("/")[0] for name in self.tree.files}
        try:
            if self.runtime == "python":
                python_requirements(names, "uv", (), self.tree.text("pyproject.toml"))
            elif self.runtime == "node":
                node_steps(names)
        except ReleaseError as error:
            self.todo.append(str(error))

    # --- Django's settings -----------------------------------------------------------------------------------------

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
        used = {name: text for name, text in self._settings().items() if not OF_DEVELOPMENT.search(name)}
        file, match = self.tree.first(HOSTS_ALLOWED, used)
        is_said = any("ALLOWED_HOST" in name for name in self.asked) or not match and any("ALLOWED_HOSTS" in text for text in used.values())
        if not is_said and not (match and "*" in match[1]):
            self.todo.append(f"ALLOWED_HOSTS in {file or value} has to hold the site's name, else every visitor is answered with 400")
        if used and not any("SECRET_KEY" in text for text in used.values()):
            self.todo.append(f'{value} has no SECRET_KEY: let it say os.environ["SECRET_KEY"], with secrets: [SECRET_KEY]')
        file, match = self.tree.first(SQLITE_FILE, used)
        if match and URL_READERS & set(self.packages) and not DRIVERS["postgresql"] & set(self.packages):
            url = f"sqlite:////srv/{self.name}/shared/db.sqlite3"
            why = f"guessed from {file}: a file that all releases have in common; TODO: with a driver of PostgreSQL, database: postgresql"
            self.env["DATABASE_URL"] = Said(url, why)
        elif match and not URL_READERS & set(self.packages) and not self._database():
            self.todo.append(
                f"{file} keeps its database in {match[0]} of the release, which is read-only, and each release has another: "
                f'let it say os.environ.get("DATABASE_FILE", …), with env: {{DATABASE_FILE: /srv/{self.name}/shared/db.sqlite3}}, or use PostgreSQL'
            )

    def _shared(self):
        media = self._folder("MEDIA_ROOT")
        if not media:
            return None
        why = f"guessed from MEDIA_ROOT in {media[1]}: what people upload stays for all releases"
        if any(name.startswith(f"{media[0]}/") for name in self.tree.files):
            why += "; TODO: the source has files there, move them"
        return Said([media[0]], why)

    def _migrate(self, procfile):
        if "release" in procfile:
            command, notes = self._command(procfile["release"])
            return Said(command, "; ".join(["guessed from the line release of Procfile", *notes]) + self._gone(command))
        scripts = self.tree.scripts()
        if self.is_django and not self.before["migrate"]:
            return Said("python manage.py migrate --noinput", "guessed from manage.py")
        if self.before["migrate"]:
            command, notes = self._command(" && ".join(self.before["migrate"]))
            return Said(command, "; ".join(["what stood before the command that serves", *notes]) + self._gone(command))
        if self.runtime == "python" and self.tree.has("alembic.ini"):
            return Said("alembic upgrade head", "guessed from alembic.ini")
        if self.runtime == "python":
            for file, _match in self.tree.search(MAIN):
                if re.fullmatch(r"(.*/)?(migrate|migrations|init_db)\.py", file):
                    return Said(f"python -m {dotted(file)}", f"guessed from {file}")
            if self.tree.has("migrations/alembic.ini") or "flask-migrate" in self.packages:
                return Said(
                    "flask db upgrade", "guessed from migrations/ and Flask-Migrate; TODO: FLASK_APP in env if flask does not find it"
                )
        if self.runtime == "node":
            if "prisma" in self.packages:
                return Said("prisma migrate deploy", "guessed from prisma in package.json" + self._gone("prisma"))
            for key in ("migrate:deploy", "migrate:prod", "db:deploy", "migrate", "db:migrate", "migration:run"):
                if key in scripts:
                    why = f'guessed from the script "{key}" of package.json: {short(scripts[key])}'
                    return Said(self._script(key, scripts[key]), why + self._gone(f"npm run {key}"))
        return None

    def _gone(self, command):
        """What a command runs that is no longer there after the build."""
        if self.runtime != "node":
            return ""
        called = commands.words(command, self.tree.scripts())
        gone = sorted({commands.PROGRAMS.get(word, word) for word in called} & self.tree.for_development())
        told = f"; TODO: move {' and '.join(gone)} to dependencies, what is for development is gone after the build" if gone else ""
        if any(word.startswith("--env-file") for word in called):
            told += "; TODO: without --env-file, a release has no such file and its variables already"
        return told

    def _script(self, key, command):
        return command if re.fullmatch(r"node [\w./-]+", command) else f"npm run {key}"

    # --- data ------------------------------------------------------------------------------------------------------

    def _database(self):
        for database, drivers in DRIVERS.items():
            for package in sorted(drivers & set(self.packages)):
                return Said(database, f"guessed from {package} in {self.packages[package][1]}")
        provider = re.search(
            r'datasource\s+\w+\s*\{[^}]*provider\s*=\s*"(\w+)"',
            "".join(t or "" for n, t in self.tree.files.items() if n.endswith(".prisma")),
        )
        if provider and provider[1] in ("postgresql", "mysql"):
            return Said({"mysql": "mariadb"}.get(provider[1], provider[1]), "guessed from the provider of Prisma's schema")
        if provider or FILE_DATABASE.fullmatch(self.tree.sample("DATABASE_URL")):
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
        purposes, reasons = [], []
        for purpose, known in (("cache", CACHES), ("queue", QUEUES)):
            package = next((name for name in sorted(known) if name in self.packages), None)
            # Of a queue's own client of Redis nobody knows whether it is a cache, too.
            if package and not (purpose == "cache" and QUEUES & set(self.packages) and package in ("redis", "ioredis")):
                purposes.append(purpose)
                reasons.append(f"{package} in {self.packages[package][1]}")
        if purposes:
            return Said(purposes, f"guessed from {' and '.join(reasons)}; cache evicts, queue never does")
        if any(REDIS_NAME.fullmatch(name) and "REDIS" in name for name in self.asked):
            return Said(["cache"], "guessed from a variable REDIS_…; TODO: queue, if nothing of it may be lost")
        return None

    def _secrets(self):
        names = sorted(name for name in self.asked if OWN_SECRET.fullmatch(name))
        if not names:
            return None
        return Said(names, f"made at random once; guessed from {', '.join(sorted({self.asked[name] for name in names}))}")

    def _environment(self, database, redis):
        """The variables under the app's own names, and a line about those that nobody can guess."""
        env = self.env
        secrets = {name for name in self.asked if OWN_SECRET.fullmatch(name)}
        unknown, required = [], self.tree.required()
        for name, file in sorted(self.asked.items()):
            kept = None if database else FILE_DATABASE.fullmatch(self.tree.sample(name))
            if kept:
                # The release is read-only, and the next one is another folder.
                value = f"{kept[1].partition('/')[0]}{'' if kept[1] == 'file:' else '///'}/srv/{self.name}/shared/{kept[2]}"
                env[name] = Said(value, f"guessed from {file}: a file that all releases have in common")
                continue
            if name in secrets or name in GIVEN or name in env:
                continue
            value, why = self._own_name(name, database, redis), f"guessed from {file}, which asks for it"
            if not value and (OWN_HOST.fullmatch(name) or OWN_URL.fullmatch(name)):
                site, sample = f"{self.name}.example.com", self.tree.sample(name)
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

    def _volumes(self):
        if self.runtime != "container":
            return {}
        text = self.tree.text(self.tree.has(*IMAGE_FILES))
        places = re.findall(r"(/[\w./@-]+)", " ".join(re.findall(r"^VOLUME +(.*)$", text, re.MULTILINE | re.IGNORECASE)))
        volumes = {re.sub(r"[^A-Za-z0-9_]+", "-", place.strip("/")): place.rstrip("/") for place in places if place.strip("/")}
        return {"volumes": Said(volumes, "guessed from VOLUME")} if volumes else {}

    # --- processes -------------------------------------------------------------------------------------------------

    def _processes(self, procfile):
        if self.runtime == "container":
            return {"web": self._container()}
        if procfile:
            return self._of_procfile(procfile)
        found = {"python": self._python, "node": self._node}.get(self.runtime, dict)()
        if "web" not in found and self.runtime in ("python", "node") and not self._static():
            found = {**self._of_image(), **found}
        if not found and not self._static():
            below = sorted(
                {name.rpartition("/")[0] for name in self.tree.files if re.fullmatch(r"[\w./-]+/(pyproject\.toml|package\.json)", name)}
            )
            if below:
                self.todo.append(
                    f"the app may be in one of these folders, source: {{path: …, directory: {below[0]}}}: {', '.join(below[:8])}"
                )
            return {"web": Todo("web: {command: …, port: 8000}, a command that listens on $HOST:$PORT; nothing in the source says which")}
        return found

    def _of_image(self):
        """What an image of the app would run, where nothing else says what serves."""
        file = self.tree.has(*IMAGE_FILES)
        line = commands.of_image(self.tree.text(file)) if file else ""
        if not line or JINJA.search(line):
            return {}
        serving, before = commands.composed(line)
        self._keep(before)
        command, notes = self._command(serving, is_web=True)
        return {"web": self._web(command, "; ".join([f"guessed from what the image of {file} runs: {short(line)}", *notes]))}

    def _keep(self, before):
        for part, lines in before.items():
            self.before[part] += lines

    def _of_procfile(self, procfile):
        found = {}
        for kind, line in procfile.items():
            if kind == "release":
                continue
            name = re.sub(r"[^a-z0-9-]", "-", kind.lower())[:25].strip("-")
            if not re.match("[a-z]", name) or JINJA.search(line):
                self.todo.append(f"the line {kind} of Procfile cannot be declared as it is: {short(line)}")
                continue
            serving, before = commands.composed(line)
            self._keep(before)
            command, notes = self._command(serving, is_web=name == "web")
            notes += ["what stood before it is in build and migrate"] if any(before.values()) else []
            if commands.DEVELOPMENT.search(command):
                notes.append("TODO: it is a server for development")
            why = "; ".join([f"guessed from the line {kind} of Procfile", *notes]) + self._gone(command)
            if name == "web":
                found[name] = self._web(command, why)
                continue
            found[name] = self._worker(command, why)
        return found

    def _worker(self, command, why):
        if re.search(r"\bcelery\b.*\bbeat\b", command):
            return Said({"command": Said(command, why), "singleton": Said(True, "it runs once, for it tells the time")})
        if re.search(r"\bcelery\b.*\bworker\b", command):
            return Said({"command": Said(command, why), "kind": Said("celery", "guessed from the command")})
        return Said({"command": Said(command, why)})

    def _command(self, line, is_web=False):
        """A command of a shell as it is declared, and what was changed of it."""
        command, notes = commands.bare(line), []
        if re.match(r"rq worker\b", command) and not re.search(r"\s(-u|--url|-c|--config)\b", command):
            command = command.replace("rq worker", "rq worker --url $REDIS_QUEUE_URL", 1)
            notes.append("told which Redis")
        if EVERY_ADDRESS.search(command):
            command = EVERY_ADDRESS.sub("$HOST", command)
            notes.append("$HOST for 0.0.0.0")
        if "${PORT:-" in command:
            command = re.sub(r"\$\{PORT:-\d+\}", "$PORT", command)
            notes.append("$PORT without its default")
        if is_web and re.match(r"(\S+=\S+ )*gunicorn\b", command) and not re.search(r"(--bind|-b)\b", command):
            command += " --bind $HOST:$PORT"
            notes.append("told where to listen")
        if is_web and re.match(r"(\S+=\S+ )*uvicorn\b", command):
            for option, variable in (("--host", "$HOST"), ("--port", "$PORT")):
                if option not in command:
                    command += f" {option} {variable}"
                    notes.append(f"with {option}")
        if re.search(r"(--bind|-b)[ =]:\$PORT", command):
            command = re.sub(r"((?:--bind|-b)[ =]):\$PORT", r"\1$HOST:$PORT", command)
            notes.append("$HOST told")
        if re.search(r"\bcelery\b.*\bworker\b", command) and not re.search(r"(-c|--concurrency)\b", command):
            command += " -c $CELERY_CONCURRENCY"
            notes.append("with the plan's concurrency")
        try:
            exec_words(command)
        except DeclarationError:
            if "'" in command:
                command = command.replace("'", '"')
                notes.append("TODO: the quotes were changed, look at it")
            command = f"sh -c '{command}'"
            notes.append("a shell runs it, for it is written for one")
        return command, notes

    def _web(self, command, why, port=None):
        own = {name: f"${match[1]}" for name in sorted(self.asked) if (match := OWN_ADDRESS.fullmatch(name)) and name not in command}
        told = {"env": Said(own, "where it listens, under names of its own")} if own else {}
        return Said({"command": Said(command, why), "port": port or self._port(), **told, **self._checks()})

    def _port(self):
        file, match = self.tree.first(DEFAULT_PORT)
        if match and 1024 <= int(match[1]) <= 65000 and int(match[1]) not in RESERVED_PORTS:
            return Said(int(match[1]), f"guessed from {file}; twice its instances are its own, from here on")
        return Said(PROCESS_PORTS[self.runtime], "nothing says which; TODO: another one where another app has it")

    def _checks(self):
        """Where the process says that it lives, and that it can work."""
        file, path = self._answer(HEALTH)
        found = {"health": Said({"path": path}, f"guessed from {file}")}
        if not path:
            found = {
                "health": Said({"path": "/"}, "nothing in the source looks like a health check; TODO: a path that answers 200 at once")
            }
        file, path = self._answer(READY)
        if path:
            found["readiness"] = Said({"path": path}, f"guessed from {file}; TODO: json: {{status: …}}, what it says when all is well")
        return found

    def _answer(self, pattern):
        found = [
            (file, match)
            for file, match in self.tree.search(pattern)
            if match[1].startswith("/") or (file.endswith("urls.py") and "path(" in self.tree.text(file))
        ]
        routed = [(file, match) for file, match in found if ROUTED.search(match.string[: match.start(1)]) or file.endswith("urls.py")]
        file, match = next(iter(routed or found), (None, None))
        if not match:
            return None, None
        return file if routed else f"{file}; TODO: whether it is one that is answered", "/" + match[1].lstrip("/")

    def _container(self):
        file = self.tree.has(*IMAGE_FILES)
        text = self.tree.text(file)
        exposed = re.search(r"^EXPOSE +(\d+)", text, re.MULTILINE | re.IGNORECASE)
        started = re.findall(r"^(?:CMD|ENTRYPOINT) +(.*)$", text, re.MULTILINE | re.IGNORECASE)
        number = int(exposed[1]) if exposed else 8000
        why = f"guessed from EXPOSE of {file}" if exposed else f"{file} exposes no port; TODO: where it listens"
        if not 1024 <= number <= 65000 or number in RESERVED_PORTS:
            number, why = 8000, f"{file} exposes {number}, which no app may have"
        web = {"port": Said(number, why), **self._checks()}
        runs = f"the image runs {short(started[-1])}" if started else "the image says what runs"
        web["command?"] = Todo(f"{runs}; it has to listen on $HOST:$PORT, else give a command or env: {{…: $PORT}} here")
        return Said(web)

    # --- Python ----------------------------------------------------------------------------------------------------

    def _python(self):
        web = self._django() or self._python_web()
        return {**({"web": web} if web else {}), **self._celery(), **self._rq(), **self._other_workers(), **self._beating()}

    def _server(self, names, missing):
        """The first server of some that the app requires; else the first of all, with a TODO."""
        found = next((name for name in names if name in self.packages), None)
        if found:
            return found, f", {found} in {self.packages[found][1]}"
        if names[0] == "uvicorn" and "standard" in self.packages.get("fastapi", ("", ""))[0]:
            return "uvicorn", f", fastapi[standard] in {self.packages['fastapi'][1]}"
        return names[0], f"; TODO: add {missing} to its requirements"

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
            server, why = self._server(("uvicorn", "daphne"), "uvicorn")
        else:
            server, why = self._server(("gunicorn", "waitress", "uwsgi"), "gunicorn")
        return self._web(self._serve(server, f"{dotted(modules[0])}:application"), f"guessed from {modules[0]}{why}")

    def _python_web(self):
        file, match = self.tree.first(ASGI)
        if match:
            server, why = self._server(("uvicorn", "hypercorn", "granian", "daphne"), "uvicorn")
            return self._web(
                self._serve(server, f"{dotted(file, self.tree.files)}:{match[1]}"),
                f"guessed from {match[2]}() in {file}{why}{self._below(file)}",
            )
        for pattern, words in ((WSGI, "{}"), (CALLABLE, "{}"), (FACTORY, "{}()")):
            file, match = self.tree.first(pattern)
            if match and pattern is FACTORY and (FACTORY_MODULES.fullmatch(file) or ASGI_FRAMEWORKS & set(self.packages)):
                server, why = self._server(("uvicorn", "hypercorn", "granian"), "uvicorn")
                command = self._serve(server, f"{dotted(file, self.tree.files)}:{match[1]}{'()' if server == 'hypercorn' else ''}")
                command += {"uvicorn": " --factory", "granian": " --factory"}.get(server, "")
                return self._web(command, f"guessed from {match[1]} in {file}{why}{self._below(file)}")
            if match:
                server, why = self._server(("gunicorn", "waitress", "uwsgi"), "gunicorn")
                target = f"{dotted(file)}:{words.format(match[1])}"
                return self._web(self._serve(server, target), f"guessed from {match[1]} in {file}{why}")
        return None

    def _below(self, file):
        """Where Python does not find a module by its path, because its package begins further below."""
        top = _top(file, self.tree.files)
        return f"; TODO: its package lies in {top}, where it is found once installed or in PYTHONPATH" if top not in ("", "src") else ""

    def _other_workers(self):
        packages = set(self.packages)
        settings = "".join(self._settings().values())
        for wanted, word, command in DJANGO_WORKERS:
            if self.is_django and wanted & packages and word in settings and "rqworker" not in command:
                return {"worker": Said({"command": Said(f"python manage.py {command}", f"guessed from {word} in the settings")})}
        for pattern, wanted, command in WORKERS:
            file, match = self.tree.first(pattern)
            if match and wanted & packages:
                told = command.format(module=dotted(file), name=match[1])
                return {"worker": Said({"command": Said(told, f"guessed from {short(match[0])} in {file}")})}
        return {}

    @staticmethod
    def _serve(server, target):
        target = f"'{target}'" if "(" in target else target
        return {
            "uvicorn": f"uvicorn {target} --host $HOST --port $PORT",
            "hypercorn": f"hypercorn {target} --bind $HOST:$PORT",
            "granian": f"granian --interface asgi --host $HOST --port $PORT {target}",
            "daphne": f"daphne -b $HOST -p $PORT {target}",
            "gunicorn": f"gunicorn --bind $HOST:$PORT {target}",
            "waitress": f"waitress-serve --host=$HOST --port=$PORT {target}",
            "uwsgi": f"uwsgi --http-socket $HOST:$PORT --master --die-on-term --module {target}",
        }[server]

    def _celery(self):
        file, match = self.tree.first(CELERY)
        if not match or "celery" not in self.packages:
            return {}
        module = dotted(file)
        target = module.removesuffix(".celery") if match[1] in ("app", "celery") else f"{module}:{match[1]}"
        why = f"guessed from Celery() in {file}"
        worker = {
            "command": Said(f"celery -A {target} worker -c $CELERY_CONCURRENCY", why),
            "kind": Said("celery", "the plan decides how many"),
        }
        found = {"worker": Said(worker)}
        where, beat = self.tree.first(BEAT)
        if beat:
            why = f"guessed from {beat[0]} in {where}"
            found["beat"] = Said(
                {"command": Said(f"celery -A {target} beat", why), "singleton": Said(True, "it runs once, for it tells the time")}
            )
        return found

    def _rq(self):
        if not {"rq", "django-rq"} & set(self.packages):
            return {}
        command = (
            "python manage.py rqworker"
            if "django-rq" in self.packages and self.tree.has("manage.py")
            else "rq worker --url $REDIS_QUEUE_URL"
        )
        return {"worker": Said({"command": Said(command, "guessed from rq in the requirements; TODO: which queues")})}

    def _beating(self):
        """Programs of their own that give a sign of life where HEARTBEAT_FILE tells them to."""
        if "HEARTBEAT_FILE" not in self.asked:
            return {}
        found = {}
        for file, _match in self.tree.search(MAIN):
            name = dotted(file).rpartition(".")[2].replace("_", "-").lower()
            if (
                file.endswith(".py")
                and re.search("heartbeat", self.tree.text(file), re.IGNORECASE)
                and re.fullmatch("[a-z][a-z0-9-]{0,24}", name)
            ):
                beat = Said({"file": f"{name}.heartbeat", "max_age": 180}, f"guessed from HEARTBEAT_FILE in {self.asked['HEARTBEAT_FILE']}")
                command = Said(f"python -m {dotted(file)}", f"guessed from __main__ and heartbeat in {file}")
                found[name] = Said({"command": command, "heartbeat": beat})
        return found

    # --- Node, pages -----------------------------------------------------------------------------------------------

    def _node(self):
        if self._static():
            return {}
        scripts, found = self.tree.scripts(), {}
        web = self._framework() or self._started(scripts) or self._main(scripts)
        if web:
            found["web"] = web
        for key in ("worker", "queue"):
            if key in scripts:
                found[key] = Said({"command": Said(self._script(key, scripts[key]), f'guessed from the script "{key}" of package.json')})
        return found

    def _framework(self):
        """A framework that serves its own pages, unless the app has a server of its own."""
        name = next((name for name in SERVERS if name in self.packages), None)
        start = self.tree.scripts().get("start", "")
        if "@sveltejs/kit" in self.packages and name is None:
            return Todo(
                "web: {command: node build, port: 3000} serves what @sveltejs/adapter-node builds; the app's svelte.config.js names another "
                "adapter, and nothing here runs what that one makes"
            )
        if name is None or (re.search(r"\bnode (?!\.output|build|\.?/?dist/server/entry)", start) and name != "nuxt"):
            return None
        if name == "@sveltejs/adapter-node":
            # It compares a form's origin with its own address, which it knows of these headers alone.
            for variable, header in (("HOST_HEADER", "x-forwarded-host"), ("PROTOCOL_HEADER", "x-forwarded-proto")):
                self.env.setdefault(variable, Said(header, f"where {name} learns its own address from"))
        return self._web(SERVERS[name], f"guessed from {name} in package.json")

    def _started(self, scripts):
        """The script that serves, without what the build has done and what a process manager would do."""
        names = [name for name in SERVING_SCRIPTS if name in scripts]
        serving = [name for name in names if not commands.DEVELOPMENT.search(commands.composed(commands.resolved(name, scripts))[0])]
        if not names:
            return None
        name = next(iter(serving or names))
        line = commands.resolved(name, scripts)
        command, before = commands.composed(line)
        self._keep(before)
        told = f'the script "{name}" of package.json: {short(scripts[name])}'
        managed = commands.PROCESS_MANAGER.match(command)
        if managed:
            script = self._managed(managed[1])
            command = f"node {script}" if script else command
            told += "; systemd does what pm2 did"
        command, notes = self._command(command, is_web=True)
        if not re.match(r"(\S+=\S+ )*node ", command):
            command, notes = ("npm start" if name == "start" else f"npm run {name}"), []
        if not serving:
            notes.append("TODO: it is a server for development; name what serves what the build made")
        return self._web(command, "; ".join([f"guessed from {told}", *notes]) + self._gone(command) + self._listens())

    def _managed(self, file):
        """What a file of pm2's says that runs; a program is its own."""
        file = file.removeprefix("./")
        if re.search(r"\.(config\.c?js|json)$", file):
            match = re.search(r"[\"']?\bscript[\"']?\s*:\s*[\"']([\w./-]+)[\"']", self.tree.text(file))
            return match[1].removeprefix("./") if match else None
        return file if re.search(r"\.[cm]?js$", file) else None

    def _main(self, scripts):
        main = self.tree.table("package.json").get("main")
        names = [main] if isinstance(main, str) else []
        file = self.tree.has(*names, "server.js", "index.js", "app.js", "src/server.js", "src/index.js")
        if not file or file not in self.tree.code or scripts.get("start"):
            return None
        return self._web(f"node {file}", f"guessed from {file}, package.json has no script start{self._listens()}")

    def _listens(self):
        if LISTENERS & set(self.packages):
            return ""
        asked = {*self.asked, *(match[1] for name in self.asked if (match := OWN_ADDRESS.fullmatch(name)))}
        missing = [f"${name}" for name in ("HOST", "PORT") if name not in asked]
        return f"; TODO: it has to listen on $HOST:$PORT, and does not ask for {' and '.join(missing)}" if missing else ""

    def _static(self):
        """The folder of pages that nginx serves by itself, how, and what says so; nothing for an app that runs."""
        if self.runtime == "command":
            page = self._pages()
            return page and (page.rpartition("/")[0] or ".", "directory", page)
        scripts = self.tree.scripts() if self.runtime == "node" else {}
        serves = any(name in scripts and not commands.DEVELOPMENT.search(scripts[name]) for name in SERVING_SCRIPTS)
        if serves or "build" not in scripts:
            return None
        packages, kind = set(self.packages), "spa"
        exported = "next" in packages and self.tree.first(EXPORTED)[0]
        if exported:
            return "out", "directory", f"output: export in {exported}"
        if packages & {*SERVERS, "@sveltejs/kit", "@nestjs/core"} and "@sveltejs/adapter-static" not in packages:
            return None
        for tool, folder in PAGES:
            if tool in packages:
                if tool == "vite":
                    folder = next((match[1] for _file, match in self.tree.search(OUT_FOLDER)), folder)
                if tool == "@angular/cli":
                    projects = self.tree.table("angular.json").get("projects")
                    folder = f"dist/{next(iter(projects))}/browser" if isinstance(projects, dict) and projects else folder
                return folder, kind, f"{tool} in package.json"
        return None

    # --- sites -----------------------------------------------------------------------------------------------------

    def _sites(self, processes):
        routes = {}
        static = self._static()
        if static:
            folder, kind, why = static
            routes["/"] = Said(
                {kind: folder}, f"guessed from {why}" + ("; TODO: everybody sees every file of the source" if folder == "." else "")
            )
        elif isinstance(processes.get("web"), Said):
            routes["/"] = Said({"process": "web"}, "the process above")
            for setting, prefix in (("STATIC_ROOT", "/static"), ("MEDIA_ROOT", "/media")):
                folder = self._folder(setting)
                if folder and not (setting == "STATIC_ROOT" and "whitenoise" in self.packages):
                    route = {"directory": folder[0], **({"expires": "30d"} if setting == "STATIC_ROOT" else {})}
                    routes[prefix] = Said(route, f"guessed from {setting} in {folder[1]}")
            path, why = self._websocket()
            if path:
                routes[path] = Said({"process": "web", "websocket": True}, why)
        if not routes:
            return None
        site = {"tls": Said("selfsigned", "TODO: letsencrypt, once the name leads to the host"), "routes": Said(routes)}
        return Said({f"{self.name}.example.com": Said(site, "TODO: your host name")})

    def _websocket(self):
        file, match = self.tree.first(WEBSOCKET)
        if match and next(filter(None, match.groups())) != "/":
            return next(filter(None, match.groups())), f"guessed from {file}"
        package = next((name for name in WEBSOCKETS if name in self.packages), None)
        if package:
            return WEBSOCKETS[package], f"guessed from {package} in {self.packages[package][1]}; TODO: its path"
        return None, ""
