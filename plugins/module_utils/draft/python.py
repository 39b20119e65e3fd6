# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Python's frameworks serves, and what works in the background."""

from __future__ import annotations

import re

from .page import Said, short

ASGI_FRAMEWORKS = {"fastapi", "starlette", "litestar", "quart", "sanic"}
ASGI = re.compile(r"^(\w+)(?:: *\w+)? *= *(FastAPI|Starlette|Litestar|Quart|Sanic)\(", re.MULTILINE)
WSGI = re.compile(r"^(\w+)(?:: *\w+)? *= *(Flask|Bottle|falcon\.App)\(", re.MULTILINE)
FLASK = re.compile(r"^(?P<name>\w+)(?:: *\w+)? *= *Flask\(|^def (?:create_app|make_app)\(", re.MULTILINE)
# What Flask finds by itself: the app under these names, in these files at the top or where a file of variables says so.
FLASK_NAMES, FLASK_FILES = (None, "app", "application"), ("app.py", "wsgi.py", ".flaskenv")
# What an app of Flask keeps in its folder instance: what it asks for, and a database of SQLite without a path.
INSTANCE = re.compile(r"\binstance_relative_config\s*=\s*True|\binstance_path\b|sqlite:///\w[\w.-]*[\"']")
FACTORY = re.compile(r"^def (create_app|make_app)\(", re.MULTILINE)
CALLABLE = re.compile(r"^def (\w+)\(environ, *start_response\)", re.MULTILINE)
# Plotly's Dash, which keeps a Flask of its own.
DASH = re.compile(r"^(\w+) *= *\w+\.server\b *$", re.MULTILINE)
# Servers that make a site of one file: how to tell the file, the command, where it says that it lives, its variables and what it has to say.
PAGES = {
    "streamlit": (
        re.compile(r"^(?:import|from) streamlit\b", re.MULTILINE),
        "streamlit run {file} --server.address $HOST --server.port $PORT --server.headless true",
        "/_stcore/health",
        {},
        "the file that begins, where it is another",
    ),
    "gradio": (
        re.compile(r"\.launch\("),
        "python {file}",
        None,
        {"GRADIO_SERVER_NAME": "$HOST", "GRADIO_SERVER_PORT": "$PORT"},
        "launch() without server_name and server_port, which stand in env here",
    ),
    "nicegui": (
        re.compile(r"\bui\.run\("),
        "python {file}",
        None,
        {"NICEGUI_STORAGE_PATH": "/srv/{app}/shared/nicegui"},
        'ui.run(host=os.environ["HOST"], port=int(os.environ["PORT"]), reload=False, show=False) listens where it has to',
    ),
}
# A program that serves by itself, and where its file is looked for.
SERVING = re.compile(r"\b(?:web\.run_app|uvicorn\.run|waitress\.serve|serve_forever|start_server|HTTPServer|\w+\.listen|app\.run)\(")
FACTORY_MODULES = re.compile(r"(.*/)?asgi\.py")
# Workers of other queues: what makes one of a module, the packages it is of, and its command. Where it would start as many processes as the
# host has cores, it starts one, which is what the plan counts.
WORKERS = (
    (re.compile(r"^(\w+)(?:: *\w+)? *= *\w*Huey\(", re.MULTILINE), {"huey"}, "huey_consumer {module}.{name}"),
    (re.compile(r"^@(dramatiq)\.actor", re.MULTILINE), {"dramatiq"}, "dramatiq --processes 1 {module}"),
    (re.compile(r"^class (WorkerSettings)\b", re.MULTILINE), {"arq"}, "arq {module}.{name}"),
    (
        re.compile(r"^(\w+)(?:: *\w+)? *= *\w*(?:Redis|Stream|List|PubSub|Aio\w*)\w*Broker\(", re.MULTILINE),
        {"taskiq"},
        "taskiq worker {module}:{name}",
    ),
)
# What a worker that also tells the time does at certain hours; two of them would do it twice.
PERIODIC = re.compile(r"@\w*\.?(?:db_)?periodic_task\(")
# The same as commands of Django, each by the package that brings it, with a word that stands in the settings.
DJANGO_WORKERS = (
    ({"huey"}, "djhuey", "run_huey"),
    ({"django-dramatiq"}, "django_dramatiq", "rundramatiq --processes 1"),
    ({"django-q", "django-q2"}, "django_q", "qcluster"),
    ({"django-rq"}, "django_rq", "rqworker default"),
    ({"django-tasks", "django-tasks-db"}, "django_tasks", "db_worker"),
)
RQ_QUEUE = re.compile(r"""\b(?:Queue|get_queue|job)\(\s*["']([\w-]+)["']""")
CELERY = re.compile(r"^(\w+)(?:: *\w+)? *= *Celery\(", re.MULTILINE)
BEAT = re.compile(r"beat_schedule|CELERY_BEAT_SCHEDULE|django_celery_beat|add_periodic_task")
MAIN = re.compile(r"^if __name__ == ['\"]__main__['\"]", re.MULTILINE)


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


class Python:
    """That part of a guess; see guess.py."""

    def _python(self):
        web = self._django() or self._python_web()
        return {**({"web": web} if web else {}), **self._celery(), **self._rq(), **self._other_workers(), **self._beating()}

    def _server(self, *names):
        """The first server of some that the app requires, by itself or as a part of another package; else the first of all, which is installed."""
        found = next((name for name in names if name in self.packages), None)
        if found:
            return found, f", {found} in {self.packages[found][1]}"
        brought = {part.strip(): (name, file) for name, (extras, file) in self.packages.items() for part in extras.split(",") if part}
        if "standard" in self.packages.get("fastapi", ("", ""))[0]:
            brought["uvicorn"] = ("fastapi", self.packages["fastapi"][1])
        for server in names:
            if server in brought:
                package, file = brought[server]
                return server, f", {server} of {package}[…] in {file}"
        self.installed.append(names[0])
        return names[0], ""

    def _python_web(self):
        file, match = self.tree.first(ASGI)
        if match:
            own = ("sanic",) if match[2] == "Sanic" else ()
            server, why = self._server(*own, "uvicorn", "hypercorn", "granian", "daphne")
            return self._web(
                self._serve(server, f"{dotted(file, self.tree.files)}:{match[1]}"),
                f"guessed from {match[2]}() in {file}{why}{self._below(file)}",
            )
        dash = ((DASH, "{}"),) if "dash" in self.packages else ()
        for pattern, words in (*dash, (WSGI, "{}"), (CALLABLE, "{}"), (FACTORY, "{}()")):
            file, match = self.tree.first(pattern)
            if match and pattern is FACTORY and (FACTORY_MODULES.fullmatch(file) or ASGI_FRAMEWORKS & set(self.packages)):
                server, why = self._server("uvicorn", "hypercorn", "granian")
                command = self._serve(server, f"{dotted(file, self.tree.files)}:{match[1]}{'()' if server == 'hypercorn' else ''}")
                command += {"uvicorn": " --factory", "granian": " --factory"}.get(server, "")
                return self._web(command, f"guessed from {match[1]} in {file}{why}{self._below(file)}")
            if match:
                server, why = self._server("gunicorn", "waitress", "uwsgi")
                target = f"{dotted(file)}:{words.format(match[1])}"
                return self._web(self._serve(server, target), f"guessed from {match[1]} in {file}{why}")
        return self._page()

    def _page(self):
        for package, (pattern, command, health, env, wanted) in PAGES.items():
            # Of several files with the package, that at the top is the one that imports or lists the others.
            file = min((file for file, _match in self.tree.search(pattern)), key=lambda file: (file.count("/"), file), default=None)
            if package in self.packages and file:
                told = f"guessed from {package} in {file}; TODO: {wanted}"
                found = self._web(command.format(file=file), told, health=health and (health, package))
                if env:
                    found.value["env"] = Said({name: text.format(app=self.name) for name, text in env.items()}, f"as {package} calls them")
                return found
        file, match = self.tree.first(SERVING, {name: text for name, text in self.tree.code.items() if MAIN.search(text)})
        if match and file.endswith(".py"):
            missing = [name for name in ("HOST", "PORT") if name not in self.asked]
            told = '; TODO: it has to listen on os.environ["HOST"] and int(os.environ["PORT"])' if missing else ""
            command = f"python {file}" if "/" not in file else f"python -m {dotted(file)}"
            return self._web(command, f"guessed from {match[0]}…) in {file}{told}")
        return None

    def _flask_app(self):
        """How the command flask is told its app: empty where it finds it by itself, None where nobody knows."""
        file, match = self.tree.first(FLASK)
        if self.tree.has(*FLASK_FILES):
            return ""
        name = match and match.groupdict()["name"]
        return f" --app {dotted(file)}{'' if name in FLASK_NAMES else f':{name}'}" if match else None

    def _instance(self):
        """The folder of an app of Flask for what is its own on each host, which is beside the app's code."""
        file, match = self.tree.first(INSTANCE) if "flask" in self.packages else (None, None)
        if not match or match[0].startswith("sqlite") and self._database():
            return None
        why = f"guessed from {short(match[0])} in {file}: what it keeps there stays for all releases"
        if any(name.startswith("instance/") for name in self.tree.files):
            why += "; TODO: the source has files there, move them"
        return Said(["instance"], why)

    def _below(self, file):
        """Where Python does not find a module by its path, because its package begins further below."""
        top = _top(file, self.tree.files)
        return f"; TODO: its package lies in {top}, where it is found once installed or in PYTHONPATH" if top not in ("", "src") else ""

    def _other_workers(self):
        packages = set(self.packages)
        settings = "".join(self._settings().values())
        for wanted, word, command in DJANGO_WORKERS:
            if self.is_django and wanted & packages and word in settings and "rqworker" not in command:
                return {"worker": self._timed({"command": Said(f"python manage.py {command}", f"guessed from {word} in the settings")})}
        for pattern, wanted, command in WORKERS:
            file, match = self.tree.first(pattern)
            if match and wanted & packages:
                worker = {"command": Said(command.format(module=dotted(file), name=match[1]), f"guessed from {short(match[0])} in {file}")}
                return {"worker": self._timed(worker)}
        return {}

    def _timed(self, worker):
        """A worker that also tells the time is one."""
        file, match = self.tree.first(PERIODIC)
        return Said({**worker, "singleton": Said(True, f"it tells the time, too, says {short(match[0])}…) in {file}")} if match else worker)

    @staticmethod
    def _serve(server, target):
        target = f"'{target}'" if "(" in target else target
        return {
            "uvicorn": f"uvicorn {target} --host $HOST --port $PORT",
            "hypercorn": f"hypercorn {target} --bind $HOST:$PORT",
            "granian": f"granian --interface asgi --host $HOST --port $PORT {target}",
            "sanic": f"sanic {target} --host $HOST --port $PORT --single-process",
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
        queues = sorted({match[1] for _file, match in self.tree.search(RQ_QUEUE)})
        told = (
            f"guessed from rq in the requirements and {', '.join(queues)} in the code"
            if queues
            else "guessed from rq in the requirements; TODO: which queues"
        )
        return {"worker": Said({"command": Said(" ".join([command, *queues]), told)})}

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
