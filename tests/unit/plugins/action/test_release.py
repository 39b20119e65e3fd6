# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.mainstay.vps.plugins.action import release as action
from ansible_collections.mainstay.vps.plugins.plugin_utils import bare_python, images, sources

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GIT = {"git": "https://me:hidden@example.com/a.git", "version": COMMIT}


@pytest.fixture
def run(monkeypatch, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_text("print()")
    monkeypatch.setattr(sources.constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "run"))

    def run(args, markers=(), check=False):
        seen = SimpleNamespace(made=[], sent=[], commands=[])
        task = Task()
        task.args, task.check_mode, task.async_val = {"app": "shop", **args}, check, 0
        shell = SimpleNamespace(tmpdir="/tmp/remote", join_path=lambda *parts: "/".join(parts))
        made = action.ActionModule(task, SimpleNamespace(_shell=shell), SimpleNamespace(), None, None, None)
        answer = {"stdout": "\n".join([*markers, "asked"])}
        monkeypatch.setattr(made, "_low_level_execute_command", lambda command: seen.commands.append(command) or answer)
        monkeypatch.setattr(
            bare_python,
            "call",
            lambda action, task_vars, module, function, params, check: (
                seen.made.append(params) or {"changed": True, "steps": [str(params)]}
            ),
        )
        monkeypatch.setattr(made, "_transfer_file", lambda local, remote: seen.sent.append(local) or remote)
        monkeypatch.setattr(made, "_remove_tmp_path", lambda path: None)
        return made.run(task_vars={"inventory_dir": str(tmp_path)}), seen

    return run


def test_a_release_that_is_there_starts_no_python(run):
    result, seen = run({"source": GIT}, markers=[".complete"])
    assert (result["changed"], result["id"], result["folder"]) == (
        False,
        COMMIT[:12],
        f"/srv/shop/releases/{COMMIT[:12]}",
    )
    assert len(seen.commands) == 1 and not seen.made and not seen.sent


@pytest.mark.parametrize(("markers", "runs"), [([".complete"], 1), ([".complete", ".migrated"], 0), ([], 1), ([".migrated"], 1)])
def test_a_migration_counts_once_it_is_done(run, markers, runs):
    assert len(run({"source": GIT, "migrate": "migrate"}, markers=markers)[1].made) == runs


@pytest.mark.parametrize(("limit", "sent"), [(action.COMES_ALONG, 0), (0, 1)])
def test_a_folder_goes_to_the_host_only_where_it_is_missing(run, monkeypatch, limit, sent):
    monkeypatch.setattr(action, "COMES_ALONG", limit)
    _result, seen = run({"source": {"path": "app"}})
    assert (len(seen.sent), seen.made[0]["packed"] is None, seen.made[0]["archive"] is None) == (sent, bool(sent), not sent)
    for args, markers, check in (({"migrate": "x"}, [".complete"], False), ({}, [], True)):
        _result, seen = run({"source": {"path": "app"}, **args}, markers=markers, check=check)
        assert (seen.sent, seen.made[0]["packed"], seen.made[0]["archive"]) == ([], None, None)
    assert seen.made[0]["archive_bytes"] > 0


def test_an_image_brings_its_login_and_no_file(run, monkeypatch):
    monkeypatch.setattr(images, "login", lambda image: f"Basic for-{image.partition('/')[0]}")
    image = f"ghcr.io/team/box@sha256:{'a' * 64}"
    result, seen = run({"source": {"image": image}, "runtime": "container"})
    args = seen.made[0]
    assert (args["image"], args["authorization"]) == (f"docker://{image}", "Basic for-ghcr.io")
    assert result["changed"] and not seen.sent


def test_credentials_and_secrets_travel_where_nothing_logs_them(run):
    result, seen = run({"source": GIT, "app_environment": {"KEY": "hidden-too"}, "secrets": ["KEY"]})
    args = seen.made[0]
    assert args["source"]["git"] == "https://example.com/a.git" and args["authorization"].startswith("Basic ")
    assert (args["app_environment"], args["environment"]) == ({"KEY": "hidden-too"}, {})
    assert "invocation" not in result and args["authorization"] not in str(result)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "missing required arguments: source"),
        ({"source": {"path": "nowhere"}}, "shop: source.path: 'nowhere'"),
        ({"source": {"image": "x"}}, "Name registry, repository and tag"),
    ],
)
def test_refusals(run, args, words):
    with pytest.raises(AnsibleActionFail, match=words):
        run(args)
