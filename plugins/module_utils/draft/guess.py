# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app's declaration may be, guessed from its source. Every guess says what it is from; what cannot be known is a TODO."""

from __future__ import annotations

import re

from ..release.recipes_node import node_steps
from ..release.recipes_python import python_requirements
from ..stack.apps import normalise
from ..stack.refusal import ReleaseError, refuse
from .data import Data
from .django import Django
from .node import Node
from .page import Said, Todo, bare, document, short
from .processes import IMAGE_FILES, JINJA, Processes
from .python import MAIN, Python, dotted
from .tree import NPM_LOCK

PYTHON_FILES = ("manage.py", "pyproject.toml", "requirements.txt", "requirements.lock", "uv.lock", "Pipfile", "setup.py")
WEBSOCKETS = {
    "ws": "/ws",
    "socket.io": "/socket.io",
    "@nestjs/platform-socket.io": "/socket.io",
    "flask-socketio": "/socket.io",
    "python-socketio": "/socket.io",
    "channels": "/ws",
    "nicegui": "/_nicegui_ws/socket.io",
    "streamlit": "/_stcore/stream",
}
WEBSOCKET = re.compile(r"""\.websocket\(\s*["'](/[\w/-]*)["']|path:\s*["'](/ws[\w/-]*)["']|["'](/ws)["']""")
# What sends an answer in parts, of a type that may be compressed, and what says that it is not to be held back.
STREAMS = re.compile(r"\b(StreamingResponse|StreamingHttpResponse|stream_with_context|renderToPipeableStream|\w+TextStreamResponse)\(")
AT_ONCE = re.compile(r"x-accel-buffering|text/event-stream", re.IGNORECASE)
# Where a version is told from a range of them, what Debian 12 has, and what to say of it.
INTERPRETERS = {
    "python": (re.compile(r"(?:^|>=?|==|~=|\^)\s*(3\.\d{1,2})"), 11, "Debian 12 has 3.11 and 13 has 3.13"),
    "node": (re.compile(r"(?:^v?|>=?|\^|~)\s*(\d{2})"), 18, "Debian 12 has 18 and 13 has 20"),
}
# The version of an interpreter whose image an own one is made of.
IMAGE = r"^FROM\s+(?:--\S+\s+)?(?:[\w.-]+/)*{}:(\d[\d.]*)"
# A requirement that is fetched by git, as pip, Poetry and npm write it.
BY_GIT = re.compile(r"\bgit\+(?:https?|ssh):|\bgit\s*=\s*\"(?:https?|ssh):|\"(?:github|gitlab|bitbucket):")
# Packages that are compiled when they are installed, and the Debian packages that this takes.
COMPILED = {
    "uwsgi": ("build-essential", "python3-dev"),
    "mysqlclient": ("build-essential", "python3-dev", "pkg-config", "default-libmysqlclient-dev"),
    "psycopg2": ("build-essential", "python3-dev", "libpq-dev"),
    "python-ldap": ("build-essential", "python3-dev", "libldap-dev", "libsasl2-dev"),
}


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


class Guess(Django, Data, Processes, Python, Node):
    """One app's declaration, part by part."""

    def __init__(self, name, tree, path, shown, beside):
        self.name, self.tree, self.path, self.shown, self.beside = name, tree, path, shown, beside
        self.asked = tree.asked()
        self.env, self.todo = {}, []
        # What stands before what serves in a line of a shell, and belongs elsewhere.
        self.before = {"build": [], "migrate": []}
        # Servers that it is run by and does not require.
        self.installed = []
        self.runtime, self.runtime_why = self._runtime()
        self.packages = {"node": tree.node_packages, "python": tree.python_packages}.get(self.runtime, dict)()
        self.members = tree.members() if self.runtime == "node" else []

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
        self._fixed_redis(redis)
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
            "shared": self._shared_folders(database),
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
            wanted = {
                "requires-python": self.tree.table("pyproject.toml", "project").get("requires-python"),
                ".python-version": self.tree.text(".python-version").strip(),
                "python in pyproject.toml": self.tree.table("pyproject.toml", "tool", "poetry", "dependencies").get("python"),
                "Pipfile": self.tree.table("Pipfile", "requires").get("python_version"),
            }
        elif self.runtime == "node":
            engines = self.tree.table("package.json").get("engines")
            wanted = {"engines": engines.get("node") if isinstance(engines, dict) else "", ".nvmrc": self.tree.text(".nvmrc").strip()}
            wanted["@types/node"] = self.packages.get("@types/node", ("",))[0]
        else:
            return None
        pattern, oldest, have = INTERPRETERS[self.runtime]

        def least(text):
            """The oldest line that would do, with its number."""
            versions = [(int(match[1].rpartition(".")[2]), match[1]) for match in pattern.finditer(str(text or ""))]
            return min(versions, default=(0, ""))

        locked = {name: text for name, text in self.tree.table(NPM_LOCK).items() if name in self.packages}
        if self.runtime == "node" and locked:
            name = max(sorted(locked), key=lambda name: least(locked[name]))
            wanted[f"{name} in {NPM_LOCK}"] = locked[name]
        file = self.tree.has(*IMAGE_FILES)
        image = re.search(IMAGE.format(self.runtime), self.tree.text(file), re.MULTILINE | re.IGNORECASE)
        wanted[f"FROM in {file}"] = image[1] if image else ""
        for where, text in wanted.items():
            number, version = least(text)
            if number > oldest:
                return Todo(f'{where} says {short(str(text))}; {have}, {self.runtime}: "{version}" brings that one')
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
        before, after = self._beside_the_build() if self.runtime == "node" else ({}, {})
        steps, notes = [*before.values(), *steps, *after.values()], [*before, *notes, *after]
        for server in self.installed:
            pinned = re.search(rf"\b{server}==[\w.]+", self.tree.text(self.tree.has(*IMAGE_FILES)))
            steps.append(f"uv pip install {pinned[0] if pinned else server}")
            notes.append(f"{server} is not among its requirements; TODO: better there, with its version")
        steps += [self._command(part)[0] for part in self.before["build"] if not re.search(r"\b(npm|pnpm|yarn) (run )?build$", part)]
        if len(steps) > len(notes):
            notes.append("what stood before the command that serves")
        static = self._folder("STATIC_ROOT")
        if static and "collectstatic" not in str(steps):
            steps.append(self._collectstatic())
            notes.append(f"guessed from STATIC_ROOT in {static[1]}")
        compressed = self._compressed()
        if compressed and "manage.py compress" not in str(steps):
            steps.append(self._manage("compress"))
            notes.append(f"guessed from COMPRESS_OFFLINE in {compressed}")
        return {**({"build": Said(steps, "; ".join(notes))} if steps else {}), **found}

    def _packages(self):
        """Debian packages by which others are compiled, of which PyPI has no wheel, or fetched."""
        wanted = [name for name in COMPILED if self.runtime == "python" and name in self.packages]
        names = list(dict.fromkeys(package for name in wanted for package in COMPILED[name]))
        told = [f"guessed from {', '.join(wanted)} in {self.packages[wanted[0]][1]}, of which PyPI has no built package"] if wanted else []
        requiring = {file: self.tree.text(file) for _name, (_version, file) in sorted(self.packages.items())}
        file, match = self.tree.first(BY_GIT, requiring)
        if match:
            names.append("git")
            told.append(f"guessed from {match[0]} in {file}")
        return Said(names, "; ".join(told)) if names else None

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
                told, why = self._flask_app(), "guessed from migrations/ and Flask-Migrate"
                if told is None:
                    told, why = "", f"{why}; TODO: flask --app … db upgrade, if flask does not find the app"
                return Said(f"flask{told} db upgrade", why)
        if self.runtime == "node":
            if "prisma" in self.packages:
                return Said("prisma migrate deploy", "guessed from prisma in package.json" + self._gone("prisma"))
            for key in ("migrate:deploy", "migrate:prod", "db:deploy", "migrate", "db:migrate", "migration:run"):
                if key in scripts:
                    why = f'guessed from the script "{key}" of package.json: {short(scripts[key])}'
                    return Said(self._script(key, scripts[key]), why + self._gone(f"npm run {key}"))
        return None

    def _shared_folders(self, database):
        told, kept = self._shared(), self._kept(database)
        folders = told.value if told else []
        more = [folder for folder in kept if folder not in folders]
        if not more:
            return told
        return Said([*folders, *more], "; ".join([*([told.why] if told else []), *dict.fromkeys(kept[folder] for folder in more)]))

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
            file, match = self.tree.first(STREAMS, {name: text for name, text in self.tree.code.items() if not AT_ONCE.search(text)})
            if match:
                self.todo.append(
                    f"{file} streams ({match[1]}), which nginx holds back where it compresses it; X-Accel-Buffering: no among that answer's "
                    "headers, or buffering: false in its route, sends it as it comes"
                )
            path, why = self._websocket()
            if path:
                routes[path] = Said({"process": "web", "websocket": True}, why)
        if not routes:
            return None
        site = {"tls": Said("selfsigned", "TODO: letsencrypt, once the name leads to the host"), "routes": Said(routes)}
        host, why = self._host()
        return Said({host: Said(site, why)})

    def _websocket(self):
        file, match = self.tree.first(WEBSOCKET)
        if match and next(filter(None, match.groups())) != "/":
            return next(filter(None, match.groups())), f"guessed from {file}"
        package = next((name for name in WEBSOCKETS if name in self.packages), None)
        if package:
            return WEBSOCKETS[package], f"guessed from {package} in {self.packages[package][1]}; TODO: its path"
        return None, ""
