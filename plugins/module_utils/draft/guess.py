# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app's declaration may be, guessed from its source. Every guess says what it is from; what cannot be known is a TODO."""

from __future__ import annotations

import re

from ..deploy.unit_commands import exec_words
from ..stack.apps import normalise
from ..stack.placeholders import is_secret
from ..stack.refusal import DeclarationError, refuse
from ..stack.services import RESERVED_PORTS
from ..stack.variables import generated_names
from .page import Said, Todo, bare, document, short

PYTHON_FILES = ("manage.py", "pyproject.toml", "requirements.txt", "requirements.lock", "uv.lock", "Pipfile", "setup.py")
IMAGE_FILES = ("Dockerfile", "Containerfile")
DRIVERS = {
    "postgresql": {"psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "asyncpg", "pg8000", "pg", "pg-promise", "postgres"},
    "mariadb": {"mysqlclient", "pymysql", "aiomysql", "asyncmy", "mariadb", "mysql-connector-python", "mysql", "mysql2"},
}
QUEUES = {"celery", "rq", "django-rq", "huey", "dramatiq", "arq", "bullmq", "bull", "bee-queue"}
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
    r"((DJANGO|FLASK|APP)_)?(SECRET|SECRET_KEY|SECRET_KEY_BASE|SESSION_SECRET|SESSION_KEY|COOKIE_SECRET|JWT_SECRET|JWT_SECRET_KEY|AUTH_SECRET"
    r"|NEXTAUTH_SECRET|CSRF_SECRET)"
)
DATABASE_NAME = re.compile(
    r"(?:DB|POSTGRES|POSTGRESQL|MYSQL|MARIADB|SQL)_(HOST|HOSTNAME|SERVER|PORT|NAME|DATABASE|DB|USER|USERNAME|PASSWORD|PASS|URL|URI)"
    r"|(SQLALCHEMY_DATABASE_(?:URI|URL)|DATABASE_URI)"
)
PARTS = {"HOSTNAME": "HOST", "SERVER": "HOST", "DATABASE": "NAME", "DB": "NAME", "USERNAME": "USER", "PASS": "PASSWORD", "URI": "URL"}
REDIS_NAME = re.compile(r"REDIS_(URL|HOST|PORT|PASSWORD|USER|DB)|(?:CELERY_)?(BROKER)_URL|(CELERY_RESULT_BACKEND|CACHE_URL|REDIS_URI)")
HEALTH = re.compile(r"""["'`](?:[A-Z]+ )?(/?(?:[a-z0-9]+/){0,2}_?(?:healthz?|health-?check|livez?|liveness|ping|up)/?)\$?["'`]""")
READY = re.compile(r"""["'`](?:[A-Z]+ )?(/?(?:[a-z0-9]+/){0,2}_?(?:readyz?|readiness|health/ready)/?)\$?["'`]""")
WEBSOCKET = re.compile(r"""\.websocket\(\s*["'](/[\w/-]*)["']|path:\s*["'](/ws[\w/-]*)["']|["'](/ws)["']""")
ASGI = re.compile(r"^(\w+)(?:: *\w+)? *= *(FastAPI|Starlette|Litestar|Quart)\(", re.MULTILINE)
WSGI = re.compile(r"^(\w+)(?:: *\w+)? *= *(Flask|Bottle|falcon\.App)\(", re.MULTILINE)
FACTORY = re.compile(r"^def (create_app|make_app)\(", re.MULTILINE)
CALLABLE = re.compile(r"^def (\w+)\(environ, *start_response\)", re.MULTILINE)
CELERY = re.compile(r"^(\w+)(?:: *\w+)? *= *Celery\(", re.MULTILINE)
BEAT = re.compile(r"beat_schedule|CELERY_BEAT_SCHEDULE|django_celery_beat|add_periodic_task")
MAIN = re.compile(r"^if __name__ == ['\"]__main__['\"]", re.MULTILINE)
# Where a version is told from a range of them, what Debian 12 has, and what to say of it.
INTERPRETERS = {
    "python": (re.compile(r"(?:^|>=?|==|~=|\^)\s*(3\.\d{1,2})"), 11, "Debian 12 has 3.11 and 13 has 3.13"),
    "node": (re.compile(r"(?:^v?|>=?|\^|~)\s*(\d{2})"), 18, "Debian 12 has 18 and 13 has 20"),
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


def dotted(file):
    """A Python file as the name of its module."""
    name = re.sub(r"(/__init__)?\.py$", "", file)
    return name.removeprefix("src/").replace("/", ".")


class Guess:
    """One app's declaration, part by part."""

    def __init__(self, name, tree, path, shown, beside):
        self.name, self.tree, self.path, self.shown, self.beside = name, tree, path, shown, beside
        self.asked = tree.asked()
        self.env, self.todo = {}, []
        self.runtime, self.runtime_why = self._runtime()
        self.packages = {"node": tree.node_packages, "python": tree.python_packages}.get(self.runtime, dict)()

    # --- the whole -------------------------------------------------------------------------------------------------

    def entries(self):
        procfile = self.tree.procfile()
        processes = self._processes(procfile)
        migrate = self._migrate(procfile)
        database, redis = self._database(), self._redis()
        self._scheme(database)
        env, unknown = self._environment(database, redis)
        found = {
            "runtime": Said(self.runtime, self.runtime_why),
            "interpreter?": self._interpreter(),
            "source": self._source(),
            "source?": self._source_todo(),
            **self._build(),
            "migrate": migrate,
            "secrets": self._secrets(),
            "database": database,
            "redis": redis,
            "env": env,
            "env?": unknown,
            **self._volumes(),
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
        if not script:
            return {}
        if self.runtime == "node":
            manager = "pnpm" if self.tree.has("pnpm-lock.yaml") and not self.tree.has("package-lock.json") else "npm"
            command = "npm run build"
            note = f'guessed from the script "build" of package.json: {short(script)}' + (" (pnpm installs)" if manager == "pnpm" else "")
            return {"build": Said([command], note)}
        if self.runtime == "python":
            return {
                "build?": Todo(
                    f'package.json has a build script ({short(script)}); packages: [npm], build: ["npm ci", "npm run build"] runs it'
                )
            }
        return {}

    def _migrate(self, procfile):
        if "release" in procfile:
            command, notes = self._command(procfile["release"])
            return Said(command, "; ".join(["guessed from the line release of Procfile", *notes]))
        scripts = self.tree.scripts()
        if self.runtime == "python" and self.tree.has("manage.py"):
            return Said("python manage.py migrate --noinput", "guessed from manage.py")
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
                return Said("prisma migrate deploy", "guessed from prisma in package.json")
            for key in ("migrate", "db:migrate", "migrate:deploy"):
                if key in scripts:
                    return Said(self._script(key, scripts[key]), f'guessed from the script "{key}" of package.json')
        return None

    def _script(self, key, command):
        return command if re.fullmatch(r"node [\w./-]+", command) else f"npm run {key}"

    # --- data ------------------------------------------------------------------------------------------------------

    def _database(self):
        for database, drivers in DRIVERS.items():
            for package in sorted(drivers & set(self.packages)):
                return Said(database, f"guessed from {package} in {self.packages[package][1]}")
        provider = re.search(
            r'provider\s*=\s*"(postgresql|mysql)"', "".join(t or "" for n, t in self.tree.files.items() if n.endswith(".prisma"))
        )
        if provider:
            return Said({"mysql": "mariadb"}.get(provider[1], provider[1]), "guessed from the provider of Prisma's schema")
        named = next((name for name in self.asked if name == "DATABASE_URL" or DATABASE_NAME.fullmatch(name)), None)
        if named and not (self.runtime == "python" and self.tree.has("db.sqlite3")):
            kind = "mariadb" if re.match("MYSQL|MARIADB", named) else "postgresql"
            return Said(kind, f"guessed from {named} in {self.asked[named]}; TODO: which one it is, postgresql, mariadb or none")
        return None

    def _scheme(self, database):
        if database is None or "sqlalchemy" not in self.packages:
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
        unknown = []
        for name, file in sorted(self.asked.items()):
            if name in secrets or name in GIVEN or name in env:
                continue
            value = self._own_name(name, database, redis)
            if value:
                env[name] = Said(value, f"guessed from {file}, which asks for it")
            elif is_secret(name):
                unknown.append(f"{name} ({file}, a secret: from a vault)")
            else:
                unknown.append(f"{name} ({file})")
        if self.tree.has("manage.py"):
            settings = re.search(r"DJANGO_SETTINGS_MODULE[\"'], *[\"']([\w.]+)", self.tree.text("manage.py"))
            if settings:
                env["DJANGO_SETTINGS_MODULE"] = Said(settings[1], "guessed from manage.py; TODO: that of production, if it is another one")
                unknown = [text for text in unknown if not text.startswith("DJANGO_SETTINGS_MODULE ")]
        todo = None
        if unknown:
            more = f" and {len(unknown) - 15} more" if len(unknown) > 15 else ""
            todo = Todo(f"the source asks for these, too; give in env what it needs: {', '.join(unknown[:15])}{more}")
        return (Said(dict(sorted(env.items()))) if env else None), todo

    @staticmethod
    def _own_name(name, database, redis):
        match = DATABASE_NAME.fullmatch(name)
        if match and database:
            return f"$DATABASE_{PARTS.get(match[1], match[1]) if match[1] else 'URL'}"
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

    def _of_procfile(self, procfile):
        found = {}
        for kind, line in procfile.items():
            if kind == "release":
                continue
            name = re.sub(r"[^a-z0-9-]", "-", kind.lower())[:25].strip("-")
            if not re.match("[a-z]", name) or JINJA.search(line):
                self.todo.append(f"the line {kind} of Procfile cannot be declared as it is: {short(line)}")
                continue
            command, notes = self._command(line, is_web=name == "web")
            why = "; ".join([f"guessed from the line {kind} of Procfile", *notes])
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
        command, notes = line, []
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
        return Said({"command": Said(command, why), "port": port or self._port(), **self._checks()})

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
        routed = [(file, match) for file, match in found if ROUTED.search(match.string[: match.start(1)])]
        file, match = next(iter(routed or found), (None, None))
        return (file, "/" + match[1].lstrip("/")) if match else (None, None)

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
        return {**({"web": web} if web else {}), **self._celery(), **self._rq(), **self._beating()}

    def _server(self, names, missing):
        """The first server of some that the app requires; else the first of all, with a TODO."""
        found = next((name for name in names if name in self.packages), None)
        if found:
            return found, f", {found} in {self.packages[found][1]}"
        if names[0] == "uvicorn" and "standard" in self.packages.get("fastapi", ("", ""))[0]:
            return "uvicorn", f", fastapi[standard] in {self.packages['fastapi'][1]}"
        return names[0], f"; TODO: add {missing} to its requirements"

    def _django(self):
        if not self.tree.has("manage.py"):
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
            return self._web(self._serve(server, f"{dotted(file)}:{match[1]}"), f"guessed from {match[2]}() in {file}{why}")
        for pattern, words in ((WSGI, "{}"), (CALLABLE, "{}"), (FACTORY, "{}()")):
            file, match = self.tree.first(pattern)
            if match:
                server, why = self._server(("gunicorn", "waitress", "uwsgi"), "gunicorn")
                target = f"{dotted(file)}:{words.format(match[1])}"
                return self._web(self._serve(server, target), f"guessed from {match[1]} in {file}{why}")
        return None

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
        main = self.tree.table("package.json").get("main")
        if "next" in self.packages:
            found["web"] = self._web("next start -H $HOST -p $PORT", "guessed from next in package.json")
        elif "start" in scripts:
            command, notes = self._command(scripts["start"], is_web=True)
            if not re.match(r"(\S+=\S+ )*node ", command):
                command, notes = "npm start", []
            why = "; ".join([f'guessed from the script "start" of package.json: {short(scripts["start"])}', *notes])
            found["web"] = self._web(command, why + self._listens())
        else:
            file = self.tree.has(
                *([main] if isinstance(main, str) else []), "server.js", "index.js", "app.js", "src/server.js", "src/index.js"
            )
            if file and file in self.tree.code:
                found["web"] = self._web(f"node {file}", f"guessed from {file}, package.json has no script start{self._listens()}")
        for key in ("worker", "queue"):
            if key in scripts:
                found[key] = Said({"command": Said(self._script(key, scripts[key]), f'guessed from the script "{key}" of package.json')})
        return found

    def _listens(self):
        missing = [f"${name}" for name in ("HOST", "PORT") if name not in self.asked]
        return f"; TODO: it has to listen on $HOST:$PORT, and does not ask for {' and '.join(missing)}" if missing else ""

    def _static(self):
        """The folder of pages that nginx serves by itself, how, and what says so; nothing for an app that runs."""
        if self.runtime == "command":
            page = self._pages()
            return page and (page.rpartition("/")[0] or ".", "directory", page)
        if self.runtime == "node" and "start" not in self.tree.scripts() and "build" in self.tree.scripts():
            for tool, folder in (
                ("vite", "dist"),
                ("react-scripts", "build"),
                ("@angular/cli", "dist"),
                ("@vue/cli-service", "dist"),
                ("astro", "dist"),
            ):
                if tool in self.packages:
                    return folder, "spa", f"{tool} in package.json"
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
