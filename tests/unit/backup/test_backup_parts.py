# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between a dump and the repository, without a server: pipes, folders, counts, lists, locks and records."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.mainstay.vps.tests.unit.trees import deepen
from mainstay_backup import backup, drill, hooks, lock, pipes, postgres, records, restic, restore, tree
from mainstay_backup.settings import BackupError, Settings

SINK = "import sys; data = sys.stdin.buffer.read(); open({path!r}, 'wb').write(data); print(len(data)); sys.exit({status})"


def _sink(path, status=0):
    return [sys.executable, "-c", SINK.format(path=str(path), status=status)]


def _source(text, status=0, times=1):
    return [sys.executable, "-c", f"import sys; sys.stdout.write({text!r} * {times}); sys.stdout.flush(); sys.exit({status})"]


def test_what_ends_well_goes_through_whole(tmp_path):
    said, size = pipes.feed(_source("abc", times=1000000), _sink(tmp_path / "kept"))
    assert (int(said), size, (tmp_path / "kept").stat().st_size) == (3000000, 3000000, 3000000)


@pytest.mark.parametrize("text", ["", "half of it"])
def test_a_source_that_fails_shows_the_sink_no_end(tmp_path, text):
    with pytest.raises(BackupError, match="ended with 3"):
        pipes.feed(_source(text, 3), _sink(tmp_path / "kept"))
    assert not (tmp_path / "kept").exists()


def test_a_sink_that_fails_is_told_with_its_own_words(tmp_path):
    with pytest.raises(BackupError, match="no space left"):
        pipes.feed(_source("x", times=5000000), [sys.executable, "-c", "import sys; sys.exit('no space left')"])


SLEEPS = "import sys, time; {}; time.sleep(60)"


@pytest.mark.parametrize("reads", ["0", "sys.stdin.read()"], ids=["takes nothing", "does not end"])
def test_a_sink_that_stands_still_is_given_up(reads):
    began = time.monotonic()
    with pytest.raises(pipes.Stalled, match="has taken nothing for 0.5 s"):
        pipes.feed(_source("x", times=5000000), [sys.executable, "-c", SLEEPS.format(reads)], patience=0.5)
    assert time.monotonic() - began < 20


def test_a_slow_source_tries_nobody_s_patience(tmp_path):
    slow = [sys.executable, "-c", "import time; print('a', flush=True); time.sleep(1.5); print('b')"]
    assert pipes.feed(slow, _sink(tmp_path / "kept"), patience=1)[1] == 4


@pytest.mark.parametrize("gives", ["0", "print('x' * 9, flush=True)", "sys.stdout.close()"], ids=["nothing", "half of it", "no end"])
def test_a_source_that_stands_still_is_given_up(tmp_path, gives):
    began = time.monotonic()
    with pytest.raises(pipes.Stalled, match="has given nothing for 0.5 s"):
        pipes.feed([sys.executable, "-c", SLEEPS.format(gives)], _sink(tmp_path / "kept"), source_patience=0.5)
    assert time.monotonic() - began < 20 and not (tmp_path / "kept").exists()


def test_a_source_without_an_end_is_given_up(tmp_path):
    """Of an app's folder, which has a file of more zeros than any disk; it gives all the while."""
    endless = [sys.executable, "-c", "while True: print('x' * 999)"]
    with pytest.raises(BackupError, match="had more to give than there was time for") as refusal:
        pipes.feed(endless, _sink(tmp_path / "kept"), until=time.monotonic() + 0.5)
    assert not isinstance(refusal.value, pipes.Stalled) and not (tmp_path / "kept").exists()


def test_a_program_that_gives_no_answer_is_given_up_and_one_whose_file_grows_is_not(tmp_path):
    with pytest.raises(pipes.Stalled, match="has given nothing for 0.5 s"):
        pipes.run([sys.executable, "-c", SLEEPS.format("0")], patience=0.5)
    grows = "import time\nfor i in range(6): print(i, flush=True); time.sleep(0.3)"
    with open(tmp_path / "kept", "wb") as file:
        pipes.run([sys.executable, "-c", grows], stdout=file, patience=1)
    assert (tmp_path / "kept").read_text().split() == list("012345")
    assert pipes.run(_sink(tmp_path / "sent"), text="abc", patience=20) == "3\n"


def test_a_repository_that_gives_no_answer_is_asked_nothing_more(tmp_path, monkeypatch):
    """Of a restore and a drill, too: what comes after the first that stood still does not wait as long again."""
    sleeper = tmp_path / "restic"
    sleeper.write_text(f"#!{sys.executable}\n" + SLEEPS.format("0"))
    sleeper.chmod(0o755)
    settings = Settings(repository="/x", host="web1", parts=[], keep={}, state=str(tmp_path))
    monkeypatch.setattr(restic, "PATIENCE", 0.5)
    monkeypatch.setattr(restic, "ANSWER", 0.5)
    for ask in (
        lambda repository: repository.open(),
        lambda repository: repository.send("1", "x", _sink(tmp_path / "kept")),
        lambda repository: repository.file("1", "x", tmp_path.joinpath("fetched").open("wb")),
        lambda repository: repository.keep_bytes(b"x", "x", ()),
    ):
        repository = restic.Restic(settings, str(sleeper))
        with pytest.raises(BackupError, match="nothing for 0.5 s and did not end; is the way to the repository open"):
            ask(repository)
        with pytest.raises(BackupError, match="not tried: restic has given nothing"):
            repository.text("1", "x")


def test_an_app_that_stops_its_own_backup_stops_no_other(tmp_path, monkeypatch):
    """What reads its folders runs as its user, whose processes may stop it, or have no end of what is read."""
    repository = restic.Restic(Settings(repository="/x", host="web1", parts=[], keep={}, state=str(tmp_path)))
    monkeypatch.setattr(restic, "SILENCE", 0.5)
    monkeypatch.setattr(restic.Restic, "keep_command", lambda *_args: [sys.executable, "-c", KEPT])
    with pytest.raises(BackupError, match="has given nothing for 0.5 s"):
        repository.keep([sys.executable, "-c", SLEEPS.format("0")], "x", (), "now")
    repository.until = time.monotonic() - 1
    with pytest.raises(BackupError, match="had more to give"):
        repository.keep(_source("x"), "x", (), "now")
    repository.until = None
    assert repository.keep(_source("abc"), "x", (), "now")["bytes"] == 3


KEPT = """
import sys
sys.stdin.read()
print('{"message_type": "summary", "snapshot_id": "1"}')
"""


def test_each_app_has_its_part_of_the_time_that_is_left(tmp_path, monkeypatch):
    parts = [{"name": name, "kind": "folders", "app": name, "user": None, "paths": []} for name in ("blog", "shop", "wiki")]
    clock, given = [1000.0], []
    settings = Settings(repository="/x", host="web1", parts=parts, keep={}, state=str(tmp_path))
    repository = restic.Restic(settings)

    def takes_all(*_arguments):
        given.append(repository.until - clock[0])
        clock[0] = repository.until
        return {}

    monkeypatch.setattr(repository, "open", lambda: None)
    monkeypatch.setattr(backup, "keep_app", takes_all)
    monkeypatch.setattr(backup, "keep_record", lambda *_args: {})
    monkeypatch.setattr(backup, "listed", lambda _restic: [])
    monkeypatch.setattr(records, "publish", lambda *_args, **_more: None)
    monkeypatch.setattr(backup.time, "time", lambda: clock[0])
    monkeypatch.setattr(backup.time, "monotonic", lambda: clock[0])
    backup.run(settings, repository)
    assert given == [backup.TIME / 3] * 3 and repository.until is None


def test_a_repository_that_stands_still_gets_nothing_more(tmp_path, monkeypatch):
    """The app whose part it was goes on, and the commands of the next one are not begun."""
    parts = [
        {"name": f"{name}-{app}", "kind": "folders", "app": app, "user": None, "paths": [str(tmp_path)]}
        for app in ("blog", "shop")
        for name in ("files", "more")
    ]
    sleeper = tmp_path / "restic"
    sleeper.write_text(f"#!{sys.executable}\n" + SLEEPS.format("0"))
    sleeper.chmod(0o755)
    settings = Settings(repository="/x", host="web1", parts=parts, keep={}, state=str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    called, repository = [], restic.Restic(settings, str(sleeper))
    monkeypatch.setattr(restic, "PATIENCE", 0.5)
    monkeypatch.setattr(repository, "open", lambda: None)
    monkeypatch.setattr(hooks, "before", lambda _settings, app: called.append(f"before {app}"))
    monkeypatch.setattr(hooks, "after", lambda _settings, app: called.append(f"after {app}"))
    monkeypatch.setattr(records, "publish", lambda *_args, **_more: None)
    record = backup.run(settings, repository)
    assert called == ["before blog", "after blog"] and not record["ok"]
    errors = {name: part["error"] for name, part in record["parts"].items()}
    assert errors["files-blog"].startswith("restic has taken nothing for 0.5 s")
    assert all(
        errors[name].startswith(("not taken: restic has", "not tried: restic has"))
        for name in ("more-blog", "files-shop", "more-shop", "record")
    )


@pytest.mark.parametrize(
    ("recorded", "found", "refusal"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, None),
        ({"a": None}, {"a": 7}, None),
        ({}, {}, None),
        ({"a": 2}, {"a": 1}, "a has 1 where 2"),
        ({"a": 0}, {}, "a has no table"),
        ({"a": None}, {}, "a has no table"),
        ({}, {"b": 0}, "b has 0"),
    ],
)
def test_rows_are_compared_table_by_table(recorded, found, refusal):
    if refusal:
        with pytest.raises(BackupError, match=refusal):
            drill.compare(recorded, found)
    else:
        assert drill.compare(recorded, found) == found


LIST = """;
; Archive created at 2026-11-28
3; 3079 16386 EXTENSION - pg_stat_statements
3410; 0 0 COMMENT - EXTENSION pg_stat_statements
5; 2615 2200 SCHEMA - public pg_database_owner
3409; 0 0 ACL - SCHEMA public postgres
6; 2615 16400 SCHEMA - sales chat
214; 1259 16388 TABLE public messages chat
"""


def test_what_only_a_superuser_may_restore_is_left_to_him():
    assert postgres.extensions(LIST) == ["pg_stat_statements"]
    assert [line.split(";")[0] for line in postgres.restore_list(LIST).splitlines()[2:]] == ["6", "214"]


def test_a_database_that_its_owner_calls_a_template_can_be_dropped(monkeypatch):
    said = []
    monkeypatch.setattr(postgres, "execute", lambda statement, _database="postgres": said.append(statement) or ["1"])
    postgres.drop("old")
    assert said[1:] == [
        'ALTER DATABASE "old" OWNER TO CURRENT_USER',
        'ALTER DATABASE "old" IS_TEMPLATE false',
        'DROP DATABASE IF EXISTS "old" WITH (FORCE)',
    ]


@pytest.mark.parametrize(("there", "verb"), [([], "CREATE"), (["mainstay_restore_shop"], "ALTER")], ids=["new", "left by an app's grant"])
def test_who_restores_is_a_role_for_this_owner_alone_and_ends_without_a_login(monkeypatch, there, verb):
    said = []
    monkeypatch.setattr(postgres, "execute", lambda statements, _database="postgres": said.append(statements) or there)
    with postgres.stranger("shop") as env:
        assert env["PGUSER"] == "mainstay_restore_shop" and env["PGPASSWORD"] not in "".join(said)
        assert f'{verb} ROLE "mainstay_restore_shop" LOGIN NOINHERIT' in said[-1] and 'GRANT "shop" TO "mainstay_restore_shop"' in said[-1]
    assert "DROP ROLE" in said[-1] and 'ALTER ROLE "mainstay_restore_shop" NOLOGIN PASSWORD NULL' in said[-1]


def test_roles_of_a_dump_are_known_by_their_names():
    text = 'CREATE ROLE reader;\nALTER ROLE reader WITH NOSUPERUSER;\nCREATE ROLE "re-ad ""er";\nCREATE ROLE x; DROP TABLE y;\n'
    assert postgres.roles(text) == ["reader", 're-ad "er']
    # Any role may set a search path of its own, and the superuser who would make what stands in it fails, of every app's dump.
    said = "--\n-- User Configurations\n--\n\nALTER ROLE mole SET search_path TO 'a\nCREATE ROLE public;\n';\n"
    assert postgres.roles(text + said) == ["reader", 're-ad "er']


@pytest.mark.parametrize(
    ("kept", "what", "refusal"),
    [
        ({"ok": True, "server": 15}, "database", None),
        ({"ok": True, "server": 13}, "all", None),
        ({"ok": True}, "database", None),  # of a backup that does not say it
        ({"ok": True, "server": 17}, "database", "postgresql-shop is of PostgreSQL 17, and this host has 15"),
        ({"ok": True, "server": 17}, "files", "has nothing of that kind"),
        ({"ok": False}, "database", "is not in the backup 2"),
        (None, "database", "is not in the backup 2"),
    ],
)
def test_what_cannot_come_back_is_refused_before_anything_stands_still(monkeypatch, kept, what, refusal):
    parts = [{"name": "postgresql-shop", "kind": "postgresql", "app": "shop", "database": "shop"}]
    settings = Settings(repository="/x", host="web1", parts=parts, keep={})
    monkeypatch.setattr(postgres, "Session", lambda _database: contextlib.nullcontext())
    monkeypatch.setattr(postgres, "release", lambda _session: 15)
    monkeypatch.setattr(backup, "choose", lambda _restic, _wanted: {"id": "2", "parts": {"postgresql-shop": kept} if kept else {}})
    repository = SimpleNamespace(open=lambda: None)
    if refusal:
        with pytest.raises(BackupError, match=refusal):
            restore.foreseen(settings, repository, "shop", what, "latest")
    else:
        assert restore.foreseen(settings, repository, "shop", what, "latest")[1] == parts


def test_a_dump_for_which_there_is_no_room_is_not_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(BackupError, match="twice the size is needed"), drill.fetched(None, None, {"bytes": 1 << 60}):
        pass


@pytest.mark.parametrize(("text", "quoted"), [("a-b", '"a-b"'), ('a"; DROP', '"a""; DROP"')])
def test_names_are_quoted(text, quoted):
    assert postgres.name(text) == quoted


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "shared"
    (top / "deep").mkdir(parents=True)
    (top / "deep/file").write_bytes(b"x" * 100)
    (top / "link").symlink_to("/etc/shadow")
    os.mkfifo(top / "pipe")
    database = sqlite3.connect(top / "a.db")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (x)")
    database.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(50)])
    database.commit()
    yield top
    database.close()


def _packed(top, **options):
    stream = io.BytesIO()
    report = tree.pack([str(top)], stream, **options)
    stream.seek(0)
    return report, stream


def test_a_folder_comes_back_as_it_was_with_links_as_links_and_a_database_whole(folder):
    report, stream = _packed(folder)
    assert report["files"] == 2 and tree.verify(stream) == report
    (folder / "deep/file").unlink()
    (folder / "new").write_text("later")
    (folder / "a.db-wal").unlink()
    stream.seek(0)
    tree.unpack([str(folder)], stream)
    assert sorted(os.listdir(folder)) == ["a.db", "deep", "link"]
    assert (folder / "deep/file").read_bytes() == b"x" * 100 and os.readlink(folder / "link") == "/etc/shadow"
    assert sqlite3.connect(folder / "a.db").execute("SELECT count(*) FROM t").fetchone() == (50,)


def test_a_hole_fills_no_disk_when_it_is_put_aside_and_comes_back(tmp_path):
    """A file may say that it is a terabyte: in the place of root's where it is kept, too, and in a backup's tar."""
    top, kept, size = tmp_path / "shared", tmp_path / "kept.tar", 64 << 20
    top.mkdir()
    for name, end in (("end", b""), ("middle", b"x")):
        with open(top / name, "wb") as file:
            file.truncate(size)
            os.pwrite(file.fileno(), b"begins", 0)
            os.pwrite(file.fileno(), end, size)
    os.utime(top / "end", (7, 7))
    with open(kept, "wb") as file:
        subprocess.run([sys.executable, "-I", tree.__file__, "aside", "2", "", "", str(top)], stdout=file, check=True)
    with open(kept, "rb") as stream:
        tree.unpack([str(top)], stream)
    assert (top / "middle").read_bytes() == b"begins" + bytes(size - 6) + b"x"
    assert (os.path.getsize(top / "end"), os.path.getmtime(top / "end")) == (size, 7)
    assert kept.stat().st_size > 2 * size and sum(path.stat().st_blocks * 512 for path in (kept, *top.iterdir())) < size / 8


def test_a_changed_byte_is_another_checksum(folder):
    report, stream = _packed(folder)
    data = stream.getvalue().replace(b"x" * 100, b"x" * 99 + b"y")
    assert tree.verify(io.BytesIO(data))["sha256"] != report["sha256"]


def test_a_stream_that_is_cut_off_changes_nothing(folder):
    _report, stream = _packed(folder)
    with pytest.raises(tarfile.TarError):
        tree.unpack([str(folder)], io.BytesIO(stream.getvalue()[:1500]))
    assert (folder / "deep/file").exists() and (folder / "a.db").exists() and not (folder / tree.STAGING).exists()


def test_what_is_left_out_is_not_there(folder):
    assert _packed(folder, without=[f"{folder}/deep"])[0]["files"] == 1


def test_a_damaged_database_fails_the_folder(folder):
    (folder / "b.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    with pytest.raises((RuntimeError, sqlite3.Error)):
        _packed(folder)


def test_a_database_that_stays_locked_fails_the_folder(folder, monkeypatch):
    monkeypatch.setattr(tree, "LOCKED", 0.5)
    with contextlib.closing(sqlite3.connect(folder / "held.db", isolation_level=None)) as holder:
        holder.executescript("CREATE TABLE t (i); BEGIN EXCLUSIVE")
        with pytest.raises(RuntimeError, match="held.db is locked by the app for over 0.5 seconds"):
            tree.pack([str(folder)], io.BytesIO())


def test_root_reads_no_folder_of_somebody_else(folder, monkeypatch):
    monkeypatch.setattr(tree.os, "geteuid", lambda: 0)
    monkeypatch.setattr(tree.os, "fstat", lambda _descriptor: os.stat_result((0o40755, 1, 1, 1, 1234, 1234, 0, 0, 0, 0)))
    with pytest.raises(RuntimeError, match="not root's"):
        _packed(folder)


def test_a_file_that_shrinks_is_filled_up():
    assert tree.Exactly(io.BytesIO(b"ab"), 4).read(10) == b"ab"
    short = tree.Exactly(io.BytesIO(b""), 4)
    assert short.read(10) == b"\0" * 4 and short.read(10) == b""


def test_there_is_one_at_a_time(tmp_path):
    path = str(tmp_path / "lock")
    with lock.locked(path), pytest.raises(BackupError, match="another backup"), lock.locked(path, wait=0):
        pass
    with lock.locked(path, wait=0):
        pass


class Calls(restic.Restic):
    """A repository of the test's: what restic would say to each word."""

    def __init__(self, state, answers):
        super().__init__(Settings(repository="/mnt/backups", host="web1", parts=[], keep={}, state=str(state)))
        self.answers, self.asked = answers, []

    def call(self, *words):
        self.asked.append(words[0])
        answer = self.answers[words[0]].pop(0) if self.answers.get(words[0]) else ""
        if isinstance(answer, BackupError):
            raise answer
        return answer


ABSENT = BackupError("restic ended with 1: Fatal: unable to open config file. Is there a repository at the following location?")
WRONG = BackupError("restic ended with 1: Fatal: wrong password or no key found")
ONE, OTHER = json.dumps({"id": "1" * 64}), json.dumps({"id": "2" * 64})


@pytest.mark.parametrize(
    ("before", "answers", "refusal", "made"),
    [
        (None, {"cat": [ABSENT, ONE]}, None, True),
        (None, {"cat": [ONE]}, None, False),
        (None, {"cat": [WRONG]}, "wrong password", False),
        (ONE, {"cat": [ONE]}, None, False),
        (ONE, {"cat": [ABSENT]}, "cannot be opened", False),
        (ONE, {"cat": [OTHER]}, "another one than before", False),
    ],
    ids=["new", "adopted", "wrong password", "known", "gone", "another"],
)
def test_a_repository_is_made_once_and_never_in_the_place_of_one_that_is_gone(tmp_path, before, answers, refusal, made):
    if before:
        Calls(tmp_path, {"cat": [before]}).open()
    repository = Calls(tmp_path, answers)
    if refusal:
        with pytest.raises(BackupError, match=refusal):
            repository.open()
    else:
        repository.open()
    assert ("init" in repository.asked) == made


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("wrong password or no key found", "backup_password is not the one"),
        ("client.BucketExists: The request signature we calculated does not match", "the keys in backup_environment"),
        ("Stat: Access Denied.", "the keys in backup_environment"),
        ("x509: certificate signed by unknown authority", "mainstay_ca_certificates"),
        ("dial tcp 192.0.2.1:9000: connect: connection refused", "is the server on"),
        ("net/http: TLS handshake timeout", "is the server on"),
        ("something else", "something else"),
    ],
)
def test_a_repository_that_is_not_opened_or_made_is_told_with_its_remedy(tmp_path, said, remedy):
    for answers in ({"cat": [BackupError(said)]}, {"cat": [ABSENT], "init": [BackupError(said)]}):
        with pytest.raises(BackupError, match=f"cannot be opened: .*{said}.*|something else") as refused:
            Calls(tmp_path, answers).open()
        assert remedy in str(refused.value)


def test_one_part_that_fails_fails_the_backup_and_no_other_part():
    record = backup.total({"parts": {"a": {"ok": True, "bytes": 5, "rows": {"t": 3, "u": None}}, "b": {"ok": False, "error": "x"}}})
    assert (record["ok"], record["bytes"], record["rows"]) == (False, 5, 3)


def test_no_secret_is_in_a_command_line():
    settings = Settings(
        repository="rest:https://u:hidden@x/", host="web1", parts=[], keep={}, environment={"AWS_SECRET_ACCESS_KEY": "hidden"}
    )
    assert "hidden" not in " ".join(restic.Restic(settings).dump_command("abc", "x"))
    assert restic.Restic(settings).env["AWS_SECRET_ACCESS_KEY"] == "hidden"


def test_programs_on_the_host_are_plain_files():
    assert Path(backup.TREE).is_file()


def test_folders_that_lie_too_deep_are_told_and_make_room_all_the_same(tmp_path):
    """Python's own walks call themselves for each folder, and end in the midst of an app's restore."""
    top = tmp_path / "shared"
    top.mkdir()
    parent = deepen(top, 2000)
    os.mkdir("closed", 0o000, dir_fd=parent)
    os.close(parent)
    with pytest.raises(RuntimeError, match="holds more than 200 folders in each other; remove those"):
        tree.pack([str(top)], io.BytesIO())
    tree.clear(str(top))
    assert not top.exists()
