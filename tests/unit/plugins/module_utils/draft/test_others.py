# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drafts for the shapes that other people's applications have: each is one that was deployed, or could not be."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.draft import commands, guess
from ansible_collections.mainstay.vps.plugins.module_utils.draft.tree import Tree, read


def drafted(files):
    text = guess.draft("app", Tree(files), "../src", "../src", "inventory/")
    return " ".join(re.sub(r"\n\s*# +", " ", text).split()), yaml.safe_load(text)["mainstay_apps"]["app"]


def node(scripts=None, packages=(), development=(), **files):
    manifest = {"scripts": scripts or {}, "dependencies": dict.fromkeys(packages, "1"), "devDependencies": dict.fromkeys(development, "1")}
    return {"package.json": json.dumps(manifest), **files}


def django(settings="", requirements="django\ngunicorn\n", **files):
    return {
        "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site.settings")\n',
        "requirements.txt": requirements,
        "site/settings.py": settings,
        "site/wsgi.py": "",
        **files,
    }


# --- Node ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "command", "told"),
    [
        (node({"start": "npm run build && node dist/server.js", "build": "tsc"}), "node dist/server.js", "npm run build && node"),
        (node({"start": "cross-env NODE_ENV=production node index.js"}), "NODE_ENV=production node index.js", None),
        (node({"start": "nest start", "start:prod": "node dist/main"}), "node dist/main", '"start:prod"'),
        (node({"start": "npm run serve", "serve": "node a.js"}), "node a.js", None),
        (node({"start": "nx serve"}, development=["nx"]), "npm start", "a server for development; .*move nx to dependencies"),
        (node({"start": "ts-node src/index.ts"}, development=["ts-node"]), "npm start", "move ts-node to dependencies"),
        (node({"start": "ts-node src/index.ts"}, packages=["ts-node"]), "npm start", None),
        (node({"start": "bun run a.ts"}), "npm start", "bun is not on a host"),
        (node({"start": "bun run a.ts"}, packages=["bun"]), "npm start", None),
        (node({"start": "tsx --env-file=.env a.ts"}, packages=["tsx"]), "npm start", "without --env-file"),
        (
            node(
                {"start": "pm2 start ecosystem.config.json --no-daemon"},
                **{"ecosystem.config.json": '{"apps": [{"script": "./src/run.js"}]}'},
            ),
            "node src/run.js",
            "systemd does what pm2 did",
        ),
        (node({"start": "next start", "build": "next build"}, ["next"]), "next start -H $HOST -p $PORT", None),
        (node({"start": "node server.js", "build": "next build"}, ["next"]), "node server.js", None),
        (node({"build": "nuxt build"}, ["nuxt"]), "node .output/server/index.mjs", None),
        (node({"build": "vite build"}, ["@sveltejs/kit", "@sveltejs/adapter-node", "vite"]), "node build", None),
        (node({"build": "astro build", "start": "astro dev"}, ["astro", "@astrojs/node"]), "node dist/server/entry.mjs", None),
    ],
)
def test_what_serves_of_a_node_app(files, command, told):
    text, found = drafted(files)
    assert found["processes"]["web"]["command"] == command
    assert re.search(told, text) if told else "TODO: move" not in text and "for development" not in text


@pytest.mark.parametrize(
    ("files", "route"),
    [
        (node({"build": "vite build", "start": "vite"}, development=["vite"]), {"spa": "dist"}),
        (node({"build": "vite build"}, development=["vite"], **{"vite.config.ts": "build: { outDir: './out/www' }"}), {"spa": "out/www"}),
        (node({"build": "vite build"}, development=["vite", "@sveltejs/kit", "@sveltejs/adapter-static"]), {"spa": "build"}),
        (node({"build": "react-scripts build", "start": "react-scripts start"}, ["react-scripts"]), {"spa": "build"}),
        (node({"build": "docusaurus build", "start": "docusaurus start"}, ["@docusaurus/core"]), {"spa": "build"}),
        (
            node({"build": "ng build", "start": "ng serve"}, ["@angular/cli"], **{"angular.json": '{"projects": {"shop": {}}}'}),
            {"spa": "dist/shop/browser"},
        ),
        (node({"build": "next build"}, ["next"], **{"next.config.js": "output: 'export'"}), {"directory": "out"}),
    ],
)
def test_pages_that_nothing_has_to_serve(files, route):
    _text, found = drafted(files)
    assert found["processes"] == {} and found["sites"]["app.example.com"]["routes"] == {"/": route}


def test_a_framework_that_is_built_for_somebody_s_cloud():
    text, found = drafted(node({"build": "vite build"}, development=["vite", "@sveltejs/kit", "@sveltejs/adapter-vercel"]))
    assert found["processes"] == {} and "sites" not in found
    assert "TODO: web: {command: node build, port: 3000} serves what @sveltejs/adapter-node builds" in text


@pytest.mark.parametrize("file", ["svelte.config.js", "vite.config.ts"])
def test_an_adapter_is_told_where_it_is_named(file):
    files = {file: "import adapter from '@sveltejs/adapter-auto';\n"}
    text, _found = drafted(node({"build": "vite build"}, development=["@sveltejs/kit", "@sveltejs/adapter-auto"], **files))
    assert f"{file} names another adapter" in text and "npm install --save-dev @sveltejs/adapter-node, and import it there" in text


def test_types_of_a_node_are_those_of_the_node_it_was_made_for():
    text, _found = drafted({"package.json": json.dumps({"devDependencies": {"@types/node": "^24.0.0"}, "main": "a.js"}), "a.js": ""})
    assert '@types/node says ^24.0.0; Debian 12 has 18 and 13 has 20, node: "24" brings that one' in text


def test_a_lock_tells_which_node_its_packages_want(tmp_path):
    wanted = {"astro": ">=22.12.0", "vite": "^20.19.0 || >=22.12.0", "deep": ">=24", "old": {"0": "node"}}
    packages = {f"node_modules/{name}": {"engines": {"node": node}} for name, node in wanted.items()}
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"vite": "8", "astro": "7"}}))
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": {"": {}, "node_modules/a": {"engines": ["node"]}, **packages}}))
    text, _found = drafted(read(tmp_path))
    assert 'astro in package-lock.json says >=22.12.0; Debian 12 has 18 and 13 has 20, node: "22" brings that one' in text
    for broken in ("[]", "{", '{"packages": []}'):
        (tmp_path / "package-lock.json").write_text(broken)
        assert "brings that one" not in drafted(read(tmp_path))[0]


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("@Controller()\nclass App {\n  @Get('health') check() {}\n}", "/health"),
        ("@Controller('healthz')\nclass Health {\n  @Get() check() {}\n}", "/healthz"),
        ("@Get('/health') check() {}", "/health"),
        ("this.logger.log('health')", "/"),
    ],
)
def test_nest_names_a_path_without_its_slash(code, path):
    text, found = drafted(node({"start:prod": "node dist/main"}, ["@nestjs/core"], **{"src/health.controller.ts": code}))
    assert found["processes"]["web"]["health"] == {"path": path}
    assert ("TODO: behind the prefix of its controller" in text) is (path != "/")


def test_what_begins_by_polling_has_one_instance():
    files = node({"start": "node a.js"}, ["socket.io"], **{"a.js": "listen(process.env.PORT, process.env.HOST)"})
    text, found = drafted(files)
    assert found["processes"]["web"]["instances"] == 1 and "transports: [websocket]" in text
    assert found["sites"]["app.example.com"]["routes"]["/socket.io"] == {"process": "web", "websocket": True}


# A workspace as pnpm has it: what serves and what works are members, and so are the packages that both use.
WORKSPACE = {
    "package.json": json.dumps({"scripts": {"start": "pnpm --filter web start"}}),
    "pnpm-workspace.yaml": "packages:\n  - 'apps/*'\n  - packages/*\n",
    "apps/web/package.json": json.dumps({"name": "web", "scripts": {"start": "node ./server.js"}}),
    "apps/web/server.js": "app.listen(process.env.PORT || 3100, process.env.HOST)",
    "apps/worker/package.json": json.dumps({"name": "@jobs/worker", "scripts": {"start": "tsx run.ts"}}),
    "apps/api/package.json": json.dumps({"name": "api", "scripts": {"start": "node api.js"}}),
    "apps/api/api.js": "listen(process.env.PORT)",
    "packages/queue/package.json": json.dumps({"name": "queue", "dependencies": {"bullmq": "5", "pg": "8"}}),
    "other/package.json": json.dumps({"scripts": {"start": "node none.js"}, "dependencies": {"mysql2": "3"}}),
}


@pytest.mark.parametrize(
    ("start", "listed", "web"),
    [
        ("pnpm --filter web start", {}, "node apps/web/server.js"),
        ("npm run start --workspace=apps/web", {"workspaces": ["apps/*", "packages/*"]}, "node apps/web/server.js"),
        ("npm start -w @jobs/worker", {"workspaces": {"packages": ["apps/*", "packages/*"]}}, "npm --prefix apps/worker run start"),
        ("yarn workspace web start", {"workspaces": ["./apps/*/", "packages/*"]}, "node apps/web/server.js"),
        ("npm start -w nobody", {"workspaces": ["apps/*", "packages/*"]}, "npm start"),
    ],
)
def test_the_members_of_a_workspace(start, listed, web):
    files = {**WORKSPACE, "package.json": json.dumps({"scripts": {"start": start}, **listed})}
    if listed:
        del files["pnpm-workspace.yaml"]
    _text, found = drafted(files)
    assert (found["processes"]["web"]["command"], found["database"], found["redis"]) == (web, "postgresql", ["queue"])
    assert {name: process["command"] for name, process in found["processes"].items() if name != "web"} == (
        {} if "worker" in web else {"worker": "npm --prefix apps/worker run start"}
    )


def test_a_svelte_app_learns_its_own_address():
    _text, found = drafted(node({"build": "vite build"}, ["@sveltejs/kit", "@sveltejs/adapter-node"]))
    assert found["env"] == {"HOST_HEADER": "x-forwarded-host", "PROTOCOL_HEADER": "x-forwarded-proto"}


def test_what_the_generator_of_express_writes():
    text, _found = drafted(
        node({"start": "node ./bin/www"}, ["express"], **{"bin/www": "var port = normalizePort(process.env.PORT || '4100');"})
    )
    assert (
        "does not ask for $HOST; where its code is to stay as it is, allow: [any_address] command: node ./bin/www" in text
        and "port: 4100" in text
    )


def test_what_a_migration_runs_has_to_be_there_after_the_build():
    text, found = drafted(node({"start": "node a.js"}, development=["prisma"], **{"a.js": ""}))
    assert found["migrate"] == "prisma migrate deploy" and "move prisma to dependencies" in text
    scripts = {"start": "node a.js", "migration:run": "npm run typeorm -- migration:run", "typeorm": "ts-node ./typeorm.js"}
    text, found = drafted(node(scripts, development=["ts-node"]))
    assert found["migrate"] == "npm run migration:run" and "move ts-node to dependencies" in text


@pytest.mark.parametrize(
    ("scripts", "files", "build"),
    [
        (
            {"build": "nest build"},
            {
                "prisma.config.ts": 'datasource: { url: env("DATABASE_URL") }',
                "schema.prisma": 'datasource db {\n  provider = "postgresql"\n}',
            },
            [{"command": "prisma generate", "env": {"DATABASE_URL": "$DATABASE_URL"}}, "npm run build"],
        ),
        ({"build": "tsc"}, {"schema.prisma": 'datasource db {\n  provider = "sqlite"\n}'}, ["prisma generate", "npm run build"]),
        ({"build": "prisma generate && tsc"}, {}, ["npm run build"]),
        ({"build": "tsc", "postinstall": "prisma generate"}, {}, ["npm run build"]),
        ({}, {}, ["prisma generate"]),
    ],
)
def test_prisma_s_client_is_made_by_the_build(scripts, files, build):
    assert drafted(node({"start": "node a.js", **scripts}, ["prisma"], **files))[1]["build"] == build


@pytest.mark.parametrize(("public", "copied"), [({}, ".next/static"), ({"public/a.svg": None}, "public .next/static")])
@pytest.mark.parametrize("start", ["next start", "node .next/standalone/server.js"])
def test_what_next_leaves_by_itself_gets_its_files(start, public, copied):
    settings = {"next.config.ts": 'const c = { output: "standalone" }', **public}
    _text, found = drafted(node({"build": "next build", "start": start}, ["next"], **settings))
    assert found["build"] == ["npm run build", f"cp -r --parents {copied} .next/standalone/"]
    web = found["processes"]["web"]
    assert (web["command"], web["env"]) == ("node .next/standalone/server.js", {"HOSTNAME": "$HOST"})


@pytest.mark.parametrize(
    ("files", "database", "url"),
    [
        ({".env.example": 'DATABASE_URL="file:./data.db?connection_limit=1"\n'}, None, "file:/srv/app/shared/data.db"),
        ({"schema.prisma": 'datasource db {\n  provider = "sqlite"\n  url = env("DATABASE_URL")\n}'}, None, None),
        ({".env.example": "DATABASE_URL=sqlite:///./app.db\n"}, None, "sqlite:////srv/app/shared/app.db"),
        ({".env.example": "DATABASE_URL=sqlite+aiosqlite:///data/app.db\n"}, None, "sqlite+aiosqlite:////srv/app/shared/app.db"),
        ({".env.example": "DATABASE_URL=postgres://localhost/app\n"}, "postgresql", None),
        ({"schema.prisma": 'generator client {\n  provider = "x"\n}\ndatasource db {\n  provider = "mysql"\n}'}, "mariadb", None),
    ],
)
def test_a_database_that_is_a_file(files, database, url):
    _text, found = drafted(node({"start": "node a.js"}, **files))
    assert found.get("database") == database
    assert found.get("env", {}).get("DATABASE_URL") == url


def test_a_driver_of_files_alone_means_no_server():
    """As Strapi is drafted, whose file lies below its code wherever it is told to lie."""
    code = "path.join(__dirname, '..', env('DATABASE_FILENAME', '.tmp/data.db')); env('DATABASE_HOST', 'localhost')"
    files = node({"start": "strapi start"}, ["better-sqlite3"], **{"config/database.ts": code, "public/uploads/.gitkeep": None})
    text, found = drafted(files)
    assert (found.get("database"), found.get("env"), found["shared"]) == (None, None, [".tmp", "public/uploads"])
    assert "a database is a file there, says config/database.ts; guessed from public/uploads/.gitkeep" in text
    _text, found = drafted({**files, **node({"start": "strapi start"}, ["better-sqlite3", "pg"])})
    assert (found["database"], found["shared"]) == ("postgresql", ["public/uploads"])


# --- names of its own ----------------------------------------------------------------------------------------------


def test_names_under_a_prefix_and_in_any_example():
    sample = (
        "DATABASE_TYPE=postgres\nDATABASE_USERNAME=root\nSHOP_DB_HOST=x\nAPP_PORT=3001\nAUTH_JWT_SECRET=secret\nAPI_DOMAIN=x\nSAQ_REDIS_URL=x\n"
        'APP_CORS_ORIGINS=["http://a"]\nBACKEND_DOMAIN=http://localhost:1\n'
    )
    _text, found = drafted(node({"start": "node a.js"}, ["pg"], **{"env-example-relational": sample}))
    assert found["env"] == {
        "APP_CORS_ORIGINS": '["https://app.example.com"]',
        "BACKEND_DOMAIN": "https://app.example.com",
        "DATABASE_TYPE": "postgres",
        "DATABASE_USERNAME": "$DATABASE_USER",
        "SAQ_REDIS_URL": "$REDIS_CACHE_URL",
        "SHOP_DB_HOST": "$DATABASE_HOST",
    }
    assert found["secrets"] == ["AUTH_JWT_SECRET"]
    assert found["processes"]["web"]["env"] == {"APP_PORT": "$PORT"}


@pytest.mark.parametrize(
    ("packages", "code", "scheme"),
    [
        ("advanced-alchemy\npsycopg", 'get_env("DATABASE_URL", "postgresql+psycopg://app:app@localhost/app")', "postgresql+psycopg"),
        ("sqlalchemy\nasyncpg", 'url = environ["DATABASE_URL"].replace("postgres://", "postgresql+asyncpg://")', None),
        ("sqlalchemy\nasyncpg", 'url = environ["DATABASE_URL"]', "postgresql+asyncpg"),
        ("django\npsycopg", 'url = "postgresql+psycopg://a@b/c"', None),
    ],
)
def test_a_url_with_the_name_of_its_driver(packages, code, scheme):
    _text, found = drafted({"requirements.txt": packages, "a.py": code})
    assert found.get("env", {}).get("DATABASE_SCHEME") == scheme


@pytest.mark.parametrize(
    "code",
    [
        'envsecret("SHOP_TOKEN", "-")',
        'get_env("SHOP_TOKEN")',
        'env_bool("SHOP_TOKEN")',
        'requireEnv("SHOP_TOKEN")',
        "env.str('SHOP_TOKEN')",
    ],
)
def test_a_variable_is_asked_for_by_a_helper(code):
    assert Tree({"a.py": code}).asked() == {"SHOP_TOKEN": "a.py"}


def test_variables_are_taken_apart():
    tree = Tree({"a.js": "const { PORT: port, SHOP_KEY,\n  SHOP_URL = 'x' } = process.env;\nconst { OTHER } = require('x');"})
    assert set(tree.asked()) == {"PORT", "SHOP_KEY", "SHOP_URL"}


def test_what_it_cannot_do_without_is_named_first():
    text, _found = drafted({"requirements.txt": "flask", "a.py": 'os.environ.get("AAA_ONE")\nos.environ["ZZZ_TWO"]\n'})
    assert "ZZZ_TWO (a.py), AAA_ONE (a.py)" in text


def test_tests_tell_nothing_and_hidden_files_their_versions(tmp_path):
    for name in ("src/a.test.ts", "test_a.py", "playwright.config.ts", "e2e/a.ts", ".github/a.py", "tests_e2e/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("process.env.HIDDEN; app.get('/health')")
    (tmp_path / ".nvmrc").write_text("24\n")
    (tmp_path / "package.json").write_text("{}")
    tree = Tree(read(tmp_path))
    assert tree.asked() == {} and tree.text(".nvmrc") == "24\n"
    text, _found = drafted(read(tmp_path))
    assert 'node: "24" brings that one' in text


# --- Python --------------------------------------------------------------------------------------------------------


def test_a_procfile_for_a_shell_is_taken_apart():
    files = {
        "Procfile": "web: flask db upgrade; flask translate compile; gunicorn shop:app\nworker: rq worker mails\n",
        "requirements.txt": "flask\ngunicorn\nrq\n",
    }
    _text, found = drafted(files)
    assert (found["build"], found["migrate"]) == (["flask translate compile"], "flask db upgrade")
    assert found["processes"]["web"]["command"] == "gunicorn shop:app --bind $HOST:$PORT"
    assert found["processes"]["worker"]["command"] == "rq worker --url $REDIS_QUEUE_URL mails"


def test_what_an_image_runs_tells_where_nothing_else_does():
    files = {
        "Dockerfile": "FROM x\nCMD poetry run alembic upgrade head && \\\n    poetry run uvicorn --host=0.0.0.0 app.main:app\n",
        "pyproject.toml": "[tool.poetry]\n",
        "poetry.lock": None,
    }
    text, found = drafted(files)
    assert found["processes"]["web"]["command"] == "uvicorn --host=$HOST app.main:app --port $PORT"
    assert found["migrate"] == "alembic upgrade head"
    assert "TODO: poetry.lock: neither pip nor uv reads it. Put a requirements.txt beside it" in text


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("a && b; c", ["a", "b", "c"]),
        ("sh -c 'a && b'", ["sh -c 'a && b'"]),
        ("a || b && c", ["a || b && c"]),
        ("exec poetry run a -x", ["a -x"]),
        ("A=1 npx b", ["A=1 b"]),
    ],
)
def test_the_parts_of_a_line(line, parts):
    assert commands.parts(line) == parts


def test_what_django_collects_and_what_people_upload():
    settings = 'STATIC_ROOT = BASE_DIR / "static"\nMEDIA_ROOT = os.path.join(BASE_DIR, "media")\nSECRET_KEY = os.environ["SECRET_KEY"]\n'
    settings += 'ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")\nEMAIL = env("EMAIL", "x")\n'
    _text, found = drafted(django(settings))
    env = {"ALLOWED_HOSTS": "$ALLOWED_HOSTS", "SECRET_KEY": "$SECRET_KEY"}
    assert found["build"] == [{"command": "python manage.py collectstatic --noinput", "env": env}]
    assert found["shared"] == ["media"]
    assert found["sites"]["app.example.com"]["routes"] == {
        "/": {"process": "web"},
        "/static": {"directory": "static", "expires": "30d"},
        "/media": {"directory": "media"},
    }
    _text, found = drafted(django(settings, "django\ngunicorn\nwhitenoise\n"))
    assert "/static" not in found["sites"]["app.example.com"]["routes"]


def test_the_settings_of_production():
    files = {**django(), "site/settings/production.py": "x = 1", "site/settings/dev.py": 'STATIC_ROOT = BASE_DIR / "s"'}
    del files["site/settings.py"]
    _text, found = drafted(files)
    assert found["env"]["DJANGO_SETTINGS_MODULE"] == "site.settings.production"
    assert found["build"][0]["env"] == {"DJANGO_SETTINGS_MODULE": "$DJANGO_SETTINGS_MODULE"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("ALLOWED_HOSTS = []\n", "ALLOWED_HOSTS in site/settings.py has to hold the site's name"),
        ("DEBUG = False\n", "ALLOWED_HOSTS in site.settings has to hold .* site.settings has no SECRET_KEY"),
        ("ALLOWED_HOSTS = ['*']\n", None),
        ("ALLOWED_HOSTS = ['localhost', 'shop.example.org']\n", None),
        (
            """DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}""",
            "'?\"db.sqlite3\"'? of the release",
        ),
        ("ALLOWED_HOSTS = ['*']\nDATABASES = {'default': dj_database_url.config()}\n", None),
    ],
)
def test_what_of_django_s_settings_does_not_fit(settings, told):
    text, _found = drafted(django(settings))
    assert re.search(told, text) if told else "has to hold" not in text and "of the release" not in text


def test_a_site_is_called_as_the_settings_allow():
    assert list(drafted(django("ALLOWED_HOSTS = ['localhost', 'shop.example.org']\n"))[1]["sites"]) == ["shop.example.org"]
    assert list(drafted(django("ALLOWED_HOSTS = ['localhost', '127.0.0.1']\n"))[1]["sites"]) == ["app.example.com"]


def test_a_django_app_that_takes_a_url_and_has_no_driver():
    settings = 'ALLOWED_HOSTS = ["*"]\nx = dj_database_url.config(default="sqlite:///" + "db.sqlite3")\n'
    _text, found = drafted(django(settings, "django\ndj-database-url\n"))
    assert found["env"]["DATABASE_URL"] == "sqlite:////srv/app/shared/db.sqlite3" and "database" not in found
    _text, found = drafted(django(settings, "django\ndj-database-url\npsycopg[binary]\n"))
    assert "DATABASE_URL" not in found["env"] and found["database"] == "postgresql"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (django("INSTALLED_APPS = ['huey.contrib.djhuey']", "django\nhuey\n"), "python manage.py run_huey"),
        (django("INSTALLED_APPS = ['django_q']", "django\ndjango-q2\n"), "python manage.py qcluster"),
        ({"requirements.txt": "huey", "shop/tasks.py": "queue = RedisHuey()\n"}, "huey_consumer shop.tasks.queue"),
        ({"requirements.txt": "dramatiq", "tasks.py": "@dramatiq.actor\ndef a(): pass\n"}, "dramatiq --processes 1 tasks"),
        ({"requirements.txt": "rq", "web.py": "Queue('mail', connection=c); Queue('mail')"}, "rq worker --url $REDIS_QUEUE_URL mail"),
        ({"requirements.txt": "rq", "web.py": "Queue(connection=c)"}, "rq worker --url $REDIS_QUEUE_URL"),
        ({"requirements.txt": "arq", "worker.py": "class WorkerSettings:\n"}, "arq worker.WorkerSettings"),
        ({"requirements.txt": "taskiq", "tkq.py": "broker = ListQueueBroker(url)\n"}, "taskiq worker tkq:broker"),
    ],
)
def test_workers_of_other_queues(files, command):
    assert drafted(files)[1]["processes"]["worker"]["command"] == command


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("StreamingResponse(tokens(), media_type='text/plain')", True),
        ("StreamingHttpResponse(rows())", True),
        ("StreamingResponse(ticks(), media_type='text/event-stream')", False),
        ("StreamingResponse(tokens(), headers={'X-Accel-Buffering': 'no'})", False),
        ("from starlette.responses import StreamingResponse", False),
    ],
)
def test_an_answer_in_parts_is_told_of(code, told):
    files = {"requirements.txt": "fastapi\nuvicorn\n", "main.py": f"app = FastAPI()\n{code}\n"}
    assert ("main.py streams (Streaming" in drafted(files)[0]) is told


def test_a_worker_alone_says_what_is_missing_for_visitors():
    told = "nothing in the source says which, if anything of it has visitors"
    assert told in drafted({"requirements.txt": "rq"})[0]
    text, found = drafted({"requirements.txt": "rq\nsanic\n", "server.py": 'app = Sanic("a")\n'})
    assert found["processes"]["web"]["command"] == "sanic server:app --host $HOST --port $PORT --single-process"
    assert told not in text and "build" not in found


def test_a_factory_of_an_asgi_app_in_a_package_further_below():
    files = {
        "pyproject.toml": '[project]\nname = "a"\ndependencies = ["litestar", "granian"]\n[build-system]\n',
        "manage.py": "from app.cli import main\n",
        "src/py/app/__init__.py": "",
        "src/py/app/asgi.py": "def create_app():\n",
    }
    text, found = drafted(files)
    assert found["processes"]["web"]["command"] == "granian --interface asgi --host $HOST --port $PORT app.asgi:create_app --factory"
    assert "its package lies in src/py" in text and "migrate" not in found


def test_what_is_compiled_names_its_debian_packages():
    _text, found = drafted(django(requirements="django\nuwsgi\nmysqlclient\n"))
    assert found["packages"] == ["build-essential", "python3-dev", "pkg-config", "default-libmysqlclient-dev"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("@get('/health')\nasync def health(): ...", None),
        ("app = Starlette(routes=[Route('/health', home)])", None),
        ("@app.get('/health')\ndef health(): ...", None),
        ("@router.get('/health')\ndef health(): ...", "behind the prefix of router"),
    ],
)
def test_a_route_of_a_part_may_have_a_prefix(code, told):
    text, found = drafted({"requirements.txt": "litestar", "app.py": f"app = Litestar([])\n{code}\n"})
    assert found["processes"]["web"]["health"] == {"path": "/health"}
    assert f"guessed from app.py; TODO: {told}" in text if told else "guessed from app.py; TODO" not in text


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "flask\nsix @ git+https://git.example.com/six\n"},
        {"pyproject.toml": '[tool.poetry.dependencies]\nsix = {git = "https://git.example.com/six"}\n'},
        {"package.json": '{"dependencies": {"six": "github:example/six#v1"}}'},
        {"package.json": '{"dependencies": {"six": "git+ssh://git@git.example.com/six.git"}}'},
    ],
)
def test_what_is_fetched_by_git_wants_git(files):
    assert drafted(files)[1]["packages"] == ["git"]


def test_a_word_that_is_no_route_is_told_so():
    text, _found = drafted(django('PING = "/ping/"\n'))
    assert "TODO: whether it is one that is answered" in text


@pytest.mark.parametrize(
    ("requirements", "web", "built"),
    [
        ("django\nchannels[daphne]\n", "daphne -b $HOST -p $PORT site.asgi:application", None),
        ("django\nchannels\nuvicorn[standard]\n", "uvicorn site.asgi:application --host $HOST --port $PORT", None),
        ("django\nchannels\n", "uvicorn site.asgi:application --host $HOST --port $PORT", ["uv pip install uvicorn"]),
    ],
)
def test_a_server_comes_with_the_requirements_or_with_the_build(requirements, web, built):
    _text, found = drafted(django(requirements=requirements, **{"site/asgi.py": ""}))
    assert (found["processes"]["web"]["command"], found.get("build")) == (web, built)


def test_a_server_has_the_version_of_the_image():
    image = 'FROM python\nRUN pip install "gunicorn==25.1.0"\n'  # as wagtail start writes it
    _text, found = drafted(django(requirements="django\n", Dockerfile=image))
    assert found["build"] == ["uv pip install gunicorn==25.1.0"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('CHANNEL_LAYERS = {"default": {"CONFIG": {"hosts": [("127.0.0.1", 6379)]}}}', 'names a Redis of its own ("127.0.0.1", 6379)'),
        ('CACHES = {"LOCATION": "redis://localhost:6379/1"}', "names a Redis of its own (redis://localhost:6379/1)"),
        ('CACHES = {"LOCATION": os.environ.get("REDIS_CACHE_URL", "redis://localhost:6379/1")}', None),
    ],
)
def test_a_redis_under_an_address_of_its_own_is_told(settings, told):
    text, found = drafted(django(settings, "django\nchannels-redis\n"))
    assert found["redis"] == ["cache"]
    assert f'{told}: let it say os.environ["REDIS_CACHE_URL"]' in text if told else "a Redis of its own" not in text


def test_a_file_that_is_a_database_is_told_its_place():
    """As the draft itself proposes it for settings that name a file of the release."""
    settings = 'DATABASES = {"default": {"NAME": os.environ.get("DATABASE_FILE", BASE_DIR / "db.sqlite3")}}'
    text, found = drafted(django(settings))
    assert found["env"]["DATABASE_FILE"] == "/srv/app/shared/db.sqlite3" and "keeps its database in" not in text
    _text, found = drafted(django(settings, "django\ngunicorn\npsycopg\n"))
    assert "DATABASE_FILE" not in found["env"]


@pytest.mark.parametrize(("requirements", "redis"), [("django\ndjango-q2\n", None), ("django\ndjango-q2\nredis\n", ["queue"])])
def test_a_queue_that_works_over_a_database_too(requirements, redis):
    assert drafted(django("INSTALLED_APPS = ['django_q']", requirements))[1].get("redis") == redis


def test_what_django_compresses_before_it_serves():
    settings = 'COMPRESS_OFFLINE = True\nSTATIC_ROOT = BASE_DIR / "static"\nSECRET_KEY = os.environ["SECRET_KEY"]\n'
    _text, found = drafted(django(settings, "django\ngunicorn\ndjango-compressor\n"))
    seen = {"SECRET_KEY": "$SECRET_KEY"}
    assert found["build"] == [{"command": f"python manage.py {name}", "env": seen} for name in ("collectstatic --noinput", "compress")]
    assert drafted(django("COMPRESS_OFFLINE = False\n", "django\ngunicorn\ndjango-compressor\n"))[1].get("build") is None


def test_django_that_tells_its_errors_to_nobody():
    assert "has no LOGGING: without DEBUG Django tells of an error by mail" in drafted(django("DEBUG = False\n"))[0]
    assert "has no LOGGING" not in drafted(django("LOGGING = {}\n"))[0]


FLASK = {"requirements.txt": "flask\nflask-migrate\ngunicorn\n"}


@pytest.mark.parametrize(
    ("files", "migrate", "shared"),
    [
        (
            {"board/__init__.py": "def create_app():\n    Flask(__name__, instance_relative_config=True)\n"},
            "flask --app board db upgrade",
            True,
        ),
        ({"board/web.py": "site = Flask(__name__)\n"}, "flask --app board.web:site db upgrade", False),
        ({"main.py": 'app = Flask(__name__)\napp.config["X"] = "sqlite:///board.db"\n'}, "flask --app main db upgrade", True),
        ({"app.py": 'app = Flask(__name__)\napp.config["X"] = "sqlite:////data/board.db"\n'}, "flask db upgrade", False),
    ],
)
def test_flask(files, migrate, shared):
    text, found = drafted({**FLASK, **files})
    assert (found["migrate"], found.get("shared")) == (migrate, ["instance"] if shared else None) and "TODO: flask --app" not in text


def test_flask_with_a_database_of_its_own_keeps_none_in_a_file():
    files = {"requirements.txt": "flask\npsycopg\n", "app.py": 'app = Flask(__name__)\nX = "sqlite:///board.db"\n'}
    assert "shared" not in drafted(files)[1]


@pytest.mark.parametrize(
    ("files", "web", "told"),
    [
        (
            {"requirements.txt": "nicegui", "main.py": "ui.run(title='a')\n"},
            {"command": "python main.py", "env": {"NICEGUI_STORAGE_PATH": "/srv/app/shared/nicegui"}},
            r"ui\.run\(host=",
        ),
        (
            {"requirements.txt": "gradio", "app.py": "demo.launch()\n"},
            {"command": "python app.py", "env": {"GRADIO_SERVER_NAME": "$HOST", "GRADIO_SERVER_PORT": "$PORT"}},
            "without server_name",
        ),
        (
            {"requirements.txt": "aiohttp", "shop/server.py": "if __name__ == '__main__':\n    web.run_app(app, port=8080)\n"},
            {"command": "python -m shop.server"},
            r'has to listen on os\.environ\["HOST"\]',
        ),
        (
            {
                "requirements.txt": "tornado",
                "main.py": "if __name__ == '__main__':\n    app.listen(os.environ['PORT'], os.environ['HOST'])\n",
            },
            {"command": "python main.py"},
            r"guessed from app\.listen\(…\) in main\.py port",
        ),
    ],
)
def test_programs_that_serve_by_themselves(files, web, told):
    text, found = drafted(files)
    assert {key: found["processes"]["web"][key] for key in web} == web and re.search(told, text)
