# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One attempt at a case: what a tool says of it, and what its newest copy lacks when it is restored."""

from __future__ import annotations

import shlex
import subprocess
import time

from backup_cases import LIMIT, PAIRS
from backup_tools import SHARED, hard, sql
from hosts import LAB

# Rows of each table of a database; what a restored one is compared by.
COUNT = """
SELECT 'words', count(*), md5(string_agg(word, '' ORDER BY word)) FROM words UNION ALL
SELECT 'large objects', count(*), md5(string_agg(lo_get(oid), '' ORDER BY lo_get(oid))) FROM pg_largeobject_metadata UNION ALL
SELECT 'messages', count(*), NULL FROM messages UNION ALL
SELECT 'indexes', count(*), NULL FROM pg_indexes WHERE tablename = 'words' UNION ALL
SELECT 'reader may', has_table_privilege('reader', 'words', 'SELECT')::int, NULL
"""
# Of a borg that holds the repository for itself and dies; of another host likewise.
BORG_LOCK = """
import os, signal, subprocess, time
env = {**os.environ, 'BORG_PASSCOMMAND': 'cat /etc/borgmatic/passphrase'}
process = subprocess.Popen(['/usr/bin/borg', 'with-lock', '/mnt/borg', 'sleep', '60'], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while not os.path.exists('/mnt/borg/lock.exclusive'):
    time.sleep(0.01)
time.sleep(0.3)
process.send_signal(signal.SIGKILL)
process.wait()
"""


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Host:
    def __init__(self, name):
        self.name = name

    def run(self, script, limit=LIMIT + 300):
        return subprocess.run([*LAB, "ssh", self.name, "bash -s"], input=script, text=True, capture_output=True, timeout=limit, check=False)

    def sh(self, script):
        done = self.run(f"set -e\n{script}")
        if done.returncode:
            raise RuntimeError(f"{script}: {(done.stderr or done.stdout)[-600:]}")
        return done.stdout.strip()


def own(text, tool):
    """A shell's text for another tool's repository and password."""
    if tool.name == "mainstay":
        return text
    text = text.replace(f"RESTIC_REPOSITORY={hard.REPOSITORY} RESTIC_PASSWORD_FILE={hard.PASSWORD} restic --no-cache --quiet init",
                        f"BORG_PASSPHRASE=x borg init --encryption=repokey {hard.REPOSITORY}")  # fmt: skip
    if tool.name == "borgmatic":
        text = text.replace(shlex.quote(hard.LOCK), shlex.quote(BORG_LOCK)).replace(hard.LOCK, BORG_LOCK)
        text = text.replace(f"rm {hard.REPOSITORY}/locks/*", "borg break-lock /mnt/borg")
    if tool.name == "pg_dump in cron":
        text = text.replace(f"{hard.REPOSITORY}/data", tool.repository)
    return text.replace(hard.REPOSITORY, tool.repository).replace(hard.PASSWORD, tool.password)


LAST = "import json; print(json.load(open('/var/lib/mainstay/backup/last.json'))['parts']['files-chat']['snapshot'])"
REMOVE = {
    "mainstay": f'{hard.RESTIC} --quiet forget $(python3 -c "{LAST}")',
    "borgmatic": "BORG_PASSCOMMAND='cat /etc/borgmatic/passphrase' borg delete --last 1 /mnt/borg",
    "pg_dump in cron": "rm $(ls -t /mnt/cron/files_* | head -n 1)",
}
OLD = """python3 - <<'P'
import json, time
path = '/var/lib/mainstay/backup/status.json'
found = json.load(open(path))
for name in ('last', 'last_good'):
    found[name]['time'] -= 3 * 86400
json.dump(found, open(path, 'w'))
P
"""


def ended(tool, unit):
    """Shell that starts it, and shell that waits for its end; its status is the last line."""
    start = f"systemctl start {unit} 2>/dev/null & job=$!" if tool.name == "mainstay" else tool.start
    runs = f"while ! [[ $(systemctl show --property=ActiveState --value {unit}) =~ ^(inactive|failed)$ ]]; do sleep 0.3; done"
    wait = "tail --pid=$job --follow /dev/null" if tool.name == "mainstay" else f"bash -c '{runs}'"
    status = f"systemctl is-failed --quiet {unit} && echo ended with 1 || echo ended with 0"
    return f"systemctl reset-failed {unit} 2>/dev/null; {start}", f"timeout {LIMIT} {wait} || echo ENDLESS\n{status}"


def attempt(host, tool, name, case):
    """What one tool says of one case."""
    unit = case.unit if tool.name == "mainstay" else tool.unit
    breaks, mends = own(case.breaks, tool), own(case.mends, tool)
    if name == "somebody has removed the newest copy":
        breaks = REMOVE[tool.name]
    if name == "nobody has run it for three days":
        said = host.sh(f"{OLD}\nmainstay status | grep '^Backup problem' || true") if tool.name == "mainstay" else ""
        return {"end": "told" if said else "quiet", "exit": 0, "says": said, **({} if said else {"why": "what does not run says nothing"})}
    if case.is_check and tool.name == "pg_dump in cron":
        return {"end": "quiet", "exit": 0, "says": "", "why": "nothing looks at what it has kept"}
    start, wait = ended(tool, unit)
    start = start.replace("/usr/bin/borgmatic", "/usr/bin/borgmatic check") if case.is_check else start
    began = time.time()
    lines = ("set -e", breaks, "set +e", ": > /run/said; touch /run/began", f"unit={unit}", start, case.during, wait, mends, "true")
    done = host.run("\n".join(lines))
    if "ended with" not in done.stdout:
        raise RuntimeError(f"{name}, {tool.name}: {done.stdout[-300:]} {done.stderr[-600:]}")
    seconds = round(time.time() - began, 1)
    failed = "ended with 1" in done.stdout
    if tool.name == "mainstay":
        said = host.run("mainstay status | grep '^Backup problem'; echo; mainstay backups").stdout
        heading = {"mainstay-backup-drill": "Drill of", "mainstay-backup-upkeep": "Upkeep of"}.get(unit, "Backup of")
        block = next((text for text in said.split("\n\n") if text.startswith(heading)), "")
        part = next((line for line in block.splitlines()[1:] if " failed " in line), "")
        words = " ".join(part.split()) if failed else ""
        is_told = failed and "Backup problem: the last" in said and words
    else:
        words = " ".join(host.sh("tail -c 1500 /run/said | grep -v 'Removing leading' || true").split())  # tar says that each time
        is_told = failed if tool.name == "borgmatic" else bool(words)
    found = {"seconds": seconds, "exit": int(failed), "says": words[-300:]}
    if "ENDLESS" in done.stdout:
        return {**found, "end": "quiet", "why": f"no end within {LIMIT} s"}
    if is_told:
        return {**found, "end": "told"}
    if case.is_check:
        return {**found, "end": "quiet", "why": "its check is well"}
    problem = lack(host, tool, case)
    return {**found, "end": "quiet" if problem or failed else "whole", **({"why": problem} if problem else {})}


def lack(host, tool, case):
    """What the newest copy lacks, restored into scratch and compared with what is there; empty where it lacks nothing."""
    before = host.sh(sql(COUNT))
    host.sh(sql("DROP DATABASE IF EXISTS scratch", "postgres"))
    host.sh(case.lost) if case.lost else None
    try:
        if tool.name == "mainstay":
            done = host.run("systemctl start mainstay-backup-drill || mainstay backups | grep -A12 ^Drill | grep failed")
            return " ".join(done.stdout.split())[-300:]
        done = host.run(
            f"""out=/root/out; rm -rf $out; mkdir $out; set -e
({tool.fetch}) >/run/fetched 2>&1 || {{ tail -c 300 /run/fetched; exit 1; }}
{sql("CREATE DATABASE scratch OWNER chat", "postgres")}; install --mode=0644 $out/dump /var/tmp/dump; cd /
if head -c 5 /var/tmp/dump | grep -q PGDMP; then runuser -u postgres -- pg_restore --exit-on-error -d scratch /var/tmp/dump
else [ -s /var/tmp/dump ]; runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 scratch < /var/tmp/dump >/dev/null; fi 2>&1
"""
        )
        if done.returncode:
            return " ".join((done.stdout + done.stderr).split())[-300:] or "not restored: the dump is empty"
    finally:
        host.sh(case.found) if case.found else None
    wrong = host.run("for file in $(find /root/out/files -name '*.db'); do python3 -c \"import sqlite3, sys; print(sqlite3.connect(sys.argv[1])"
                     ".execute('PRAGMA integrity_check').fetchone()[0])\" $file 2>&1 | grep -v '^ok$'; done").stdout.strip()  # fmt: skip
    if wrong:
        return f"a SQLite database of the copy: {' '.join(wrong.split())[-200:]}"
    if case.live:
        return "" if host.sh(sql(PAIRS, "scratch")) == "t" else "an order without its payment"
    if host.sh(sql(COUNT, "scratch")) != before:
        return "other rows than were there"
    return " ".join(host.run(f"diff -rq /root/out/files {SHARED} 2>&1 | grep -v 'Only in /root/out'").stdout.split())[-200:]
