# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL goes back to a moment, or stays as it is where it cannot get there."""

from __future__ import annotations

import json

import pytest
from plays import play, words

SQL = "cd / && runuser -u postgres -- psql -XAtq chat --command=%s"
ARCHIVE = "/mnt/pitr/archive/main"
KEPT = "ls -d /var/lib/postgresql/*/main*"
ARCHIVED = "timeout 60 sh -c 'until test -e %s/*/*/%s-*; do sleep 0.2; done'"


# What a lock says of somebody who deploys from another machine.
DEPLOY = {"by": "eve@elsewhere", "host": "elsewhere", "pid": 7, "started": "1", "since": 1.0, "release": "xyz"}


@pytest.fixture(scope="module")
def moment(host):
    """Between a row and what destroyed it; the server has handed over the log of both."""
    host.check_output("systemctl start mainstay-pitr mainstay-pitr-watch")
    host.check_output(
        SQL, "CREATE TABLE recovered (words text); INSERT INTO recovered VALUES ('before'); ALTER ROLE chat PASSWORD 'of before'"
    )
    found = host.check_output("sleep 1.1; date --utc '+%F %T+00'; sleep 1.1")
    host.check_output(SQL, "DELETE FROM recovered; INSERT INTO recovered VALUES ('after')")
    yield found
    host.check_output(SQL, "DROP TABLE recovered")
    host.check_output("rm -rf /var/lib/postgresql/*/main.before-*")


def test_where_the_log_is_missing_the_data_stays(host, moment):
    before = host.check_output(KEPT)
    segment = host.check_output(SQL, "SELECT pg_walfile_name(pg_current_wal_lsn())")
    host.check_output(SQL, "SELECT pg_switch_wal()")
    host.check_output(ARCHIVED % (ARCHIVE, segment))
    host.check_output(f"mkdir /root/away && mv {ARCHIVE}/*/*/{segment}-* /root/away")
    try:
        done = host.run("mainstay-pitr restore --time=%s", moment)
    finally:
        host.check_output(f"mv /root/away/* {ARCHIVE}/*/{segment[:16]}/ && rmdir /root/away")
    assert done.rc == 1 and "and runs with the data it had: " in done.stderr, done.stdout + done.stderr
    assert host.check_output(SQL, "TABLE recovered") == "after"
    assert host.check_output(KEPT) == before
    assert "off" in host.check_output("mainstay maintenance")


def test_while_somebody_deploys_it_does_not_go_back(host, moment):
    lock = "/run/lock/mainstay/chat.deploy"
    host.check_output("echo %s > %s && touch --date='5 minutes' %s", json.dumps(DEPLOY), lock, lock)
    try:
        done = play("playbooks/recover.yml", variables={"mainstay_time": moment, "mainstay_confirm": "molecule-node"})
        assert done.returncode != 0 and "chat: eve@elsewhere (process 7) has been deploying release xyz" in words(done), done.stdout[-3000:]
        assert host.check_output(SQL, "TABLE recovered") == "after" and host.run("systemctl is-active chat-web@*").rc == 0
        host.check_output("systemctl start mainstay-backup")
        done = play("playbooks/restore.yml", variables={"mainstay_app": "chat", "mainstay_restore": "files", "mainstay_confirm": "chat"})
        assert done.returncode != 0 and "has been deploying release xyz" in words(done), done.stdout[-3000:]
        assert host.file(lock).exists, "it is somebody else's"
    finally:
        host.check_output("rm %s", lock)


BROKEN = "#!/bin/sh\n[ $1 != stop ] || [ $2 != chat ] || exec sh -c 'echo it will not end >&2; exit 1'\nexec /usr/local/bin/mainstay.whole \"$@\"\n"


@pytest.mark.parametrize(
    ("playbook", "asked"),
    [
        ("recover", {"mainstay_confirm": "molecule-node"}),
        ("restore", {"mainstay_app": "chat", "mainstay_restore": "files", "mainstay_confirm": "chat"}),
    ],
)
def test_where_an_app_cannot_be_stopped_all_goes_on_and_no_lock_is_left(host, moment, playbook, asked):
    host.check_output("mv /usr/local/bin/mainstay /usr/local/bin/mainstay.whole")
    host.check_output("printf %%s %s > /usr/local/bin/mainstay && chmod 755 /usr/local/bin/mainstay", BROKEN)
    try:
        done = play(f"playbooks/{playbook}.yml", variables={"mainstay_time": moment, **asked})
    finally:
        host.check_output("mv /usr/local/bin/mainstay.whole /usr/local/bin/mainstay")
    assert done.returncode != 0 and "it will not end" in words(done), done.stdout[-3000:]
    assert host.run("ls /run/lock/mainstay/*.deploy").rc != 0, "a lock is left"
    assert host.check_output("systemctl is-active chat.target old.target").split() == ["active", "active"]
    assert host.run("systemctl is-active chat-web@* old-web@*").rc == 0
    assert host.check_output(SQL, "TABLE recovered") == "after"


def test_it_goes_back_to_a_moment_and_what_was_there_is_kept(host, moment):
    done = play("playbooks/recover.yml", variables={"mainstay_time": moment, "mainstay_confirm": "molecule-node"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.run("ls /run/lock/mainstay/*.deploy").rc != 0, "a lock is left"
    assert host.check_output(SQL, "TABLE recovered") == "before"
    kept = [path for path in host.check_output(KEPT).split() if ".before-" in path]
    assert len(kept) == 1 and host.file(f"{kept[0]}/PG_VERSION").exists
    status = host.run("mainstay status").stdout
    assert "Recovery: every moment since 20" in status and "Recovery problem" not in status


def test_where_what_is_declared_cannot_be_made_after_it_the_apps_run_and_it_is_said(host, moment):
    variables = {"mainstay_time": moment, "mainstay_confirm": "molecule-node", "postgresql_settings": {"no_such_setting": "1"}}
    done = play("playbooks/recover.yml", variables=variables)
    assert done.returncode != 0 and "What is declared could not be made there" in words(done), done.stdout[-3000:]
    assert "no_such_setting" in words(done)
    assert host.run("ls /run/lock/mainstay/*.deploy").rc != 0, "a lock is left"
    assert host.run("systemctl is-active chat-web@* old-web@*").rc == 0
    again = play("playbooks/site.yml", "--tags", "postgresql")
    assert again.returncode == 0, again.stdout[-3000:]
