# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB under an app: it runs with the plan's numbers, lets in who should, comes back, and is restarted only when it must be."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from plays import changes, play, words

UNIT = "mariadb.service"
FILE, SLOW_LOG = "/etc/mysql/mariadb.conf.d/zz-mainstay.cnf", "/var/log/mysql/mariadb-slow.log"
# On the host, so that the password is in no command, and in no log of one.
PASSWORD = r"sed -n 's#^DATABASE_URL=.*://guestbook:\([^@]*\)@127.0.0.1:3306/guestbook.*#\1#p' /etc/mainstay/guestbook/env"
MEGABYTES = {"K": 1 << 10, "M": 1 << 20}


def _sql(host, query):
    return host.check_output("mariadb --batch --skip-column-names --execute %s", query)


def _number(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KM]?)", text)
    return float(match[1]) * MEGABYTES.get(match[2], 1) if match else text


def _settings(host):
    """The settings of the file, and what the running server says to each."""
    lines = re.findall(r"^(\w+) = (.*)$", host.file(FILE).content_string, re.MULTILINE)
    running = dict(line.split("\t", 1) for line in _sql(host, "SHOW GLOBAL VARIABLES").splitlines())
    return {name: (_number(value), _number(running[name])) for name, value in lines}


def _as_app(host, query, password=f"$({PASSWORD})"):
    """A query as the app's user, who logs in over TCP with its password."""
    login = f'MYSQL_PWD="{password}" mariadb --no-defaults --host=127.0.0.1 --user=guestbook'
    return host.run(f'{login} --batch --skip-column-names --execute "{query}"')


def test_its_exporter_reads_figures_and_nothing_else(host):
    told = host.check_output("curl --silent --fail http://127.0.0.1:9104/metrics")
    assert re.search(r"(?m)^mysql_up 1$", told) and not re.search(r"(?m)^mysql_exporter_collector_success.* 0$", told)
    rules = (Path(__file__).parents[3] / "roles/exporters/files/rules.yml").read_text()
    named = set(re.findall(r"\bmysql_\w+", rules))
    assert named and {name for name in named if not re.search(rf"(?m)^{name}[ {{]", told)} == set()
    grants = _sql(host, "SHOW GRANTS FOR prometheus@localhost").splitlines()
    assert len(grants) == 1 and grants[0].startswith("GRANT USAGE ON *.*") and "VIA unix_socket" in grants[0]
    asked = "mariadb --no-defaults --batch --skip-column-names --execute %s"
    assert "guestbook" not in host.check_output(f"runuser -u prometheus -- {asked}", "SHOW DATABASES").split()
    assert "ERROR 1698" in host.run(f"runuser -u guestbook -- {asked} --user=prometheus", "SELECT 1").stderr
    assert host.run("runuser -u guestbook -- curl --silent http://127.0.0.1:9104/metrics").rc == 7


@pytest.fixture(scope="module")
def plan():
    """The part of the plan that is MariaDB's: its memory, and its settings by name."""
    text = words(play("playbooks/plan.yml"))
    settings = dict(re.findall(r"(\w+) (\d+)", re.search(r" mariadb: (.*?) nginx: ", text)[1]))
    part = int(re.search(r" mariadb +(\d+)", text)[1])
    return {"memory_mb": part, "settings": {name: int(value) for name, value in settings.items()}}


def _started(host):
    return host.check_output(f"systemctl show --property=MainPID --value {UNIT}")


def test_a_run_with_nothing_to_do_predicts_no_change_and_asks_the_database_nothing():
    """What the snapshot shows is not asked again; only reading it and comparing the files are left."""
    run = play("playbooks/site.yml", "--check", "--diff")
    assert run.returncode == 0, run.stdout + run.stderr
    assert changes(run) == 0, run.stdout
    for task in ("Install MariaDB", "Run MariaDB", "Remove accounts without a name", "Create the databases that are missing"):
        assert re.search(rf"mariadb : {task}\] \**\s+skipping:", run.stdout), task


def test_settings_of_the_file_are_those_of_the_running_server(host):
    settings = _settings(host)
    differing = {name: pair for name, pair in settings.items() if pair[0] != pair[1]}
    assert not differing
    assert {"innodb_buffer_pool_size", "max_connections", "max_statement_time", "tmpdir"} <= set(settings)


def test_settings_are_those_of_the_plan(host, plan):
    planned, settings = plan["settings"], _settings(host)
    for name in ("innodb_buffer_pool_size_mb", "innodb_log_file_size_mb", "aria_pagecache_buffer_size_mb", "tmp_table_size_mb"):
        assert settings[name[:-3]][1] == planned[name] << 20
    for name in ("max_connections", "table_open_cache", "thread_cache_size"):
        assert settings[name][1] == planned[name]
    assert host.check_output(f"systemctl show --property=LimitNOFILE --value {UNIT}") == str(planned["nofile"])
    needed = planned["max_connections"] + 8 * 2 * planned["table_open_cache"]
    assert needed <= int(_sql(host, "SELECT @@open_files_limit")) <= planned["nofile"], "it shrinks its caches where it gets less"


def test_it_takes_no_more_memory_than_the_plan_gives_it(host, plan):
    assert int(host.check_output(f"awk '/^VmRSS/ {{print $2}}' /proc/{_started(host)}/status")) < plan["memory_mb"] * 1024


def test_it_is_reached_from_this_host_only(host):
    listening = {(item.partition(":")[0], item.rpartition(":")[2]) for item in
                 host.check_output("ss --no-header --listening --numeric --tcp | awk '{print $4}'").splitlines()}  # fmt: skip
    assert {address for address, port in listening if port == "3306"} == {"127.0.0.1"}


def test_accounts_are_few_and_root_comes_by_the_socket(host):
    assert _sql(host, "SELECT user, host FROM mysql.user WHERE user = '' OR host NOT IN ('localhost', '127.0.0.1')") == ""
    assert _sql(host, "SELECT COUNT(*) FROM mysql.db WHERE user = ''") == "0"
    assert "test" not in _sql(host, "SHOW DATABASES").splitlines()
    assert "unix_socket" in _sql(host, "SHOW CREATE USER root@localhost")
    refused = host.run("setpriv --reuid=65534 --regid=65534 --clear-groups mariadb --no-defaults --user=root --execute 'SELECT 1'")
    assert refused.rc != 0
    assert "Access denied" in refused.stderr


def test_the_app_s_user_sees_its_own_database_only(host):
    _sql(host, "CREATE DATABASE IF NOT EXISTS other; CREATE TABLE IF NOT EXISTS other.secrets (id INT)")
    try:
        own = _as_app(host, "SHOW DATABASES")
        assert own.rc == 0, own.stderr
        assert set(own.stdout.split()) == {"guestbook", "information_schema"}
        for query in ("SELECT * FROM other.secrets", "SELECT * FROM mysql.db", "CREATE DATABASE x", "SET GLOBAL max_connections = 9"):
            refused = _as_app(host, query)
            assert refused.rc != 0, query
            assert "denied" in refused.stderr
    finally:
        _sql(host, "DROP DATABASE other")


def test_a_wrong_password_is_refused(host):
    refused = _as_app(host, "SELECT 1", password="wrong")
    assert refused.rc != 0
    assert "Access denied" in refused.stderr


def test_no_password_in_files_and_logs(host):
    assert len(host.check_output(PASSWORD)) > 60
    host.check_output("journalctl --no-pager > /run/journal")
    places = "/run/journal /etc/mysql /var/log /var/lib/mysql"
    try:
        assert host.run(f"{PASSWORD} | grep --recursive --fixed-strings --quiet --file=- {places}").rc == 1
    finally:
        host.check_output("rm /run/journal")
    stored = _sql(host, "SELECT authentication_string FROM mysql.user WHERE user = 'guestbook'")
    assert re.fullmatch(r"\*[0-9A-F]{40}", stored)


def test_a_slow_statement_is_logged_and_the_log_is_rotated(host):
    for mark in ("first", "second"):
        assert _as_app(host, f"SELECT SLEEP(1.2) AS {mark}").rc == 0
        assert f"AS {mark}" in host.check_output("tail -n 20 %s", SLOW_LOG)
        host.check_output("logrotate --force /etc/logrotate.d/mariadb")
    assert "SLEEP" in host.check_output("mariadb-dumpslow %s.1", SLOW_LOG)


def test_sessions_and_statements_have_an_end(host):
    endless = "SELECT COUNT(*) FROM mysql.seq_1_to_99999 a, mysql.seq_1_to_99999 b WHERE a.seq + b.seq = 3"
    idle = "START TRANSACTION; SELECT 1; \\! sleep 2.5\nSELECT 2"
    for limit, query, error in (
        ("max_statement_time = 1", endless, "max_statement_time exceeded"),
        ("idle_transaction_timeout = 1", idle, "gone away|lost connection|timeout"),
    ):
        ended = host.run("printf '%%b' %s | mariadb --no-defaults --skip-reconnect guestbook", f"SET {limit}; {query};")
        assert re.search(error, ended.stderr, re.IGNORECASE), ended.stderr


def test_mainstay_plan_tells_its_sessions_and_settings_that_are_not_the_plan_s(host):
    def told():
        return json.loads(host.run("mainstay plan --json").stdout)

    host.check_output("curl --silent --fail --insecure --output /dev/null https://localhost/ready")  # it connects when it has to
    found = told()
    assert [line for line in found["differs"] if "mariadb" in line] == []
    (app,) = (entry for entry in found["mariadb"]["apps"] if entry["app"] == "guestbook")
    assert app["connections"] >= 1 and app["planned"] >= app["connections"] and set(app["states"]) <= {"idle", "active"}
    before = _sql(host, "SELECT @@GLOBAL.sort_buffer_size")
    _sql(host, "SET GLOBAL sort_buffer_size = 65536")
    try:
        assert f"mariadb: sort_buffer_size is 65536, planned {before}" in told()["differs"]
    finally:
        _sql(host, f"SET GLOBAL sort_buffer_size = {before}")


def test_the_app_answers_and_writes_through_nginx(host):
    site = "curl --silent --insecure --max-time 10"
    form = "--data-urlencode name=Zoë --data-urlencode 'message=from the test 👋'"
    assert host.check_output(f"{site} --output /dev/null --write-out '%{{http_code}}' {form} https://localhost/") == "303"
    assert {"name": "Zoë", "message": "from the test 👋"} in json.loads(host.check_output(f"{site} https://localhost/entries"))
    assert json.loads(host.check_output(f"{site} https://localhost/ready")) == {"status": "healthy"}


def test_a_password_or_a_privilege_that_somebody_changed_is_mended(host):
    account = "'guestbook'@'127.0.0.1'"
    _sql(host, f"ALTER USER {account} IDENTIFIED BY 'somebody else set this'; GRANT ALL ON mysql.* TO {account}")
    run = play("playbooks/site.yml", "--tags", "mariadb", "--diff")
    assert run.returncode == 0, run.stdout + run.stderr
    assert changes(run) == 1, run.stdout
    assert host.check_output(PASSWORD) not in run.stdout + run.stderr
    assert _as_app(host, "SELECT 1").rc == 0
    assert _as_app(host, "SELECT * FROM mysql.db").rc != 0


def test_a_killed_server_answers_again_within_10_seconds(host):
    before = _started(host)
    host.check_output(f"kill -9 {before}")
    start = time.monotonic()
    while host.run("curl --silent --fail --max-time 1 --output /dev/null http://127.0.0.1:8100/ready").rc:
        assert time.monotonic() - start < 10, host.check_output(f"journalctl --no-pager --lines 50 --unit {UNIT}")
        time.sleep(0.2)
    assert _started(host) not in ("0", before)


FORESEEN = re.compile(r"Restart MariaDB for the settings that need it\] \*+\s+changed")


def test_it_is_restarted_only_for_what_it_reads_at_its_start_and_check_mode_foresees_it(host):
    steps = [
        ({"mariadb_slow_query_seconds": 2, "mariadb_settings": {"innodb_io_capacity": 900}}, False),
        ({"mariadb_settings": {"back_log": 90}}, True),
        ({}, True),
    ]
    for changed, restarted in steps:
        before = _started(host)
        if changed:  # the way back is foreseen as the way there
            foreseen = play("playbooks/site.yml", "--tags", "mariadb", "--check", variables=changed)
            assert bool(FORESEEN.search(foreseen.stdout)) is restarted, foreseen.stdout
        run = play("playbooks/site.yml", "--tags", "mariadb", variables=changed)
        assert run.returncode == 0, run.stdout + run.stderr
        assert (_started(host) != before) is restarted, run.stdout
        assert not {name: pair for name, pair in _settings(host).items() if pair[0] != pair[1]}


def test_a_bad_value_leaves_the_configuration_and_the_server_alone(host):
    before = _started(host), host.file(FILE).content_string
    run = play("playbooks/site.yml", "--tags", "mariadb", variables={"mariadb_settings": {"innodb_flush_method": "quickly"}})
    assert run.returncode != 0
    assert "Error while setting value 'quickly' to 'innodb-flush-method'" in words(run)
    assert (_started(host), host.file(FILE).content_string) == before


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("innodb_buffer_pool_sise = 64M", "unknown variable"),
        ("max_connections = abc", "Unknown suffix 'a'"),
        ("max_connections = 9999999", "adjusted to"),
        ("slow_query_log = perhaps", "wasn't recognized"),
        ("no setting", "unknown option"),
    ],
)
def test_the_checker_refuses_what_the_server_would_only_warn_of(host, line, reason):
    file = "/etc/mysql/mariadb.conf.d/99-test.cnf"
    host.check_output(f"printf '[mariadbd]\\n{line}\\n' > {file}")
    try:
        refused = host.run("/usr/local/lib/mainstay/check-mariadb")
    finally:
        host.check_output(f"rm {file}")
    assert refused.rc != 0
    assert reason in refused.stderr


RECEIVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9912), Handler).serve_forever()
"""


def test_people_are_told_by_apprise_and_nobody_sees_its_addresses(host):
    """By hand, and by the unit in its sandbox, of a process that was killed."""
    refused = host.run("mainstay alert --test")
    assert (refused.rc, refused.stdout.strip()) == (1, "apprise: not every service took it (exit status 1)")
    host.check_output("systemd-run --quiet --unit=mainstay-receiver python3 -c %s", RECEIVER)
    try:
        host.check_output("timeout 20 sh -c 'until ss -Hltn sport = 9912 | grep -q .; do sleep 0.2; done'")
        assert host.check_output("mainstay alert --test") == "apprise: sent"
        # What happens to an app within a minute of its server's own end is told with that, if at all.
        began = 'date +%s --date="$(systemctl show mariadb --property=ActiveEnterTimestamp --value)"'
        host.check_output(f"timeout 90 sh -c 'until [ $(( $(date +%s) - $({began}) )) -gt 65 ]; do sleep 1; done'")
        host.check_output("systemctl kill --signal=KILL --kill-whom=main 'guestbook-web@*'")
        heard = "journalctl --unit=mainstay-receiver --grep='/hidden-token .*guestbook/web.* ended' --quiet"
        host.check_output(f'timeout 90 sh -c "until {heard}; do sleep 1; done"')
    finally:
        host.check_output("systemctl stop mainstay-receiver")
    assert host.run("journalctl --unit='mainstay-a*' --grep=hidden-token --quiet").stdout == ""
