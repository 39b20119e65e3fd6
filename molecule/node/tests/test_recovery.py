# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL goes back to a moment, or stays as it is where it cannot get there."""

from __future__ import annotations

import pytest
from plays import play

SQL = "cd / && runuser -u postgres -- psql -XAtq chat --command=%s"
ARCHIVE = "/mnt/pitr/archive/main"
KEPT = "ls -d /var/lib/postgresql/*/main*"
ARCHIVED = "timeout 60 sh -c 'until test -e %s/*/*/%s-*; do sleep 0.2; done'"


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


def test_it_goes_back_to_a_moment_and_what_was_there_is_kept(host, moment):
    done = play("playbooks/recover.yml", variables={"mainstay_time": moment, "mainstay_confirm": "molecule-node"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.check_output(SQL, "TABLE recovered") == "before"
    kept = [path for path in host.check_output(KEPT).split() if ".before-" in path]
    assert len(kept) == 1 and host.file(f"{kept[0]}/PG_VERSION").exists
    status = host.run("mainstay status").stdout
    assert "Recovery: every moment since 20" in status and "Recovery problem" not in status
