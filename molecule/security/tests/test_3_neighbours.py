# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process under an attacker's control can do to the servers that apps share, and to the other app beside it."""

from __future__ import annotations

import json
import re
import time

import pytest
from plays import changes, play, words

SQL = """
import subprocess, os, re
url = os.environ["DATABASE_URL"].replace("+asyncpg", "").replace("+psycopg", "")
url = re.sub("[^/]*$", "", url) + {database!r} if {database!r} else url
done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", {statement!r}, {place!r} or url], capture_output=True, text=True, timeout=20)
result = [done.returncode, done.stdout[:200], done.stderr[:300]]
"""
REFUSED = re.compile(
    r"permission denied|must be (superuser|owner|a member)|only (roles|superusers)|not permitted|no password|Peer authentication|too many"
    r"|is not allowed"
)
STATEMENTS = {
    # name: (statement, database, place)
    "connect to the victim's database": ("SELECT 1", "shop", ""),
    "connect to the administrators' database": ("SELECT 1", "postgres", ""),
    "connect to what databases are made from": ("SELECT 1", "template1", ""),
    "become the administrator by the socket": ("SELECT 1", "", "postgresql://postgres@/postgres?host=/var/run/postgresql"),
    "become the victim by the socket": ("SELECT 1", "", "postgresql://shop@/shop?host=/var/run/postgresql"),
    "run a program": ("COPY (SELECT 1) TO PROGRAM 'id'", "", ""),
    "read a file of the server's": ("SELECT pg_read_file('/etc/passwd')", "", ""),
    "list a folder of the server's": ("SELECT pg_ls_dir('.')", "", ""),
    "copy out of a file": ("CREATE TEMP TABLE t (line text); COPY t FROM '/etc/passwd'", "", ""),
    "copy into a file": ("COPY (SELECT 1) TO '/tmp/evil'", "", ""),
    "write a file by a large object": ("SELECT lo_export(lo_from_bytea(0, 'evil'), '/tmp/evil')", "", ""),
    "change the server's settings": ("ALTER SYSTEM SET max_connections = 10", "", ""),
    "make a role": ("CREATE ROLE evil", "", ""),
    "make a database": ("CREATE DATABASE evil", "", ""),
    "take its limit away": ("ALTER ROLE mole CONNECTION LIMIT -1", "", ""),
    "become a superuser": ("ALTER ROLE mole SUPERUSER", "", ""),
    "take another role": ("SET ROLE shop", "", ""),
    "take the administrator's role": ("SET SESSION AUTHORIZATION postgres", "", ""),
    "end the sessions of another": ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'", "", ""),
    "load a library": ("LOAD '/srv/mole/shared/evil.so'", "", ""),
    "make an untrusted extension": ("CREATE EXTENSION file_fdw", "", ""),
    "read the verifiers of passwords": ("SELECT rolpassword FROM pg_authid", "", ""),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_role_stays_in_its_database(mole, name):
    statement, database, place = STATEMENTS[name]
    said = mole.does(SQL.format(statement=statement, database=database, place=place))
    status, _output, errors = said["result"]
    assert status != 0 and REFUSED.search(errors), said


def test_it_sees_no_statement_of_another(mole):
    statement = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop' AND query <> '<insufficient privilege>'"
    assert mole.does(SQL.format(statement=statement, database="", place=""))["result"] == [0, "0\n", ""]


def test_it_has_what_is_its_own(mole):
    statement = "CREATE TABLE own (id int); INSERT INTO own VALUES (1); SELECT * FROM own; DROP TABLE own"
    assert mole.does(SQL.format(statement=statement, database="", place=""))["result"] == [0, "1\n", ""]


def test_all_connections_that_it_takes_leave_the_others_theirs(host, mole, shop):
    """Also those that say nothing, which PostgreSQL holds for a minute before it asks who they are."""
    limit = int(host.check_output("runuser -u postgres -- psql -XAtc \"SELECT rolconnlimit FROM pg_roles WHERE rolname = 'mole'\""))
    code = """
    kept = globals().setdefault("_kept", [])
    for _ in range(200):
        with contextlib.suppress(OSError):
            kept.append(socket.create_connection(("127.0.0.1", 5432), timeout=2))
    import builtins
    builtins.kept = kept
    result = len(kept)
    """
    held = mole.does(code)["result"]
    assert held <= limit + 8 and shop() == "healthy"
    assert host.check_output("runuser -u postgres -- psql -XAtc 'SELECT 1'") == "1"
    mole.does("import builtins\nfor one in builtins.kept: one.close()")
    sessions = mole.does(
        f"""
        url = os.environ["DATABASE_URL"].replace("+asyncpg", "").replace("+psycopg", "")
        running = [subprocess.Popen(["psql", "-XAtqc", "SELECT pg_sleep(12)", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for _ in range({limit + 6})]
        result = sum(one.wait() == 0 for one in running)
        """
    )["result"]
    assert 0 < sessions <= limit and shop() == "healthy"


# What a superuser meets who asks something in the app's own database: names that mean what the app wants.
TRAPS = """
CREATE SCHEMA evil;
CREATE FUNCTION evil.falls() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  IF current_setting('is_superuser')::bool THEN COPY (SELECT session_user) TO '/var/lib/postgresql/fallen'; END IF;
  RETURN true;
END $$;
CREATE FUNCTION public.no_match(name, name) RETURNS bool LANGUAGE sql AS 'SELECT evil.falls() AND NOT textregexeq($1::text, $2::text)';
CREATE OPERATOR public.!~ (FUNCTION = public.no_match, LEFTARG = name, RIGHTARG = name);
CREATE VIEW evil.pg_namespace AS SELECT * FROM pg_catalog.pg_namespace WHERE evil.falls();
CREATE VIEW evil.pg_extension AS SELECT * FROM pg_catalog.pg_extension WHERE evil.falls();
GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA evil TO PUBLIC
"""
PATH = "ALTER DATABASE mole SET search_path = evil, public, pg_catalog"
NO_TRAPS = (
    "ALTER DATABASE mole RESET search_path; DROP OPERATOR public.!~ (name, name); DROP FUNCTION public.no_match; DROP SCHEMA evil CASCADE"
)


def test_a_superuser_who_looks_into_its_database_runs_nothing_of_it(host, mole):
    fallen = host.file("/var/lib/postgresql/fallen")
    assert mole.does(SQL.format(statement=f"{TRAPS}; {PATH}", database="", place=""))["result"][0] == 0
    try:
        run = play("playbooks/site.yml")
        assert run.returncode == 0 and changes(run) == 0, run.stdout[-3000:]
        assert not fallen.exists, "what a run asks"
        host.check_output("systemctl start mainstay-backup.service")
        assert not fallen.exists, "what a backup asks"
    finally:
        mole.does(SQL.format(statement=NO_TRAPS, database="", place=""))


# What it sets for whoever comes in, and that superusers find nothing where it was.
CLOSED = """
ALTER DATABASE mole SET statement_timeout = 1; ALTER DATABASE mole SET default_transaction_read_only = on;
ALTER DATABASE mole SET role = mole; ALTER DATABASE mole SET local_preload_libraries = 'absent'; ALTER DATABASE mole IS_TEMPLATE true
"""


PUBLIC = "CREATE SCHEMA public AUTHORIZATION pg_database_owner"
# The names of an extension's that every database gets.
TAKEN = """
DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE public.pg_stat_statements (i int);
CREATE FUNCTION public.pg_stat_statements_reset() RETURNS void LANGUAGE sql AS 'SELECT'
"""


@pytest.mark.parametrize(
    "statement", [CLOSED, "DROP SCHEMA public CASCADE", TAKEN], ids=["by settings", "by an absent schema", "by names that are taken"]
)
def test_what_it_does_to_its_own_database_stops_no_run_and_no_backup(host, mole, statement):
    assert mole.does(SQL.format(statement=statement, database="", place=""))["result"][0] == 0
    try:
        run = play("playbooks/site.yml", "--tags", "postgresql")
        assert run.returncode == 0 and changes(run) == 0, run.stdout[-3000:]
        assert ("mole: pg_stat_statements:" in words(run)) is (statement == TAKEN), words(run)
        host.check_output("systemctl start mainstay-backup.service")
    finally:
        host.check_output("runuser -u postgres -- psql -qc 'ALTER DATABASE mole RESET ALL' -c 'ALTER DATABASE mole IS_TEMPLATE false'")
        host.check_output(f"runuser -u postgres -- psql -qd mole -c 'DROP SCHEMA IF EXISTS public CASCADE' -c '{PUBLIC}'")
        assert play("playbooks/site.yml", "--tags", "postgresql").returncode == 0


# A session that changes what is its own in the server's tables, and never ends: who changes the same waits for it.
KEPT = """
import builtins
url = os.environ["DATABASE_URL"].replace("+asyncpg", "").replace("+psycopg", "")
builtins.kept = subprocess.Popen(["psql", "-XAtq", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
builtins.kept.stdin.write(
    "SET idle_in_transaction_session_timeout = 0; ALTER ROLE mole PASSWORD 'own'; GRANT CONNECT ON DATABASE mole TO PUBLIC; "
    "BEGIN; ALTER DATABASE mole CONNECTION LIMIT 5; ALTER ROLE mole PASSWORD 'another'; SELECT 'kept';\\n"
)
builtins.kept.stdin.flush()
result = builtins.kept.stdout.readline()
"""


def test_what_it_keeps_of_the_server_s_tables_stops_no_run(host, mole):
    assert mole.does(KEPT) == {"result": "kept\n"}
    run = play("playbooks/site.yml", "--tags", "postgresql")
    mole.does("import builtins\nbuiltins.kept.kill()")
    assert run.returncode == 0, run.stdout[-3000:]
    access = "runuser -u postgres -- psql -XAtc \"SELECT datacl FROM pg_database WHERE datname = 'mole'\""
    assert host.check_output(access) == "{mole=CTc/mole}"
    assert mole.does(SQL.format(statement="SELECT 1", database="", place=""))["result"] == [0, "1\n", ""], (
        "its password is the declared one"
    )


def test_what_it_grants_to_who_restores_is_no_concern_of_another_s_restore(host, mole):
    """A role that has been granted something cannot be dropped: those of a drill are closed then, and good for the next one."""
    roles = "runuser -u postgres -- psql -XAtc \"SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname ~ '^mainstay_restore'\""
    ours = {"mainstay_restore_mole", "mainstay_restore_shop"}
    for role in ours:  # as a drill has them for a second, in which it is to be met
        host.check_output(f"runuser -u postgres -- psql -qc 'CREATE ROLE {role} LOGIN'")
    grant = f"GRANT ALL ON DATABASE mole TO {', '.join(ours)}"
    # And what it sets for itself is no line of the roles that a backup knows; each dump that grants something has the word `public`.
    poison = "ALTER ROLE mole SET search_path = 'a\nCREATE ROLE public;\n'"
    host.check_output("runuser -u postgres -- psql -qd shop -c 'CREATE TABLE granted (); GRANT SELECT ON granted TO mole'")
    for statement in (grant, poison):
        assert mole.does(SQL.format(statement=statement, database="", place=""))["result"][0] == 0
    try:
        host.check_output("systemctl start mainstay-backup.service && systemctl start mainstay-backup-drill.service")
        assert set(host.check_output(roles).split()) == {f"{role}|f" for role in ours}
    finally:
        mole.does(SQL.format(statement=grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "), database="", place=""))
        mole.does(SQL.format(statement="ALTER ROLE mole RESET search_path", database="", place=""))
        host.check_output("runuser -u postgres -- psql -qd shop -c 'DROP TABLE granted'")
    host.check_output(f"runuser -u postgres -- psql -qc 'DROP ROLE {', '.join(ours)}'")


REDIS = """
import os, subprocess, urllib.parse
own = urllib.parse.urlsplit(os.environ["REDIS_CACHE_URL"])
port = {port} or own.port
login = ["--user", own.username or "default", "--pass", own.password] if {login} else []
done = subprocess.run(["redis-cli", "--no-auth-warning", "-p", str(port), *login, *{words!r}], capture_output=True, text=True, timeout=10)
result = done.stdout[:200] + done.stderr[:200]
"""
COMMANDS = {
    "change where it writes": ["CONFIG", "SET", "dir", "/etc"],
    "change its limit": ["CONFIG", "SET", "maxmemory", "0"],
    "load a module": ["MODULE", "LOAD", "/srv/mole/shared/evil.so"],
    "read from another server": ["REPLICAOF", "127.0.0.1", "6380"],
    "stop it": ["SHUTDOWN", "NOSAVE"],
    "debug it": ["DEBUG", "SLEEP", "5"],
    "make a user": ["ACL", "SETUSER", "evil", "on", "nopass", "+@all"],
    "throw its clients out": ["CLIENT", "KILL", "TYPE", "normal"],
    "send its keys elsewhere": ["MIGRATE", "127.0.0.1", "6380", "a", "0", "1000"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_app_is_no_administrator_of_its_redis(mole, name):
    said = mole.does(REDIS.format(port=0, login=True, words=COMMANDS[name]))["result"]
    assert "NOPERM" in said or "unknown command" in said or "ERR" in said, said


def test_an_app_sees_who_else_of_it_uses_its_redis(mole):
    """RQ's workers begin with that, and do not start without it."""
    assert "addr=127.0.0.1:" in mole.does(REDIS.format(port=0, login=True, words=["CLIENT", "LIST"]))["result"]


def test_an_app_reaches_no_redis_of_another(host, mole, shop):
    ports = [int(port) for port in re.findall(r":(63\d\d)\b", host.check_output("ss -Htln 'sport >= 6379 and sport <= 6399'"))]
    own = mole.does(REDIS.format(port=0, login=True, words=["PING"]))["result"]
    assert own == "PONG\n" and len(set(ports)) == 3
    reached = [
        port
        for port in set(ports)
        for login in (True, False)
        if "refused" not in mole.does(REDIS.format(port=port, login=login, words=["PING"]))["result"].lower()
    ]
    assert len(set(reached)) == 1 and shop() == "healthy"


LISTEN = """
import builtins
builtins.taken = [socket.create_server(("127.0.0.1", port)) for port in {ports}]
"""


def test_it_is_not_heard_in_the_place_of_another(host, mole):
    """A port of the other app's that is free between two releases, of a Redis that restarts; one of nobody's is its own to use."""
    ports = {
        8000 + 8001 - int(host.check_output("readlink /var/lib/mainstay/backend/shop-web").rpartition(":")[2]): False,
        6399: False,
        9123: True,
    }
    assert "error" not in mole.does(LISTEN.format(ports=list(ports)))
    try:
        for port, is_heard in ports.items():
            assert (host.run(f"timeout 2 bash -c '</dev/tcp/127.0.0.1/{port}'").rc == 0) is is_heard, port
    finally:
        mole.does("import builtins\nfor one in builtins.taken: one.close()")


def test_it_takes_no_more_than_a_part_of_the_kernel_s_table_of_connections(host, mole, shop):
    count = "cat /proc/sys/net/netfilter/nf_conntrack_count"
    before = int(host.check_output(count))
    said = mole.does(
        """
        sender, result = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
        for number in range(60000):
            with contextlib.suppress(OSError):
                sender.sendto(b"x", (f"127.0.1.{1 + number % 2}", 1 + number // 2))
                result += 1
        """
    )
    assert said["result"] < 10000 and int(host.check_output(count)) - before < 10000 and shop() == "healthy"


def test_a_bomb_of_forks_ends_at_its_own_limit(host, mole, shop):
    code = """
    result, running = 0, []
    with contextlib.suppress(OSError):
        for _ in range(3000):
            running.append(subprocess.Popen(["sleep", "20"], close_fds=False))
    result = len(running)
    """
    started = mole.does(code)["result"]
    assert 0 < started < 1000 and shop() == "healthy"
    assert host.run("systemd-run --wait --collect true").rc == 0
    host.check_output("mainstay restart mole")


def test_it_takes_no_place_in_the_kernel_s_table_of_shared_memory(host, mole, shop):
    """PostgreSQL needs one of its 4096 places to start: who has taken all the others waits for that one, too."""
    took = "ipcs --shmems --human | grep -c ^0x"
    before = host.check_output(took)
    said = mole.does(
        """
        libc, result = ctypes.CDLL(None), 0
        for _ in range(5000):
            result += libc.shmget(0, 1, 0o1600) >= 0
        """
    )
    assert said["result"] > 1000 and host.check_output(took) == before and shop() == "healthy"
    host.check_output("mainstay restart mole")


def test_memory_without_end_is_its_own_end(host, mole, shop):
    before = host.check_output("systemctl show --value --property=InvocationID 'shop-*.service'")
    unit = host.check_output(f"echo mole-web@{mole.port}.service")
    started = host.check_output(f"systemctl show --value --property=InvocationID {unit}")
    host.run(
        f"curl --silent --max-time 60 --data-binary 'x = [bytearray(b\"x\" * (8 << 20)) for _ in range(1000)]' http://127.0.0.1:{mole.port}/"
    )
    deadline = time.monotonic() + 90
    while (
        host.check_output(f"systemctl show --value --property=InvocationID {unit}") == started or host.run(f"systemctl is-active {unit}").rc
    ):
        assert time.monotonic() < deadline, "its process was ended and started anew"
        time.sleep(1)
    assert shop() == "healthy"
    assert host.check_output("systemctl show --value --property=InvocationID 'shop-*.service'") == before


def test_a_process_that_is_called_sshd_opens_no_port(host, mole):
    code = """
    import ctypes, builtins
    ctypes.CDLL(None).prctl(15, b"sshd", 0, 0, 0)
    builtins.fake = socket.create_server(("0.0.0.0", 2222))
    result = Path("/proc/self/comm").read_text().strip()
    """
    # By its main thread, whose name is the process's.
    said = mole.does(code.replace('ctypes.CDLL(None).prctl(15, b"sshd", 0, 0, 0)', 'Path("/proc/self/comm").write_text("sshd")'))
    assert said == {"result": "sshd"}
    try:
        run = play("playbooks/site.yml")
        assert run.returncode != 0 and "Something listens where other hosts can reach it" in words(run) and "2222" in words(run)
        assert "2222" not in host.check_output("nft list ruleset")
    finally:
        mole.does("import builtins\nbuiltins.fake.close()")
        host.check_output("mainstay restart mole")


RACES = 200


def test_root_wins_every_race_for_a_place(host, mole, shop):
    """A folder of the app's turns into a link and back, thousands of times a second, while root's programs pass by."""
    before = host.check_output("stat -c '%n %U:%G %a %s' /etc /etc/shadow /etc/passwd /etc/hosts /root; ls /etc /root")
    mole.does(
        """
        import builtins
        builtins.racing = True
        def race(place, target):
            os.makedirs(place, exist_ok=True)
            os.symlink(target, place + ".link")
            while builtins.racing:
                for _ in range(100):
                    with contextlib.suppress(OSError):
                        os.rename(place, place + ".folder"); os.rename(place + ".link", place)
                        os.rename(place, place + ".link"); os.rename(place + ".folder", place)
            os.unlink(place + ".link")
        for place, target in (("/srv/mole/shared/logs", "/etc"), ("/srv/mole/shared/drop", "/root"), ("/var/lib/mole/drop", "/etc")):
            threading.Thread(target=race, args=(place, target), daemon=True).start()
        """
    )
    try:
        host.run(
            f"for i in $(seq {RACES}); do logrotate --force --state /run/race.state /etc/logrotate.d/mainstay-mole; "
            "test $((i % 20)) -ne 0 || { systemd-tmpfiles --create --remove /etc/tmpfiles.d/mainstay.conf; "
            "mainstay clean mole --yes; mainstay run mole -- true; }; "
            "done > /run/race.log 2>&1"
        )
    finally:
        mole.does("import builtins\nbuiltins.racing = False")
    assert host.check_output("stat -c '%n %U:%G %a %s' /etc /etc/shadow /etc/passwd /etc/hosts /root; ls /etc /root") == before
    assert host.check_output("find /etc /root -xdev -newer /run/race.log ! -path '/etc/mtab' -type f") == ""
    assert shop() == "healthy"
    host.check_output("mainstay restart mole")


def test_the_other_app_is_as_it_was(host, shop):
    said = json.loads(host.check_output("mainstay status shop --json"))
    assert {entry["health"] for entry in said["processes"]} == {"up"} and shop() == "healthy"
    assert host.run("systemctl list-units --state=failed --plain --no-legend").stdout == ""
