# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup, its drill and a restore; the app's own commands around them; and what fails, each of which is told.

After the other tests, as the file's name says: a restore stops the app, whose readers and instances they look at.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from plays import changes, declared, play, words

pytestmark = pytest.mark.usefixtures("no_backup_timers")
PASSWORD = "/etc/mainstay/backup/password"
SQL = "cd / && runuser -u postgres -- psql -XAtq chat --command=%s"
# What an app may put into its own database, to run as whoever restores it.
TRAP = """
SET ROLE chat;
CREATE FUNCTION trap(i int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE 'RESET ROLE';
  IF current_setting('is_superuser')::bool AND current_database() <> 'chat' THEN RAISE EXCEPTION 'a superuser fell for it'; END IF;
  EXECUTE 'SET ROLE chat';
  RETURN true;
END $$;
CREATE TABLE trapped (i int CHECK (trap(i)));
INSERT INTO trapped VALUES (1);
"""
# Puts a truncated dump into the repository as the newest backup: no run of ours leaves one there.
TRUNCATE = """
import sys, time, tempfile
sys.path.insert(0, '/usr/local/lib/mainstay/backup')
from mainstay_backup import backup, restic, settings
repository = restic.Restic(settings.load())
run, moment = backup.choose(repository), time.strftime('%Y-%m-%d %H:%M:%S')
kept, run['id'] = run['parts']['postgresql-chat'], time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())
with tempfile.NamedTemporaryFile() as dump:
    repository.file(kept['snapshot'], 'postgresql-chat.dump', dump)
    head = ['/usr/bin/head', '--bytes=-500', dump.name]
    kept['snapshot'] = repository.keep(head, 'postgresql-chat.dump', ('run=' + run['id'],), moment)['snapshot']
backup.keep_record(repository, run, moment)
"""


# Damages an index on disk that no server has read yet, and asks pg_amcheck, as the drill does, before and after.
DAMAGE = """
import os, sys
sys.path.insert(0, '/usr/local/lib/mainstay/backup')
from mainstay_backup import postgres, settings
names = ('mainstay_sound', 'mainstay_damaged')
try:
    postgres.execute('CREATE DATABASE mainstay_sound')
    postgres.execute('CREATE TABLE public.t (i int PRIMARY KEY); INSERT INTO public.t SELECT generate_series(1, 5000); CHECKPOINT', names[0])
    postgres.execute('CREATE DATABASE mainstay_damaged TEMPLATE mainstay_sound STRATEGY FILE_COPY')
    (file,) = postgres.execute("SELECT pg_relation_filenode('public.t_pkey')", names[0])
    (base,) = postgres.execute("SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database WHERE datname = 'mainstay_damaged'")
    with open(f'{base}/{file}', 'r+b') as index:
        index.seek(8192)
        page = bytearray(index.read(8192))
        page[4000:8000] = page[4000:8000][::-1]
        index.seek(8192)
        index.write(page)
    print(postgres.inspect(names[0])['amcheck'])
    try:
        print(postgres.inspect(names[1]))
    except settings.BackupError as error:
        print('found', error)
finally:
    for name in names:
        postgres.drop(name)
"""
# Notes of the app's commands, see the scenario's stack.yml.
NOTES = "/var/lib/chat"
# A folder of uploads, which nginx serves.
MEDIA = "/srv/chat/shared/media"


def _parts(host, record="last"):
    return json.loads(host.file(f"/var/lib/mainstay/backup/{record}.json").content_string)["parts"]


def _lines(host, name):
    return host.run(f"cat {NOTES}/{name}").stdout.split()


def _start(host, unit, is_well=True):
    """Run a unit to its end; what `mainstay status` says then."""
    ended = host.run(f"systemctl start {unit}.service")
    assert (ended.rc == 0) is is_well, host.run(f"journalctl --no-pager --lines=20 --unit={unit}.service").stdout
    return host.run("mainstay status").stdout


def _sums(host):
    return host.check_output("cd /srv/chat/shared && find . -type f -exec sha256sum {} + | sort"), host.check_output(
        SQL, "SELECT md5(string_agg(m::text, '' ORDER BY m::text)) FROM messages m"
    )


@pytest.fixture(scope="module")
def taken(host):
    """The checksums of what a backup was made of."""
    host.check_output("curl --silent --insecure --fail --json %s https://localhost/messages", json.dumps({"author": "Ann", "text": "kept"}))
    host.check_output("cd / && runuser -u chat -- sh -c 'head -c 3000000 /dev/urandom > /srv/chat/shared/picture'")
    host.check_output(
        "cd / && runuser -u chat -- sh -c %s", f"cd {MEDIA} && for name in a b c; do echo $name > $name.txt; done; chmod 664 a.txt"
    )
    host.check_output(SQL, TRAP)
    sums = _sums(host)
    assert "Backup: backup " in _start(host, "mainstay-backup")
    return sums


def test_a_backup_is_whole_and_its_password_is_nowhere_to_be_seen(host, taken):
    record = json.loads(host.file("/var/lib/mainstay/backup/last.json").content_string)
    assert record["ok"] and set(record["parts"]) == {"postgresql-chat", "roles", "files-chat", "agent", "host"}
    assert record["parts"]["postgresql-chat"]["rows"]["public.messages"] == int(host.check_output(SQL, "SELECT count(*) FROM messages"))
    assert host.file(PASSWORD).mode == 0o600 and host.file("/etc/mainstay/backup").mode == 0o700
    password = host.file(PASSWORD).content_string.strip()
    assert len(password) == 86
    assert password not in host.check_output("journalctl --no-pager --boot; cat /etc/systemd/system/mainstay-backup*")


def test_the_app_s_own_commands_stand_around_its_backup(host, taken):
    before, after = _lines(host, "before"), _lines(host, "after")
    assert set(before + after) == {"chat"} and len(before) == len(after)


def test_a_backup_on_demand_tells_each_part_and_keeps_the_secrets_of_the_control_node(host, taken):
    folder = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent / "secrets"
    wanted = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.txt")}
    run = play("playbooks/backup.yml", variables={"mainstay_backup_secrets": True})
    assert run.returncode == 0, run.stdout[-4000:]
    assert all(f"{part} well" in words(run) for part in ("postgresql-chat", "roles", "files-chat", "agent", "host"))
    archive = host.check_output("mainstay-backup restic dump --tag secrets latest /secrets.tar | base64 --wrap=0")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive))) as tar:
        found = {Path(entry.name).relative_to("secrets"): tar.extractfile(entry).read() for entry in tar if entry.isfile()}
    assert wanted and found == wanted
    one = wanted[Path("chat/DATABASE_PASSWORD.txt")].decode().strip()
    assert one not in run.stdout and one not in host.check_output("journalctl --no-pager --boot")
    kept = host.run(
        "grep --recursive --files-with-matches --fixed-strings %s /root /tmp /var/tmp /var/lib/mainstay /mnt/backups", one
    ).stdout
    assert kept == ""


def test_a_drill_proves_the_backup_and_leaves_nothing(host, taken):
    assert "proved restorable" in _start(host, "mainstay-backup-drill")
    found = _parts(host, "drill")["postgresql-chat"]
    assert (found["amcheck"], found["check"]) == ("well", "well")
    assert _lines(host, "checked") == [f"mainstay_drill_chat|{found['rows']['public.messages']}"]
    assert "pg_amcheck well, the app's check well" in host.run("mainstay backups").stdout
    left = (
        "SELECT count(*) FROM pg_database WHERE datname LIKE 'mainstay%' UNION SELECT count(*) FROM pg_roles WHERE rolname LIKE 'mainstay%'"
    )
    assert host.check_output(SQL, left) == "0"


def test_one_file_comes_back_while_the_app_runs(host, taken):
    host.check_output(f"cd {MEDIA} && rm a.txt && echo later > b.txt")
    ask = "curl --silent --insecure --output /dev/stdout --write-out ' %{http_code}' https://localhost/media/"
    assert host.check_output(f"{ask}a.txt").endswith("404")
    state, process = f"cd {MEDIA} && ls -l --full-time --inode [b-z]* && cat [b-z]*", "systemctl show --value --property=MainPID 'chat-*'"
    before, serving = host.check_output(state), host.check_output(process)

    def restore(*arguments, **options):
        return play("playbooks/restore.yml", *arguments, variables={"mainstay_app": "chat", **options})

    run = restore("--check", mainstay_restore_path="media/a.txt")
    assert run.returncode == 0 and f"{MEDIA}/a.txt comes back as it was" in words(run) and changes(run) == 1, run.stdout[-4000:]
    assert not host.file(f"{MEDIA}/a.txt").exists
    run = restore(mainstay_restore_path="media/a.txt")
    assert run.returncode == 0 and f"restored {MEDIA}/a.txt from the backup" in words(run) and changes(run) == 1, run.stdout[-4000:]
    assert host.check_output(f"{ask}a.txt").split() == ["a", "200"], "nginx reads it by the rights of its folder"
    assert host.check_output(f"stat --format='%A %U %G' {MEDIA}/a.txt") == "-rw-rw-r-- chat chat"
    assert (host.check_output(state), host.check_output(process)) == (before, serving)
    run = restore(mainstay_restore_path="media/b.txt")
    assert run.returncode != 0 and "-e mainstay_confirm=chat" in words(run) and changes(run) == 0, run.stdout[-4000:]
    restore_here = "mainstay-backup restore --app=chat --path=%s"
    assert "is already as it was in the backup" in host.check_output(restore_here, "media/a.txt")
    for path, said in {
        "../../../etc/passwd": "leads out of its folder by ..; write the path without it",
        "": "an empty path is all that there is",
        "media/d.txt": f"has no {MEDIA}/d.txt; {MEDIA} has a.txt, b.txt, c.txt there",
    }.items():
        refused = host.run(restore_here, path)
        assert refused.rc == 1 and said in refused.stderr, refused.stderr
    said = host.check_output(restore_here, f"{MEDIA}/b.txt")
    assert host.check_output(f"tar --extract --to-stdout --file={said.split()[-1]}/files-chat.tar") == "later"
    assert host.check_output(f"{ask}b.txt").split() == ["b", "200"] and host.check_output(f"ls -A {MEDIA}") == "a.txt\nb.txt\nc.txt"


def test_a_destroyed_table_and_file_come_back(host, taken):
    host.check_output(SQL, "DROP TABLE messages")
    host.check_output("rm /srv/chat/shared/picture")
    wanted = {"mainstay_app": "chat", "mainstay_restore": "all"}
    unconfirmed = play("playbooks/restore.yml", variables=wanted)
    assert unconfirmed.returncode != 0 and "-e mainstay_confirm=chat" in words(unconfirmed)
    run = play("playbooks/restore.yml", variables={**wanted, "mainstay_confirm": "chat"})
    assert run.returncode == 0, run.stdout[-4000:]
    assert _sums(host) == taken
    assert json.loads(host.check_output("curl --silent --insecure --fail https://localhost/ready"))["status"] == "healthy"
    assert host.check_output("ls $(ls -d /var/backups/mainstay/restored/* | tail --lines=1)").split() == [
        "files-chat.tar",
        "postgresql-chat.dump",
    ]


def test_pg_amcheck_tells_a_damaged_index(host, taken):
    said = host.check_output("python3 -I -c %s", DAMAGE).splitlines()
    assert said[0] == "well" and said[1].startswith("found pg_amcheck ended with 2") and "t_pkey" in said[1]


def test_a_check_that_fails_fails_the_drill(host, taken):
    host.check_output(f"touch {NOTES}/wrong")
    try:
        assert "the last drill failed" in _start(host, "mainstay-backup-drill", is_well=False)
    finally:
        host.check_output(f"rm {NOTES}/wrong")
    parts = _parts(host, "drill")
    assert [name for name, part in parts.items() if not part["ok"]] == ["postgresql-chat"]
    assert parts["postgresql-chat"]["error"] == "check of chat ended with 1: it said nothing"
    assert host.check_output(SQL, "SELECT count(*) FROM pg_database WHERE datname LIKE 'mainstay%'") == "0"


def test_where_the_app_s_command_before_it_fails_nothing_of_the_app_is_taken_and_all_else_is(host, taken):
    before, after = _lines(host, "before"), _lines(host, "after")
    host.check_output(f"touch {NOTES}/refuse")
    try:
        assert "the last backup failed" in _start(host, "mainstay-backup", is_well=False)
    finally:
        host.check_output(f"rm {NOTES}/refuse")
    parts = _parts(host)
    assert {name for name, part in parts.items() if not part["ok"]} == {part for part in parts if part.endswith("chat")}
    assert parts["files-chat"]["error"] == "not taken: before of chat ended with 1: it said nothing"
    assert (_lines(host, "before"), _lines(host, "after")) == (before, [*after, "chat"])


def test_a_backup_that_is_killed_has_failed_and_the_app_s_command_after_it_runs(host, taken):
    after = _lines(host, "after")
    host.check_output(f"touch {NOTES}/wait; systemctl start --no-block mainstay-backup.service")
    try:
        host.check_output("timeout 60 sh -c 'until pgrep --full \"while test -e /var/lib/chat/[w]ait\"; do sleep 0.2; done'")
        host.check_output("systemctl kill --signal=KILL mainstay-backup.service")
        host.check_output("timeout 60 sh -c 'while systemctl is-active --quiet mainstay-backup.service; do sleep 0.2; done'")
        host.check_output("timeout 60 sh -c 'until systemctl is-failed --quiet mainstay-backup.service; do sleep 0.2; done'")
    finally:
        host.check_output(f"rm {NOTES}/wait")
    said = host.run("mainstay status").stdout
    assert "the last backup failed" in said and "killed" in said
    assert _lines(host, "after") == [*after, "chat"]
    assert "Backup problem: the last backup failed" not in _start(host, "mainstay-backup")


def test_a_truncated_dump_fails_the_drill(host, taken):
    host.check_output("python3 -I -c %s", TRUNCATE)
    assert "the last drill failed" in _start(host, "mainstay-backup-drill", is_well=False)


def test_a_table_that_cannot_be_dumped_fails_the_backup_and_is_in_no_snapshot(host, taken):
    host.check_output(SQL, "CREATE TABLE broken AS SELECT generate_series(1, 1000) AS i")
    path = host.check_output(SQL, "CHECKPOINT; SELECT current_setting('data_directory') || '/' || pg_relation_filepath('broken')")
    host.check_output(f"mv {path} {path}.away")
    try:
        assert "the last backup failed" in _start(host, "mainstay-backup", is_well=False)
    finally:
        host.check_output(f"mv {path}.away {path}")
        host.check_output(SQL, "DROP TABLE broken")
    parts = _parts(host)
    assert [name for name, part in parts.items() if not part["ok"]] == ["postgresql-chat"] and "broken" in parts["postgresql-chat"]["error"]


def test_a_wrong_password_fails_the_backup(host, taken):
    host.check_output(f"cp --preserve {PASSWORD} {PASSWORD}.right && echo another-password > {PASSWORD}")
    try:
        assert "the last backup failed" in _start(host, "mainstay-backup", is_well=False)
    finally:
        host.check_output(f"mv {PASSWORD}.right {PASSWORD}")
    assert "wrong password" in host.run("mainstay backups").stdout


def test_what_cannot_be_backed_up_is_not_migrated(host, taken):
    """The app asks for a backup before a migration: where there is none, the release is refused and what served serves."""
    before = host.file("/srv/chat/current").linked_to
    apps = {"chat": declared()["chat"]}  # test_removal.py has taken the data of the other
    apps["chat"]["node"] = "20"
    host.check_output(f"cp --preserve {PASSWORD} {PASSWORD}.right && echo another-password > {PASSWORD}")
    try:
        run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps})
    finally:
        host.check_output(f"mv {PASSWORD}.right {PASSWORD}")
    assert run.returncode != 0 and "mainstay-backup.service" in words(run) and "serves, as before" in words(run), run.stdout[-4000:]
    assert host.file("/srv/chat/current").linked_to == before
    _start(host, "mainstay-backup")


def test_a_rollback_returns_with_the_data_of_before_a_migration_that_broke_it(host, taken, tmp_path):
    """A migration after which the release before cannot run: it renames what that one reads, and throws away what was there."""
    apps, before, sums = {"chat": declared()["chat"]}, host.file("/srv/chat/current").linked_to, _sums(host)
    source = tmp_path / "chat"
    shutil.copytree(apps["chat"]["source"]["path"], source)
    (source / "migrations/9_rename.sql").write_text("DELETE FROM messages; ALTER TABLE messages RENAME TO notes;\n")
    store = source / "src/store.js"
    store.write_text(store.read_text().replace("messages", "notes"))
    apps["chat"]["source"]["path"] = str(source)
    run = play("playbooks/deploy.yml", variables={"mainstay_apps": apps})
    assert run.returncode == 0, run.stdout[-4000:]
    assert host.check_output(SQL, "SELECT count(*) FROM notes") == "0"
    host.check_output(
        "curl --silent --insecure --fail --json %s https://localhost/messages", json.dumps({"author": "Ann", "text": "later"})
    )

    def back(**options):
        return play("playbooks/rollback.yml", variables={"mainstay_apps": apps, "mainstay_app": "chat", **options})

    run = back(mainstay_data=True)
    assert run.returncode != 0 and "Run it again with -e mainstay_confirm=chat" in words(run) and changes(run) == 0, run.stdout[-3000:]
    run = back(mainstay_data=True, mainstay_confirm="chat", mainstay_snapshot="20200101T000000Z")
    assert run.returncode != 0 and "there is no backup 20200101T000000Z" in words(run), run.stdout[-3000:]
    assert "later" in host.check_output(
        "curl --silent --insecure --fail --retry 20 --retry-all-errors --retry-delay 1 https://localhost/messages"
    )
    run = back(mainstay_data=True, mainstay_confirm="chat")
    assert run.returncode == 0 and "restored postgresql-chat from the backup" in words(run), run.stdout[-6000:]
    assert host.file("/srv/chat/current").linked_to == before
    assert _sums(host) == sums
    said = host.check_output("curl --silent --insecure --fail https://localhost/messages")
    assert "kept" in said and "later" not in said
