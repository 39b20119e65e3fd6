# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared apps to the parts of a backup, and what is refused of its variables."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive import backup
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.backups import check_backups
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError

APPS = {
    "shop": {
        "source": {"path": "x"},
        "database": "postgresql",
        "redis": ["cache", "queue"],
        "processes": {"web": {"command": "x", "port": 1}},
    },
    "blog": {"source": {"path": "x"}, "database": "mariadb", "processes": {"web": {"command": "x", "port": 9}}},
    "wiki": {
        "runtime": "container",
        "source": {"image": "docker.io/library/wiki:1"},
        "volumes": {"data": "/data"},
        "processes": {"web": {"command": "x", "port": 8300}},
    },
}
for number, app in enumerate(APPS.values()):
    app["processes"]["web"]["port"] = 8000 + 100 * number


def _plan(*tiers):
    return {"hosts": {"web1": {"tiers": list(tiers)}}}


@pytest.mark.parametrize(
    ("tiers", "names"),
    [
        (("database",), ["mariadb-blog", "postgresql-shop", "roles", "agent", "host"]),
        (("cache",), ["redis-shop-queue", "agent", "host"]),
        (("backend",), ["files-blog", "files-shop", "files-wiki", "agent", "host"]),
        (("proxy",), ["agent", "host"]),
    ],
)
def test_a_host_backs_up_what_it_holds(tiers, names):
    assert [part["name"] for part in backup.backup_parts(APPS, _plan(*tiers), "web1")] == names


def test_each_folder_is_read_by_its_own_user_and_caches_by_nobody():
    parts = {part["name"]: part for part in backup.backup_parts(APPS, None, "web1", ["/srv/more"])}
    assert parts["files-wiki"]["user"] == "wiki" and "/srv/wiki/volumes/data" in parts["files-wiki"]["paths"]
    assert parts["host"]["user"] == "root" and "/srv/more" in parts["host"]["paths"]
    assert not [part for part in parts.values() if part.get("user") == "root" and "app" in part]
    assert not [name for name in parts if "cache" in name]
    assert "/srv/shop/shared" in backup.backup_writable(parts.values())
    assert "/etc/mainstay" not in backup.backup_writable(parts.values())


@pytest.mark.parametrize(("planned", "memory"), [(256, 256), (512, 512), (900, 512)])
def test_a_command_of_an_app_uses_what_the_plan_has_for_a_build(planned, memory):
    plan = {"hosts": {"web1": {**_plan("backend")["hosts"]["web1"], "build_memory_mb": planned}}}
    assert backup.backup_hooks({"shop": {**APPS["shop"], "backup": {"after": "x"}}}, plan, "web1")["shop"]["memory_mb"] == memory


def test_without_apps_a_host_backs_up_what_is_root_s():
    (host,) = backup.backup_parts({})
    assert host["name"] == "host"
    # root reads no folder of somebody else
    assert {"/var/lib/mainstay/agent", "/var/lib/mainstay/pitr"} <= set(host["without"])


COMMANDS = {"before": "a 'b c'", "after": "d && e", "check": "f $DATABASE_NAME"}


@pytest.mark.parametrize(
    ("tiers", "found"),
    [
        (("backend", "database"), ["before", "after", "check"]),
        (("backend",), ["before", "after"]),
        (("database",), ["check"]),
        (("cache", "proxy"), []),
    ],
)
def test_commands_of_an_app_run_where_it_has_its_releases(tiers, found):
    hooks = backup.backup_hooks({"shop": {**APPS["shop"], "backup": COMMANDS}, "blog": APPS["blog"]}, _plan(*tiers), "web1")
    commands = hooks.get("shop", {"user": "shop", "memory_mb": 512})
    assert (commands.pop("user"), commands.pop("memory_mb")) == ("shop", 512) and list(commands) == found and set(hooks) <= {"shop"}
    assert "backend" in tiers or commands in ({}, {"check": []}), "an empty check says that it cannot run there"


def test_a_shell_reads_a_command_but_for_a_container():
    apps = {"shop": {**APPS["shop"], "backup": COMMANDS}, "wiki": {**APPS["wiki"], "backup": {"before": "a 'b c'"}}}
    hooks = backup.backup_hooks(apps)
    assert hooks["shop"]["before"] == ["/bin/sh", "-c", "a 'b c'"] and hooks["wiki"]["before"] == ["a", "b c"]


@pytest.mark.parametrize(
    ("app", "declared", "words"),
    [
        ("shop", {"befor": "x"}, "backup.befor"),
        ("shop", {"before": ["x"]}, "mainstay_apps.shop.backup.before"),
        ("wiki", {"check": "x"}, "the app has none"),
        ("wiki", {"after": "echo 'x"}, "No closing quotation"),
    ],
)
def test_commands_that_cannot_run_are_refused(app, declared, words):
    with pytest.raises(DeclarationError, match=words):
        normalise({app: {**APPS[app], "backup": declared}})


GOOD = {"backup_repository": "/mnt/backups"}
HOST_KEY = "backup.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZEgGN5+QFJcdSKPLaQqbPzgujByYgIei+UUJ7F9tpi"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"backup_repository": "", "backup_keep": "nonsense"},
        GOOD,
        {"backup_repository": "sftp:me@host:/srv/backups", "backup_keep": {"daily": 3}},
        {**GOOD, "backup_host_keys": [HOST_KEY, f"@cert-authority *.{HOST_KEY} a comment\n"]},
        {"backup_repository": "s3:https://s3.example.com/bucket", "backup_schedule": "03:00", "backup_password": "x" * 16},
    ],
)
def test_what_works_is_taken(variables):
    check_backups(variables)


@pytest.mark.parametrize("kind", [["ed25519"], ["rsa", "-b", "2048"], ["rsa", "-b", "2048", "-m", "PEM"], ["ecdsa", "-m", "PKCS8"]])
@pytest.mark.parametrize("passphrase", ["", "a phrase"])
def test_a_key_of_ssh_is_taken_without_a_passphrase_alone(tmp_path, kind, passphrase):
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", passphrase, "-f", tmp_path / "key"], check=True)
    variables = {**GOOD, "backup_ssh_key": (tmp_path / "key").read_text()}
    if not passphrase:
        check_backups(variables)
        return
    with pytest.raises(DeclarationError, match="backup_ssh_key: .*It has a passphrase") as refused:
        check_backups(variables)
    assert "PRIVATE KEY" not in str(refused.value)


def test_a_migration_that_asks_for_a_backup_needs_one_of_its_database():
    apps = normalise({"shop": {**APPS["shop"], "migrate": {"command": "alembic upgrade head", "backup": True}}})
    with pytest.raises(DeclarationError, match="mainstay_apps.shop.migrate.backup.*declare backup_repository"):
        check_backups({}, apps, is_database=True)
    check_backups({}, apps)
    check_backups(GOOD, apps, is_database=True)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"backup_repository": "backups"}, "backup_repository"),
        ({"backup_repository": "/srv/shop/shared/backups"}, "backup_repository"),
        ({"backup_repository": "/tmp"}, "backup_repository"),
        ({"backup_repository": "/mnt/a b"}, "backup_repository"),
        ({**GOOD, "backup_keep": {"daly": 7}}, "backup_keep.daly"),
        ({**GOOD, "backup_keep": {"daily": 0}}, "backup_keep"),
        ({**GOOD, "backup_keep": {"daily": -1}}, "backup_keep.daily"),
        ({**GOOD, "backup_schedule": "0 3 * * *"}, "backup_schedule"),
        ({**GOOD, "backup_drill_schedule": "'; x"}, "backup_drill_schedule"),
        ({**GOOD, "backup_password": "short"}, "backup_password"),
        ({**GOOD, "backup_host_keys": "backup.example.com ssh-ed25519 AAAA"}, "backup_host_keys"),
        ({**GOOD, "backup_host_keys": [HOST_KEY, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZEgGN5"]}, "backup_host_keys[1]"),
        ({**GOOD, "backup_ssh_key": "short"}, "backup_ssh_key"),
        ({**GOOD, "backup_ssh_key": "~/.ssh/short"}, "backup_ssh_key"),
    ],
)
def test_what_cannot_work_is_refused_by_its_name(variables, named):
    with pytest.raises(DeclarationError) as refused:
        check_backups(variables)
    assert refused.value.variable == named
    assert "short" not in str(refused.value)
