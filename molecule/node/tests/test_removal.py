# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app that nobody declares any more: it is told, keeps no port from another, and goes with its data, of which a dump is left.

The last tests of their host: it does not get the app back.
"""

from __future__ import annotations

import json
import shlex
from concurrent.futures import ThreadPoolExecutor

import pytest
from plays import changes, declared, play, words

CANARY = "/root/canary"
# Folders in each other on which Python's own ways end, which call themselves for each.
DEEP = """
import os
place = os.open(".", os.O_RDONLY)
for _ in range(2000):
    os.mkdir("d", dir_fd=place)
    below = os.open("d", os.O_RDONLY, dir_fd=place)
    os.close(place)
    place = below
"""


@pytest.fixture(scope="module")
def without():
    """The apps without the one that goes."""
    apps = declared()
    del apps["old"]
    return apps


def test_it_is_told_keeps_its_ports_and_is_not_removed_while_it_is_declared(without):
    new = {**without, "new": declared()["old"]}
    calls = [
        ("playbooks/plan.yml", {"mainstay_apps": without}),
        ("playbooks/site.yml", {"mainstay_apps": new}),
        ("playbooks/remove.yml", {"mainstay_app": "old"}),
    ]
    with ThreadPoolExecutor(2) as pool:
        told, renamed, refused = pool.map(lambda call: play(call[0], variables=call[1]), calls)
    assert "app old on molecule-node: old-nightly@1.timer, old-web@8000.service still run. It goes with playbooks/remove.yml" in words(told)
    port = "mainstay_apps.new.processes.web.port: 8000 cannot be used. On molecule-node old-web@8000.service has port 8000"
    assert renamed.returncode != 0 and changes(renamed) == 0 and port in words(renamed)
    assert refused.returncode != 0 and changes(refused) == 0 and "Take mainstay_apps.old out of the inventory first." in words(refused)


def test_an_app_goes_with_its_data_and_leaves_a_dump(host, without):
    user = {"uid": host.user("old").uid, "build": host.user("old-build").uid}
    host.check_output(f"mkdir -p {CANARY} && touch {CANARY}/file")
    host.check_output("runuser -u postgres -- psql -qd old -c 'CREATE TABLE orders AS SELECT 1 AS id'")
    host.check_output("runuser -u postgres -- psql -qd chat -c 'SET ROLE chat; GRANT CONNECT ON DATABASE chat TO old'")
    # A statement of its own, which goes on with its locks when the process that sent it is killed.
    host.check_output("runuser -u postgres -- psql -qd old -c 'ALTER TABLE orders OWNER TO old'")
    # Its owner may call it a template, which cannot be dropped.
    host.check_output("runuser -u postgres -- psql -qd old -c 'SET ROLE old; ALTER DATABASE old IS_TEMPLATE true'")
    url = "$(sed -n 's/^DATABASE_URL=//p' /etc/mainstay/old/env | tr -d '\"')"
    # timeout kills itself as well, and with it a connection that runs nothing else.
    host.run(f"timeout --signal=KILL 3 psql {url} -qc 'BEGIN; LOCK TABLE orders; SELECT pg_sleep(3600)'; true")
    for place in ("/srv/old/shared", "/var/lib/old"):
        host.check_output(
            f"runuser -u old -- sh -c 'echo mine >{place}/file; ln -s {CANARY} {place}/link; truncate --size=1T {place}/hole'"
        )
    host.check_output(f"cd /srv/old/shared && runuser -u old -- python3 -c {shlex.quote(DEEP)}")
    host.check_output("systemd-run --quiet --collect --uid=old --unit=stray sh -c 'trap : TERM; while :; do sleep 1; done'")

    run = play("playbooks/remove.yml", variables={"mainstay_apps": without, "mainstay_app": "old", "mainstay_data": True})
    assert run.returncode == 0, run.stdout[-4000:]
    assert "old is removed from molecule-node, with its data" in words(run) and "No longer declared" not in words(run)

    assert host.check_output("systemctl list-units --all --plain --no-legend 'old*' 'run-old*' 'redis-server@old*' stray.service") == ""
    assert host.run("getent passwd old old-build; getent group old").stdout == ""
    numbers = f"-uid {user['uid']} -o -uid {user['build']}"
    found = host.check_output(
        f"find / -xdev \\( {numbers} -o -regex '.*/\\(stamp-\\|redis-\\)?old[-.@][^/]*' -o -name old \\) "
        "-not -path '/usr/*' -not -path '/var/backups/*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/run/systemd/*' "
        "-not -path '/var/lib/dpkg/*' -not -path '/var/cache/*'"
    )
    assert found == "" and not host.file("/var/cache/mainstay/old").exists
    roles = "runuser -u postgres -- psql -XAtc \"SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname IN ('old', 'chat') ORDER BY 1\""
    assert host.check_output(roles).split() == ["chat|t", "old|f"] and "The role old stays in PostgreSQL, without a login" in words(run)
    host.check_output("cd / && runuser -u postgres -- psql -qd chat -c 'DROP OWNED BY old' -c 'DROP ROLE old'")
    assert host.run("grep --recursive --word-regexp old /etc/nginx/mainstay /etc/mainstay /etc/logrotate.d").stdout == ""
    assert host.file(f"{CANARY}/file").exists, "no link was followed"

    archive = host.check_output("ls -d /var/backups/mainstay/removed/old-*").split()[-1]
    assert {host.file(path).mode for path in (archive, f"{archive}/..")} == {0o700}
    assert "TABLE DATA public orders" in host.check_output(f"pg_restore --list {archive}/postgresql.dump")
    listed = host.check_output(f"tar -tvzf {archive}/files.tar.gz")
    assert "srv/old/shared/file" in listed and f"var/lib/old/link -> {CANARY}" in listed and f"{CANARY}/file" not in listed
    last = json.loads(host.check_output("tail -n 1 /var/lib/mainstay/deploys.jsonl"))
    assert (last["app"], last["result"]) == ("old", "removed")


def test_a_second_time_there_is_nothing_left_to_remove(without):
    asked = {"mainstay_apps": without, "mainstay_app": "old", "mainstay_data": True}
    run = play("playbooks/remove.yml", "--tags", "always", variables=asked)  # without the roles, of which other tests prove the same
    assert (run.returncode, changes(run)) == (0, 0), run.stdout[-4000:]
    assert "old: nothing of it is left on molecule-node." in words(run)
