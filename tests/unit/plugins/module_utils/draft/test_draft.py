# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drafts of real source trees: the validator, the schema, the plan and systemd's syntax take each, and every guess says what it is from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.deploy.unit_commands import exec_words
from ansible_collections.mainstay.vps.plugins.module_utils.draft import guess, page
from ansible_collections.mainstay.vps.plugins.module_utils.draft.tree import Tree, read
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.tests.unit.stacks import one_host

ROOT = Path(__file__).parents[5]
SCHEMA = jsonschema.Draft7Validator(json.loads((ROOT / "docs/variables.schema.json").read_text()))

DJANGO = {
    "manage.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "site.settings")\n',
    "requirements.txt": "Django==5.2\ngunicorn==23.0.0\npsycopg[binary]==3.2\ndjango-redis\nrequests\n",
    "requirements-dev.txt": "mysqlclient\n",
    "site/__init__.py": "",
    "site/wsgi.py": "application = get_wsgi_application()\n",
    "site/settings.py": 'SECRET_KEY = os.environ["SECRET_KEY"]\nDB = {"HOST": os.getenv("DB_HOST"), "NAME": env("DB_NAME"), "USER": '
    'os.getenv("DB_USER"), "PASSWORD": os.getenv("DB_PASSWORD")}\nCACHE = env("CACHE_URL")\nSTRIPE = env("STRIPE_API_KEY")\nDEBUG = env("DEBUG")\n',
    "site/urls.py": 'urlpatterns = [path("healthz/", ok)]\n',
}
PROCFILE = {
    "Procfile": "web: gunicorn app:app --bind 0.0.0.0:${PORT:-5000}\nworker: celery -A app worker -l info\nbeat: celery -A app beat\n"
    "release: flask db upgrade && flask seed\nodd_one: python odd.py > out.txt\n",
    "requirements.txt": "flask\ngunicorn\ncelery[redis]\npsycopg2-binary\nredis\n",
    "app.py": "from flask import Flask\napp = Flask(__name__)\n\n@app.route('/health')\ndef health(): return 'ok'\n",
}
NODE = {
    "package.json": json.dumps(
        {
            "scripts": {
                "start": "NODE_ENV=production node server.js",
                "build": "tsc",
                "worker": "node worker.js",
                "migrate": "knex migrate:latest",
            },
            "dependencies": {"express": "5", "pg": "8", "bullmq": "5", "ioredis": "5"},
        }
    ),
    "server.js": "const port = process.env.PORT || 4000;\napp.get('/healthz', ok);\nredis(process.env.REDIS_URL);\n",
    "worker.js": "",
}
DOCKER = {
    "Dockerfile": 'FROM golang:1.22 AS build\nRUN go build\nFROM scratch\nEXPOSE 8080/tcp\nVOLUME ["/data/files"]\nCMD ["/app", "--listen", ":8080"]\n',
    "main.go": "package main\n",
}
TREES = {
    "django": DJANGO,
    "procfile": PROCFILE,
    "node": NODE,
    "docker": DOCKER,
    "low-port": {"Containerfile": "FROM docker.io/library/nginx\nexpose 80\n"},
    "reserved-port": {"Dockerfile": "FROM x\nEXPOSE 5432\n"},
    "factory": {
        "pyproject.toml": '[project]\nname = "a"\ndependencies = ["Flask>=3", "waitress"]\n',
        "src/shop/__init__.py": "def create_app():\n",
    },
    "fastapi": {"pyproject.toml": '[project]\ndependencies = ["fastapi[standard]"]\n', "app/main.py": "api: FastAPI = FastAPI()\n"},
    "poetry": {
        "pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.11"\nstarlette = "*"\nuvicorn = {version = "*", extras = ["standard"]}\n',
        "main.py": "app = Starlette()\n",
    },
    "spa": {"package.json": '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}', "index.html": ""},
    "next": {"package.json": '{"scripts": {"build": "next build", "start": "next start"}, "dependencies": {"next": "15"}}'},
    "typescript": {"package.json": '{"scripts": {"start": "ts-node src/index.ts"}, "dependencies": {"ws": "8"}}', "src/index.ts": ""},
    "no-start": {"package.json": '{"main": "lib/run.js"}', "lib/run.js": "process.env.PORT"},
    "both": {
        "requirements.txt": "flask\n",
        "app.py": "app = Flask(__name__)\n",
        "Dockerfile": "FROM x\n",
        "package.json": '{"scripts": {"build": "vite"}}',
    },
    "pages": {"index.html": "", "style.css": None},
    "streamlit": {
        "requirements.txt": "streamlit==1.39.0\n",
        "pages/1_Numbers.py": "import streamlit as st\n",
        "start.py": "import streamlit as st\n",
    },
    "dash": {"requirements.txt": "dash\ngunicorn\n", "app.py": "from dash import Dash\napp = Dash(__name__)\nserver = app.server\n"},
    "nothing": {"README.md": None},
    "broken": {"package.json": "{", "pyproject.toml": "[", "Procfile": "web:\n:x\n"},
}


def unfolded(text):
    """A draft without the breaks of its long comments."""
    return " ".join(re.sub(r"\n\s*# +", " ", text).split())


def drafted(name, files):
    """A draft as text, and what a parser finds in it."""
    text = guess.draft(name, Tree(files), "../src", "../src", "inventory/")
    return text, yaml.safe_load(text)["mainstay_apps"][name]


def test_a_site_of_one_file_is_served_as_its_server_wants_it():
    _text, found = drafted("a", TREES["streamlit"])
    web = found["processes"]["web"]
    assert web["command"] == "streamlit run start.py --server.address $HOST --server.port $PORT --server.headless true"
    assert web["health"] == {"path": "/_stcore/health"}
    assert found["sites"]["a.example.com"]["routes"]["/_stcore/stream"] == {"process": "web", "websocket": True}
    _text, found = drafted("a", TREES["dash"])
    assert found["processes"]["web"]["command"] == "gunicorn --bind $HOST:$PORT app:server"


def example(name):
    return drafted(name, read(ROOT / "examples" / name))


def test_children_of_celery_that_a_procfile_counts_are_the_plan_s_too():
    _text, found = drafted("app", {"Procfile": "worker: celery -A app worker -B -c 4\n", "requirements.txt": "celery[redis]\n"})
    assert found["processes"]["worker"]["workers"] == 4


def test_the_workers_of_a_command_are_counted():
    _text, found = drafted("app", {"Procfile": "web: gunicorn app:app -w 4\n", "requirements.txt": "flask\ngunicorn\n"})
    assert found["processes"]["web"]["workers"] == 4


@pytest.mark.parametrize("name", TREES)
def test_a_run_takes_every_draft_as_it_is(name):
    text, declared = drafted(name, TREES[name])
    variables = yaml.safe_load(text)
    normal = apps.normalise({name: declared})
    assert [error.message for error in SCHEMA.iter_errors(variables)] == []
    assert capacity.plan(normal, variables["mainstay_users"], one_host(4096, 2))
    for process in normal[name]["processes"].values():
        assert not process["command"] or exec_words(process["command"])


@pytest.mark.parametrize("name", TREES)
def test_every_guess_says_what_it_is_from(name):
    text, _declared = drafted(name, TREES[name])
    lines = text.splitlines()
    for number, line in enumerate(lines):
        has_value = re.match(r"\s+[\w/.-]+: \S", line)
        assert not has_value or "  # " in line or lines[number - 1].lstrip().startswith("# "), line
        assert len(line) <= 160


def test_the_shop_is_nearly_what_the_example_declares():
    text, found = example("shop")
    declared = yaml.safe_load((ROOT / "inventory.example/group_vars/all.yml").read_text())["mainstay_apps"]["shop"]
    for key in ("runtime", "migrate", "secrets", "database", "redis"):
        assert found[key] == declared[key], key
    assert found["processes"].keys() == declared["processes"].keys()
    for name in ("worker", "beat", "mailer"):
        assert found["processes"][name] == declared["processes"][name], name
    web = dict(declared["processes"]["web"])
    assert found["processes"]["web"] == {**web, "readiness": {"path": "/ready"}}
    assert found["sites"]["shop.example.com"]["routes"] == {"/": {"process": "web"}, "/ws": {"process": "web", "websocket": True}}
    assert "LOG_LEVEL (shop/config.py)" in text and "SMTP_URL" in text


def test_the_chat_is_nearly_what_its_scenario_declares():
    _text, found = example("chat")
    declared = yaml.safe_load((ROOT / "molecule/node/group_vars/all/stack.yml").read_text())["mainstay_apps"]["chat"]
    for key in ("runtime", "database", "redis"):
        assert found[key] == declared[key], key
    assert found["migrate"] == declared["migrate"]["command"]
    assert found["processes"]["web"] == {
        "command": "node src/server.js",
        "port": 3000,
        "health": {"path": "/health"},
        "readiness": {"path": "/ready"},
    }
    assert found["sites"]["chat.example.com"]["routes"]["/ws"] == {"process": "web", "websocket": True}


def test_the_guestbook_is_nearly_what_its_readme_declares():
    _text, found = example("guestbook")
    assert (found["database"], found["env"], found["migrate"]) == (
        "mariadb",
        {"DATABASE_SCHEME": "mysql+pymysql"},
        "python -m guestbook.migrate",
    )
    assert found["processes"]["web"]["command"] == "gunicorn --bind $HOST:$PORT guestbook.app:app"


def test_django():
    text, found = drafted("app", DJANGO)
    assert found["processes"]["web"]["command"] == "gunicorn --bind $HOST:$PORT site.wsgi:application"
    assert found["processes"]["web"]["health"] == {"path": "/healthz/"}
    assert found["migrate"] == "python manage.py migrate --noinput"
    assert (found["database"], found["redis"], found["secrets"]) == ("postgresql", ["cache"], ["SECRET_KEY"])
    assert found["env"] == {
        "CACHE_URL": "$REDIS_CACHE_URL",
        "DB_HOST": "$DATABASE_HOST",
        "DB_NAME": "$DATABASE_NAME",
        "DB_PASSWORD": "$DATABASE_PASSWORD",
        "DB_USER": "$DATABASE_USER",
        "DJANGO_SETTINGS_MODULE": "site.settings",
    }
    assert "DEBUG (site/settings.py), STRIPE_API_KEY (site/settings.py, a secret: from a vault)" in unfolded(text)
    assert "database: postgresql  # guessed from psycopg in requirements.txt" in text


def test_a_procfile_is_taken_with_what_was_changed():
    text, found = drafted("app", PROCFILE)
    commands = {name: process["command"] for name, process in found["processes"].items()}
    assert commands == {
        "web": "gunicorn app:app --bind $HOST:$PORT",
        "worker": "celery -A app worker -l info -c $CELERY_CONCURRENCY",
        "beat": "celery -A app beat",
        "odd-one": "sh -c 'python odd.py > out.txt'",
    }
    assert found["processes"]["worker"]["kind"] == "celery" and found["processes"]["beat"]["singleton"] is True
    assert found["migrate"] == "sh -c 'flask db upgrade && flask seed'"
    assert found["redis"] == ["queue"]
    for told in ("the line web of Procfile; $HOST for 0.0.0.0; $PORT without its default", "a shell runs it"):
        assert told in text


def test_node():
    text, found = drafted("app", NODE)
    assert found["processes"]["web"]["command"] == "NODE_ENV=production node server.js"
    assert found["processes"]["web"]["port"] == 4000
    assert found["processes"]["worker"] == {"command": "node worker.js"}
    assert (found["build"], found["migrate"]) == (["npm run build"], "npm run migrate")
    assert (found["redis"], found["env"]) == (["queue"], {"REDIS_URL": "$REDIS_QUEUE_URL"})
    assert "TODO: it has to listen on $HOST:$PORT, and does not ask for $HOST" in unfolded(text)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"pyproject.toml": '[project]\nname = "app"\nrequires-python = ">=3.12,<4"'},
            'requires-python says >=3.12,<4; .* python: "3.12" brings',
        ),
        ({"requirements.txt": "flask", ".python-version": "3.14.2\n"}, 'python-version says 3.14.2; .* python: "3.14" brings'),
        ({"pyproject.toml": '[project]\nname = "app"\nrequires-python = ">=3.9,!=3.13.0"'}, None),
        ({"pyproject.toml": '[project]\nname = "app"\nrequires-python = 3'}, None),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.13"'}, r'python in pyproject.toml says \^3.13; .* python: "3.13"'),
        ({"Pipfile": '[requires]\npython_version = "3.12"'}, 'Pipfile says 3.12; .* python: "3.12" brings'),
        ({"Pipfile": "requires = 3"}, None),
        (
            {"requirements.txt": "wagtail", "Dockerfile": "FROM docker.io/library/python:3.14-slim AS builder"},
            "FROM in Dockerfile says 3.14; ",
        ),
        ({"requirements.txt": "wagtail", "Dockerfile": "FROM python:3.11\nFROM node:24"}, None),
        (
            {"package.json": "{}", "Dockerfile": "FROM --platform=linux/amd64 node:22.3-alpine"},
            'FROM in Dockerfile says 22.3; .* node: "22"',
        ),
        ({"package.json": '{"engines": {"node": ">=22.5"}}'}, 'engines says >=22.5; .* node: "22" brings'),
        ({"package.json": "{}", ".nvmrc": "v24"}, 'nvmrc says v24; .* node: "24" brings'),
        ({"package.json": '{"engines": {"node": "^18 || ^20"}}'}, None),
        ({"package.json": '{"engines": "node 22"}'}, None),
    ],
)
def test_a_source_that_wants_another_interpreter_than_debian_s(files, told):
    text, found = drafted("app", files)
    assert not {"python", "node"} & set(found), "nothing is guessed: the host may have it"
    assert re.search(told, unfolded(text)) if told else " brings that one" not in text


def test_a_dockerfile():
    text, found = drafted("app", DOCKER)
    assert (found["runtime"], found["source"]) == ("container", {"image": "build/app.tar"})
    assert found["processes"]["web"] == {"port": 8080, "health": {"path": "/"}}
    assert found["volumes"] == {"data-files": "/data/files"}
    assert 'the image runs ["/app", "--listen", ":8080"]; it has to listen on $HOST:$PORT' in text
    assert "docker build -t app ../src && docker save app -o build/app.tar" in text


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("factory", "waitress-serve --host=$HOST --port=$PORT 'shop:create_app()'"),
        ("fastapi", "uvicorn app.main:api --host $HOST --port $PORT"),
        ("poetry", "uvicorn main:app --host $HOST --port $PORT"),
        ("next", "next start -H $HOST -p $PORT"),
        ("typescript", "npm start"),
        ("no-start", "node lib/run.js"),
        ("both", "gunicorn --bind $HOST:$PORT app:app"),
    ],
)
def test_commands(name, command):
    assert drafted(name, TREES[name])[1]["processes"]["web"]["command"] == command


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("both", "gunicorn is not among its requirements; TODO: better there, with its version"),
        ("both", "there is a Dockerfile, too"),
        ("both", "package.json has a build script"),
        ("low-port", "Containerfile exposes 80, which no app may have"),
        ("reserved-port", "Dockerfile exposes 5432, which no app may have"),
        ("spa", "guessed from vite in package.json"),
        ("nothing", "nothing that is known was found"),
        ("broken", "TODO: web: {command: …, port: 8000}"),
        ("pages", "TODO: everybody sees every file of the source"),
        ("typescript", "guessed from ws in package.json; TODO: its path"),
    ],
)
def test_what_is_not_known_is_said(name, told):
    text, _declared = drafted(name, TREES[name])
    assert told in unfolded(text)


def test_pages_are_nginxs_alone():
    assert drafted("app", TREES["spa"])[1]["sites"]["app.example.com"]["routes"] == {"/": {"spa": "dist"}}
    assert drafted("app", TREES["pages"])[1]["processes"] == {}


@pytest.mark.parametrize(
    "files",
    [
        {"package.json": '{"scripts": {"start": "node {{ lookup(\'pipe\', \'id\') }}"}}'},
        {"requirements.txt": "flask", "{{x}}.py": "app = Flask(__name__)\n"},
        {"Procfile": "release: {% if x %}y{% endif %}", "requirements.txt": ""},
        {"requirements.txt": "flask", "a.py": 'app = Flask(__name__)\n@app.get("/health")\n'},
    ],
    ids=lambda files: next(iter(files)),
)
def test_an_expression_of_the_source_never_reaches_ansible(files):
    try:
        _text, declared = drafted("app", files)
    except DeclarationError as refusal:
        assert "expression of Jinja" in str(refusal)
    else:
        assert "{{" not in str(declared) and "{%" not in str(declared)


def test_a_comment_stays_one():
    files = {"package.json": json.dumps({"scripts": {"start": "x\n    evil: true\r\u2028\x1b[31m" + "y" * 500}})}
    text, declared = drafted("app", files)
    assert declared["processes"]["web"]["command"] == "npm start" and "evil" not in declared
    assert "\x1b" not in text and "\u2028" not in text and "\r" not in text


@pytest.mark.parametrize(
    "value", ["yes", "1.5", "a: b", "x #y", "- z", "a:", "*", "", "é", "a 'b'", '"q"', "null", "{a}", "80", "key:value"]
)
def test_a_text_stays_a_text(value):
    assert yaml.safe_load(page.document({"a": page.Said(value), "b": page.Said({"k": [value]})})) == {"a": value, "b": {"k": [value]}}


def test_a_folder_is_read_within_bounds(tmp_path):
    (tmp_path / "node_modules/x").mkdir(parents=True)
    (tmp_path / "node_modules/x/index.js").write_text("process.env.HIDDEN")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/index.html").write_text("x")
    (tmp_path / "dist/app.js").write_text("process.env.BUILT")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/settings.py").write_text('env("NEVER_ASKED")')
    (tmp_path / "app.py").write_bytes(b"app = Flask(\xff)\n" + b"#" * 400_000)
    (tmp_path / "secret").write_text("never read")
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    found = read(tmp_path)
    assert sorted(found) == ["app.py", "dist/app.js", "dist/index.html", "secret"]
    assert found["secret"] is None and found["dist/app.js"] is None and len(found["app.py"]) == 300_000
    assert list(Tree(found).asked()) == []


def test_a_name_that_no_app_may_have_is_refused():
    with pytest.raises(DeclarationError, match="name of the system's own"):
        drafted("postgres", PROCFILE)
