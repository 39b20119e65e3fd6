# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command of a web process says of its workers and threads, and what of it would make the plan untrue."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps, web_servers
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError

FORK = "gunicorn x:app --bind $HOST:$PORT"


def numbers(command, *envs):
    told = web_servers.told(command, *envs)
    return told.name, told.number(told.server.workers), told.threads, told.takes_what_comes, told.one_at_a_time


@pytest.mark.parametrize(
    ("command", "envs", "expected"),
    [
        ("gunicorn x:app", [], ("gunicorn", None, None, False, True)),
        ("python -m gunicorn -w4 --threads=8 x:app", [], ("gunicorn", 4, 8, False, False)),
        ("./bin/gunicorn --workers 2 -w 3 x:app", [], ("gunicorn", 3, None, False, True)),
        (FORK, [{"GUNICORN_CMD_ARGS": "--workers=2 --threads 6"}], ("gunicorn", 2, 6, False, False)),
        ("gunicorn --threads 3 x:app", [{"GUNICORN_CMD_ARGS": "--threads 6"}], ("gunicorn", None, 3, False, False)),
        ("gunicorn --threads $T x:app", [{"T": "2"}, {"T": "5"}], ("gunicorn", None, 5, False, False)),
        ("gunicorn --threads ${T} -w $WEB_CONCURRENCY x:app", [], ("gunicorn", None, None, False, False)),
        ("gunicorn -k uvicorn.workers.UvicornWorker --threads 9 x:app", [], ("gunicorn", None, None, True, False)),
        ("gunicorn -kgthread --threads 9 x:app", [], ("gunicorn", None, 9, False, False)),
        ("gunicorn -c conf.py x:app", [], ("gunicorn", None, None, False, False)),
        ("uvicorn x:app --workers 4", [], ("uvicorn", 4, None, True, False)),
        ("granian --interface wsgi --blocking-threads 6 x:app", [], ("granian", None, 6, False, False)),
        ("waitress-serve --threads=6 x:app", [], ("waitress-serve", None, 6, False, False)),
        ("uwsgi --http :$PORT -p 3 --threads 2", [], ("uwsgi", 3, 2, False, False)),
        ("node server.js --workers 4", [], ("", None, None, False, False)),
        ("sh -c 'gunicorn x:app -w 4'", [], ("", None, None, False, False)),
        ("gunicorn 'x:app -w 4", [], ("gunicorn", 4, None, False, True)),
        (None, [], ("", None, None, False, False)),
    ],
)
def test_a_command_tells(command, envs, expected):
    assert numbers(command, *envs) == expected


def declared(app=None, **web):
    return {
        "shop": {
            "source": {"path": "../shop"},
            "processes": {"web": {"port": 8000, **web}},
            **(app or {}),
        }
    }


@pytest.mark.parametrize(
    ("web", "app"),
    [
        ({"command": FORK, "threads": "auto"}, {}),
        ({"command": f"{FORK} --threads $WEB_THREADS", "threads": 4}, {}),
        ({"command": f"{FORK} --workers 3", "workers": 3}, {}),
        ({"command": f"{FORK} --workers $WEB_CONCURRENCY --threads 8", "workers": 3}, {}),
        ({"command": "waitress-serve --listen $HOST:$PORT --threads $WEB_THREADS x:app", "threads": "auto"}, {}),
        ({"command": "python serve.py", "threads": "auto"}, {}),
        ({"command": f"{FORK} --threads ${{WEB_THREADS}}", "threads": "auto"}, {"env": {"GUNICORN_CMD_ARGS": "--timeout 60"}}),
    ],
    ids=str,
)
def test_what_the_plan_can_count_is_taken(web, app):
    process = apps.normalise(declared(app, **web))["shop"]["processes"]["web"]
    assert process["threads"] == web.get("threads")


@pytest.mark.parametrize(
    ("web", "app", "words"),
    [
        ({"command": f"{FORK} -w 4"}, {}, ["web.command", "It starts 4 workers, and the plan counts 1", "workers: 4", "$WEB_CONCURRENCY"]),
        ({"command": FORK}, {"env": {"GUNICORN_CMD_ARGS": "-w 2"}}, ["web.command", "starts 2 workers"]),
        ({"command": f"{FORK} --threads 8", "threads": "auto"}, {}, ["web.threads", "'auto'", "--threads 8", "wins", "$WEB_THREADS"]),
        ({"command": FORK, "threads": 4}, {"env": {"GUNICORN_CMD_ARGS": "--timeout 60"}}, ["web.threads", "add --threads $WEB_THREADS"]),
        ({"command": "waitress-serve x:app", "threads": 4}, {}, ["web.threads", "tells waitress-serve", "add --threads $WEB_THREADS"]),
        ({"command": "gunicorn -k gevent x:app", "threads": 4}, {}, ["web.threads", "(gunicorn) takes requests as they come", "remove it"]),
        ({"command": "node x.js", "threads": 4}, {"runtime": "node"}, ["web.threads", "(node) takes requests as they come"]),
    ],
    ids=str,
)
def test_what_would_make_the_plan_untrue_is_refused(web, app, words):
    with pytest.raises(DeclarationError) as error:
        apps.normalise(declared(app, **web))
    assert all(word in str(error.value) for word in words), str(error.value)
