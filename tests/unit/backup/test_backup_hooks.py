# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app's commands around its backup, and what is told and done of a run that was killed."""

from __future__ import annotations

import ast
import contextlib
import getpass
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import yaml
from ansible_collections.mainstay.vps.plugins.module_utils.stack import scratch
from mainstay_backup import backup, cli, drill, hooks, pipes, records, running
from mainstay_backup.lock import locked
from mainstay_backup.settings import BackupError, Settings

PARTS = [
    {"name": "roles", "kind": "globals"},
    {"name": "postgresql-blog", "kind": "postgresql", "app": "blog", "database": "blog", "owner": "blog"},
    {"name": "postgresql-shop", "kind": "postgresql", "app": "shop", "database": "shop", "owner": "shop"},
    {"name": "files-blog", "kind": "folders", "app": "blog", "user": "blog", "paths": []},
    {"name": "files-shop", "kind": "folders", "app": "shop", "user": "shop", "paths": []},
]
SHOP = {"user": getpass.getuser(), "memory_mb": 256, "before": ["b"], "after": ["a"], "check": ["c"]}


class Done:
    """What was done, in its order; a command that is in `failing` fails."""

    def __init__(self, monkeypatch):
        self.steps, self.failing, self.due = [], (), {}
        monkeypatch.setattr(hooks, "call", self.call)
        monkeypatch.setattr(backup, "keep", self.keep)

    def call(self, settings, app, verb, _options=()):
        self.steps.append(f"{verb} {app}")
        self.due[verb] = running.left(settings).get("due")
        if verb in self.failing:
            raise BackupError(f"{verb} of {app} ended with 3: no")

    def keep(self, _restic, part, _tags, _moment):
        self.steps.append(part["name"])
        return {"ok": True}


@pytest.fixture
def done(monkeypatch):
    return Done(monkeypatch)


@pytest.fixture
def settings(tmp_path):
    return Settings(repository="/x", host="web1", parts=PARTS, keep={}, hooks={"shop": SHOP}, state=str(tmp_path))


def _all(settings):
    found = {}
    with running.noted(settings, "run"):
        for app, parts in backup.by_app(settings.parts).items():
            found.update(backup.keep_app(settings, None, app, parts, (), ""))
    return found


def test_they_stand_around_all_of_their_own_app_and_of_nothing_else(done, settings):
    assert all(part["ok"] for part in _all(settings).values())
    assert done.steps == [
        *("postgresql-blog", "files-blog"),
        *("before shop", "postgresql-shop", "files-shop", "after shop"),
        "roles",
    ]
    assert done.due == {"before": ["shop"], "after": ["shop"]}, "a kill at any moment leaves it on record"
    assert not running.left(settings)


def test_where_before_fails_nothing_of_that_app_is_taken_and_after_runs(done, settings):
    done.failing = ("before",)
    found = _all(settings)
    assert {name for name, part in found.items() if not part["ok"]} == {"postgresql-shop", "files-shop"}
    assert found["files-shop"]["error"] == "not taken: before of shop ended with 3: no"
    assert done.steps == ["postgresql-blog", "files-blog", "before shop", "after shop", "roles"]


def test_where_after_fails_the_backup_has_failed_and_its_parts_are_there(done, settings):
    done.failing = ("after",)
    found = _all(settings)
    assert {name for name, part in found.items() if not part["ok"]} == {"shop after"}
    assert found["files-shop"]["ok"] and not running.left(settings)


@pytest.mark.parametrize(
    ("words", "result"),
    [(["x"], {"check": "well"}), ([], {"check": "not run: the app's releases are on other hosts"}), (None, {})],
)
def test_a_check_says_that_it_ran_or_why_not(done, settings, words, result):
    settings.hooks["shop"] = {"user": "x", **({} if words is None else {"check": words})}
    assert hooks.check(settings, "shop") == result and hooks.check(settings, None) == {}


def test_a_check_that_fails_fails_the_drill(done, settings):
    done.failing = ("check",)
    with pytest.raises(BackupError, match="check of shop ended with 3"):
        hooks.check(settings, "shop")


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("print('x' * 10**6); print('end'); raise SystemExit(3)", 3, "x end"),
        ("import sys; sys.stderr.write('a\\033[31m\\0b')", 0, "a [31m b"),
        ("pass", 0, "it said nothing"),
        ("import os; os.close(1); os.close(2); import time; time.sleep(0.5)", 0, "it said nothing"),
        ("import time; time.sleep(60)", -1, "it said nothing"),
    ],
    ids=["much", "for a terminal", "nothing", "closed", "too long"],
)
def test_only_the_end_of_what_a_command_says_is_kept(program, status, said):
    found = hooks.ended([sys.executable, "-c", program], 2, getpass.getuser())
    assert found[0] == status and pipes.words(found[1]).endswith(said) and len(found[1]) <= pipes.TAIL


def test_nobody_waits_for_an_end_that_another_process_holds_back(tmp_path):
    """An app may hand its output to a process that goes on, which writes for ever."""
    child = "import itertools; [print(1) for _ in itertools.count()]"
    starts = (
        f"import subprocess, sys; open({str(tmp_path / 'pid')!r}, 'w').write(str(subprocess.Popen([sys.executable, '-c', {child!r}]).pid))"
    )
    began = time.monotonic()
    try:
        assert hooks.ended([sys.executable, "-c", starts], 30, getpass.getuser())[0] == 0
    finally:
        with contextlib.suppress(ProcessLookupError):  # it ends by itself, too: nobody reads any more
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert time.monotonic() - began < 15


def _killed(settings, command, due=()):
    records.write(settings, running.FILE, {"command": command, "time": 5, "due": list(due)})


@pytest.mark.parametrize(
    ("command", "file", "name"), [("run", "last", "last"), ("drill", "drill", "drill"), ("upkeep", "upkeep", "upkeep")]
)
def test_one_that_was_killed_has_failed_and_what_it_owes_is_done(done, settings, monkeypatch, command, file, name):
    dropped = []
    monkeypatch.setattr(drill, "SERVERS", {"postgresql": type("Server", (), {"clear": dropped.append})})
    _killed(settings, command, ["shop"] if command == "run" else [])
    assert cli.clear(settings)
    assert not records.read(settings, f"{file}.json")["ok"] and records.read(settings, records.PUBLIC)[name]["failed"] == ["killed"]
    assert done.steps == (["after shop"] if command == "run" else [])
    assert dropped == ([f"{scratch.DRILL}blog", f"{scratch.DRILL}shop"] if command == "drill" else [])
    assert not running.left(settings) and cli.clear(settings)


def test_what_it_owes_and_fails_is_told_and_no_other_is_left_out(done, settings, capsys):
    settings.hooks["blog"], done.failing = SHOP, ("after",)
    _killed(settings, "run", ["shop", "blog", "gone"])
    assert not cli.clear(settings)
    assert done.steps == ["after shop", "after blog"] and "after of blog ended with 3" in capsys.readouterr().err


def test_a_record_that_cannot_be_written_leaves_the_run_on_record(settings):
    with pytest.raises(OSError), running.noted(settings, "run"):
        raise OSError("no space left")
    assert running.left(settings)["command"] == "run"


def test_the_end_of_a_unit_leaves_another_run_alone(done, settings, tmp_path, monkeypatch):
    _killed(settings, "run", ["shop"])
    path = str(tmp_path / "lock")
    monkeypatch.setattr(cli, "locked", lambda wait: locked(path, wait))
    with locked(path):
        assert cli.ended(settings) == 0
    assert not done.steps
    assert cli.ended(settings) == 0 and done.steps == ["after shop"]


def test_what_the_programs_import_is_on_a_host():
    """Of each other, and of what the shared core calls as they do; Ansible copies just that."""
    role = Path(backup.__file__).parents[2]
    package = {file.stem: file for file in (role / "files/mainstay_backup").glob("*.py")}
    for entry in yaml.safe_load((role / "vars/main.yml").read_text())["__backup_files"]:
        if entry["dest"].startswith("{{ __backup_code }}/mainstay_backup/"):
            package[Path(entry["dest"]).stem] = Path(entry["file"].replace("{{ role_path }}", str(role)))
    imported = {
        name
        for file in package.values()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
        for name in ([node.module] if node.module else [alias.name for alias in node.names])
    }
    assert "scratch" in imported and not imported - set(package)
    assert drill.DRILL == scratch.DRILL == "mainstay_drill_"


def test_the_role_s_configuration_is_what_the_program_reads(tmp_path):
    from mainstay_backup import settings

    path = tmp_path / "config.json"
    path.write_text(json.dumps({"repository": "/x", "host": "h", "environment": {}, "parts": [], "hooks": {"shop": SHOP}, "keep": {}}))
    assert settings.load(path).hooks["shop"]["check"] == ["c"]
