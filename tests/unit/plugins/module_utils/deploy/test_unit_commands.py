# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command means to systemd, and which no unit can run."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment as deploy_environment
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import unit_commands
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import units as deploy_units
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.tests.unit.backends import unit_of
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, broken


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uvicorn app:a --host $HOST --port $PORT", "uvicorn app:a --host $HOST --port $PORT"),
        ("a --port=$PORT", "a --port=${PORT}"),
        ("a ${X}y", "a ${X}y"),
        ('a "$X y"', 'a "${X} y"'),
        ('a "$X"', 'a "${X}"'),
        ("a '$X %i'", 'a "$$X %%i"'),
        ("a -n w@%h", "a -n w@%%h"),
        ("sh -c 'echo $A; exit 1'", 'sh -c "echo $$A; exit 1"'),
        (r'a \$X "b\"c" d\ e', r'a "$$X" "b\"c" "d e"'),
        ("a ''", 'a ""'),
        ("DEBUG=1 python -m app", "DEBUG=1 python -m app"),
        ("a *.py {b} ~/c", "a *.py {b} ~/c"),
    ],
)
def test_a_command_means_to_systemd_what_it_means_to_a_shell(command, expected):
    assert unit_commands.exec_line(command) == f"/usr/bin/env {expected}"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("a $X $Y", '"X=b c" a "b" "c" $Y'),  # as in a shell, an unquoted variable may be several words
        ("a --x=$X", '"X=b c" a "--x=b c"'),
        ("a \"$X y\" '$X'", '"X=b c" a "b c y" "$$X"'),
    ],
)
def test_a_process_s_own_variable_comes_before_the_app_s(command, expected):
    assert unit_commands.exec_line(command, own={"X": "b c"}) == f"/usr/bin/env {expected}"


def test_a_variable_that_the_environment_file_has_too_is_given_by_env():
    """To systemd a file's variables win over those of the unit."""
    own = {"REDIS_QUEUE_URL": "redis://$HOST/1", "ONLY_HERE": "1", "SEEN_AT": 'http://$HOST:$PORT/100%?a=$1"b'}
    apps = broken(("shop", "processes", "web", "env"), own)
    apps["shop"]["env"] = {**apps["shop"].get("env", {}), "SEEN_AT": "nowhere"}
    line = unit_of("web", apps=apps)["exec_start"]
    wanted = ['"REDIS_QUEUE_URL=redis://127.0.0.1/1"', '"SEEN_AT=http://127.0.0.1:%i/100%%?a=$$1\\"b"']
    assert line.startswith(f"/usr/bin/env {' '.join(wanted)} uvicorn ") and "ONLY_HERE" not in line
    container = broken(("shop", "processes", "web", "env"), own)
    container["shop"].update(runtime="container", source={"image": "docker.io/library/shop:1"})
    assert unit_of("web", apps=container)["exec_start"].startswith(f"/usr/bin/env {wanted[0]} /usr/bin/podman ")


@pytest.mark.parametrize("command", ["a | b", "a && b", "a; b", "a > /dev/null", "a $(date)", "a `date`", "a 'open", "a &", "a $1", "a \\"])
def test_what_only_a_shell_can_do_is_refused(command):
    with pytest.raises(DeclarationError, match=r"mainstay_apps.shop.processes.web.command.*sh -c"):
        unit_commands.exec_line(command, "mainstay_apps.shop.processes.web.command")


def _commanded(**commands):
    processes = {name: {**SHOP["shop"]["processes"][name], "command": command} for name, command in commands.items()}
    return normalise({"shop": {**SHOP["shop"], "sites": {}, "processes": processes}})


@pytest.mark.parametrize(
    ("process", "command", "remedy"),
    [
        ("worker", "a && b", "'&' needs a shell"),
        ("web", "serve --port $PROT", "has no variable PROT; did you mean PORT?"),
        ("web", 'serve --port "${PROT}"', "has no variable PROT"),
        ("worker", "work --bind $HOST", "has no variable HOST"),
        ("worker", 'sh -c "for x in a b; do echo $x; done"', "has no variable x"),
    ],
)
def test_a_command_that_no_unit_can_run_is_refused_before_there_is_a_unit(process, command, remedy):
    with pytest.raises(DeclarationError) as error:
        deploy_environment.refuse_commands(_commanded(**{process: command}))
    assert f"mainstay_apps.shop.processes.{process}.command: {command!r} cannot be used." in str(error.value)
    assert remedy in str(error.value)


def test_a_command_may_name_every_variable_that_its_process_has():
    web = "serve $HOST ${PORT} $WEB_CONCURRENCY $DATABASE_URL $PGHOST $REDIS_CACHE_URL $SECRET_KEY $DB_POOL_SIZE $HOME '$own' \"$PORT\""
    deploy_environment.refuse_commands(_commanded(web=web, worker="work -c $CELERY_CONCURRENCY", mailer="mail $HEARTBEAT_FILE"))


@pytest.mark.parametrize(
    ("command", "limits", "refused"),
    [
        ("uvicorn x:app --timeout-graceful-shutdown 25", None, False),
        ("uvicorn x:app --timeout-graceful-shutdown 30", None, True),
        ("uvicorn x:app --timeout-graceful-shutdown=60", {"web": 70, "celery": 60, "worker": 30}, False),
        ("gunicorn x:app --graceful-timeout 60", None, True),
        ("gunicorn x:app --graceful-timeout 60", {"web": "61", "celery": 60, "worker": 30}, False),  # of the command line
        ("hypercorn x:app --graceful-timeout 40", None, True),
        ("granian --workers-kill-timeout 40 x:app", None, True),
        ("gunicorn x:app --timeout 90", None, False),
    ],
)
def test_a_server_has_the_time_that_it_gives_requests_to_end(command, limits, refused):
    apps = _commanded(web=command)
    if not refused:
        return deploy_units.refuse_long_ends(apps, limits)
    with pytest.raises(DeclarationError) as error:
        deploy_units.refuse_long_ends(apps, limits)
    assert f"mainstay_apps.shop.processes.web.command: {command!r} cannot be used. {command.split()[0]} gives requests" in str(error.value)
    assert "systemd ends" in str(error.value) and "backend_stop_timeout: {web: " in str(error.value)
