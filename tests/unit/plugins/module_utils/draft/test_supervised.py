# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drafts for sources that another supervisor has run: nothing that it runs is lost without a word."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.draft import guess
from ansible_collections.mainstay.vps.plugins.module_utils.draft.tree import Tree, read


def drafted(files, name="shop"):
    text = guess.draft(name, Tree(files), "../src", "../src", "inventory/")
    return " ".join(re.sub(r"\n\s*# +", " ", text).split()), yaml.safe_load(text)["mainstay_apps"][name]


def python(packages="flask gunicorn", **files):
    return {"requirements.txt": packages.replace(" ", "\n"), "shop.py": "app = Flask(__name__)\n", **files}


def node(start="", **files):
    scripts = {"start": start} if start else {}
    return {"package.json": json.dumps({"scripts": scripts, "dependencies": {"express": "4"}}), "src/api.js": "app.listen(PORT)", **files}


ECOSYSTEM = """
module.exports = {
  apps: [
    // { name: "old", script: "old.js" },
    { name: "api", script: "./src/api.js", instances: "max", env: { A: "1" }, env_production: { B: { C: "2" } } },
    { name: "Mail Worker", script: './src/mail.js', args: "--queue mail" },
    { name: "import", script: "npm", args: "run import" },
    { name: "jobs", script: "jobs.py", interpreter: "/srv/shop/venv/bin/python3" },
    { name: "cleanup", script: "src/cleanup.js", cron_restart: "0 3 * * *", autorestart: false },
  ],
};
"""
SUPERVISORD = """
[supervisord]
nodaemon=true
[program:web]
command=/srv/shop/venv/bin/gunicorn shop:app -b unix:/run/shop.sock ; the site
[program:mailer]
command = /srv/shop/venv/bin/python mailer.py
    --verbose
[program:many]
command=python many.py --number=%(process_num)s
"""
COMPOSE = """
services:
  web: {build: ., command: sh -c "python manage.py migrate && exec gunicorn shop:app -b 0.0.0.0:8000"}
  fast: {build: {context: .}, image: shop, command: celery -A tasks worker -Q fast}
  slow: {image: shop, command: [celery, -A, tasks, worker, -Q, "the slow"]}
  front: {build: ./front, command: npm start}
  shell: {build: .}
  db: {image: "postgres:16", command: postgres -c fsync=off}
"""
UNITS = {
    "deploy/shop.service": "[Service]\nExecStart=/opt/shop/bin/gunicorn shop:app \\\n  -b unix:/run/shop.sock\n",
    "deploy/shop-mailer.service": "[Service]\nExecStart=-/opt/shop/bin/python mailer.py\n",
    "deploy/shop-report.service": "[Service]\nType=oneshot\nExecStart=/opt/shop/bin/python report.py\n",
    "deploy/shop-report.timer": "[Timer]\nOnCalendar=Mon 06:30\n",
    "deploy/shop-queue@.service": "[Service]\nExecStart=/opt/shop/bin/python queue.py %i\n",
}
CELERY = {"tasks.py": "app = Celery('x')\napp.conf.beat_schedule = {}\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            node("pm2-runtime start ecosystem.config.js", **{"ecosystem.config.js": ECOSYSTEM}),
            {
                "web": "node src/api.js",
                "mail-worker": "node src/mail.js --queue mail",
                "import": "npm run import",
                "jobs": "python3 jobs.py",
            },
        ),
        (
            node(**{"ecosystem.config.cjs": ECOSYSTEM.partition('{ name: "import"')[0]}),
            {"web": "node src/api.js", "mail-worker": "node src/mail.js --queue mail"},
        ),
        (
            node(**{"pm2.json": json.dumps({"apps": [{"name": "w", "script": "src/w.js"}]})}, **{"server.js": "http.listen(PORT)"}),
            {"web": "node server.js", "w": "node src/w.js"},
        ),
        (
            python(**{"deploy/supervisord.conf": SUPERVISORD}),
            {"web": "gunicorn --bind $HOST:$PORT shop:app", "mailer": "python mailer.py --verbose"},
        ),
        (
            {"requirements.txt": "gunicorn", "supervisord.conf": SUPERVISORD},
            {"web": "gunicorn shop:app -b $HOST:$PORT", "mailer": "python mailer.py --verbose"},
        ),
        (
            python("flask gunicorn celery", **CELERY, **{"compose.yaml": COMPOSE}),
            {
                "web": "gunicorn --bind $HOST:$PORT shop:app",
                "fast": "celery -A tasks worker -Q fast -c $CELERY_CONCURRENCY",
                "slow": "celery -A tasks worker -Q 'the slow' -c $CELERY_CONCURRENCY",
                "beat": "celery -A tasks beat",
            },
        ),
        (
            {"requirements.txt": "gunicorn", "docker-compose.yml": COMPOSE.partition("  fast")[0]},
            {"web": "gunicorn shop:app -b $HOST:$PORT"},
        ),
        (python(**UNITS), {"web": "gunicorn --bind $HOST:$PORT shop:app", "mailer": "python mailer.py"}),
        (python(**{"docker-compose.yml": "services: [\n"}), {"web": "gunicorn --bind $HOST:$PORT shop:app"}),
        (python(**{"docker-compose.yml": "services: {web: none}\n"}), {"web": "gunicorn --bind $HOST:$PORT shop:app"}),
        (python(**{"supervisord.conf": "no section\n"}), {"web": "gunicorn --bind $HOST:$PORT shop:app"}),
        # What says which processes there are, and is made for that, is asked alone.
        (python(Procfile="web: gunicorn shop:app\n", **{"docker-compose.yml": COMPOSE}), {"web": "gunicorn shop:app --bind $HOST:$PORT"}),
    ],
)
def test_what_another_supervisor_runs(files, expected):
    assert {name: process["command"] for name, process in drafted(files)[1]["processes"].items()} == expected


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            node(**{"ecosystem.config.js": ECOSYSTEM}),
            "TODO: cleanup: {command: node src/cleanup.js, schedule: …}, for ecosystem.config.js runs it at 0 3 * * *",
        ),
        (python(**{"supervisord.conf": SUPERVISORD}), "TODO: many in supervisord.conf cannot be declared as it is: python many.py"),
        (python(**UNITS), "TODO: report: {command: python report.py, schedule: …}, for deploy/shop-report.service runs it at Mon 06:30"),
        (python(**UNITS), "TODO: shop-queue in deploy/shop-queue@.service cannot be declared as it is: python queue.py %i"),
        (python(**{"supervisord.conf": SUPERVISORD}), "command: python mailer.py --verbose # guessed from mailer in supervisord.conf"),
    ],
)
def test_what_cannot_be_declared_is_said(files, told):
    assert told in drafted(files)[0]


def test_migrations_before_what_serves_are_migrations():
    assert drafted({"requirements.txt": "gunicorn", "docker-compose.yml": COMPOSE})[1]["migrate"] == "python manage.py migrate"


@pytest.mark.parametrize("name", ["supervisord.conf", "compose.yaml", "deploy/shop.service", "supervisor/conf.d/mailer.conf"])
def test_a_supervisor_s_file_is_read(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("told")
    (tmp_path / "nginx.conf").write_text("not of a supervisor's")
    assert read(tmp_path) == {name: "told", "nginx.conf": None}


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("uvicorn main:app --host 0.0.0.0 --port 8000", "uvicorn main:app --host $HOST --port $PORT"),
        ("uvicorn main:app --port=8000", "uvicorn main:app --port=$PORT --host $HOST"),
        ("gunicorn shop:app -b 0.0.0.0:8000", "gunicorn shop:app -b $HOST:$PORT"),
        ("gunicorn shop:app -b :8000", "gunicorn shop:app -b $HOST:$PORT"),
        ("waitress-serve --listen=*:8000 shop:app", "waitress-serve --listen=*:$PORT shop:app"),
        ("hypercorn main:app --bind 127.0.0.1:8000", "hypercorn main:app --bind 127.0.0.1:$PORT"),
        ("server --database 127.0.0.1:5432 --port 9000", "server --database 127.0.0.1:5432 --port $PORT"),
    ],
)
def test_a_port_by_its_number_is_the_process_s(line, command):
    assert drafted(python(Procfile=f"web: {line}\n"))[1]["processes"]["web"]["command"] == command


@pytest.mark.parametrize(
    ("code", "singleton"), [("@huey.periodic_task(crontab())\n", True), ("@db_periodic_task(crontab())\n", True), ("", None)]
)
def test_a_worker_that_tells_the_time_is_one(code, singleton):
    files = {"requirements.txt": "huey\n", "tasks.py": f"huey = RedisHuey()\n{code}def a(): pass\n"}
    assert drafted(files)[1]["processes"]["worker"].get("singleton") is singleton


@pytest.mark.parametrize(
    ("line", "command"),
    [("npm start", "node src/api.js"), ("npm run work", "node work.js --all"), ("yarn odd", "yarn odd"), ("npm run none", "npm run none")],
)
def test_a_script_that_runs_node_is_that_program(line, command):
    scripts = {"start": "node src/api.js", "prework": "tsc", "work": "NODE_ENV=x node work.js --all", "odd": "tsx odd.ts"}
    files = {**node(), "package.json": json.dumps({"scripts": scripts, "dependencies": {"tsx": "4"}}), "Procfile": f"jobs: {line}\n"}
    assert drafted(files)[1]["processes"]["jobs"]["command"].removeprefix("NODE_ENV=x ") == command
