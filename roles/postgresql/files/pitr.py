# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Point-in-time recovery of this host's PostgreSQL: its backups by pgBackRest, whether its log is kept, and the way back to a moment.

``backup``, ``watch`` and ``ended`` run as postgres in units of their own and leave a record; ``open``, ``look`` and ``restore`` are root's,
and what root leaves on record is written by postgres, too, in whose folder it lies.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time

PROGRAM = "/usr/local/sbin/mainstay-pitr"  # which starts this file
CONFIG = "/etc/pgbackrest/mainstay.json"
RECORD = "/var/lib/mainstay/pitr/status.json"
STANZA = ["pgbackrest", "--stanza=main"]
DAY = 86400
# A full backup each week; half a day less, so that one which was late does not move the next by a day.
FULL_EVERY = 6.5 * DAY
# What is being written while a moment is looked for, and the answer of a server that recovers.
ARCHIVED_WITHIN, ASKED_EVERY = 60, 0.5
LONGEST_REASON = 300
SEGMENT = re.compile(r"/([0-9A-F]{24})-[0-9a-f]+(?:\.\w+)?$")
MOST_GAPS = 100


class Refused(Exception):
    """A sentence for whoever asked."""


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="mainstay-pitr", description="Point-in-time recovery of PostgreSQL")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("open", "backup", "watch", "ended"):
        verbs.add_parser(verb)
    for verb in ("look", "restore"):
        verbs.add_parser(verb).add_argument("--time", required=True, help="a moment with its zone, such as 2026-11-30 10:15:00+00")
    noted = verbs.add_parser("noted", help="the moments that are given up by going back from one to another")
    noted.add_argument("since", type=float)
    noted.add_argument("until", type=float)
    options = parser.parse_args(arguments)
    try:
        return VERBS[options.verb](options) or 0
    except (Refused, OSError) as error:
        print(f"mainstay-pitr: {error}", file=sys.stderr)
        return 1


# --- programs --------------------------------------------------------------------------------------------------------


def run(command, timeout=None):
    """What a program of postgres' says; its failure is the end, with its own words."""
    words = ["runuser", "--user=postgres", "--", *command] if os.geteuid() == 0 else command
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=timeout, check=False, cwd="/")
    except subprocess.TimeoutExpired:
        raise Refused(f"{command[0]} has not ended after {timeout} s") from None
    if done.returncode:
        said = [line.strip() for line in f"{done.stderr}\n{done.stdout}".splitlines() if line.strip()]
        errors = [line for line in said if "ERROR" in line] or said[:1] or [f"exit status {done.returncode}"]
        raise Refused(f"{command[0]}: {' '.join(errors)[:LONGEST_REASON]}")
    return done.stdout


def ask(query):
    """The one JSON value that a query gives."""
    port = settings()["port"]
    return json.loads(
        run(["psql", "-XAtqw", "-d", "postgres", "-p", str(port), "-v", "ON_ERROR_STOP=1", "-c", query], timeout=20) or "null"
    )


def systemctl(*words):
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise Refused(f"systemctl {' '.join(words)}: {done.stderr.strip()[:LONGEST_REASON]}")


def settings():
    with open(CONFIG, encoding="utf-8") as file:
        return json.load(file)


def backups(info=None):
    """Those in the repository that are whole, the oldest first, each {label, type, start, stop, size, segment}, and the last segment of the log."""
    info = json.loads(run([*STANZA, "info", "--output=json"], timeout=300)) if info is None else info
    stanza = info[0] if info else {}
    if not stanza.get("backup") and (stanza.get("status") or {}).get("code") not in (0, 2):
        raise Refused(f"pgbackrest: {(stanza.get('status') or {}).get('message') or 'the repository holds nothing of this server'}")
    kept = [
        {
            "label": item["label"],
            "type": item["type"],
            "start": item["timestamp"]["start"],
            "stop": item["timestamp"]["stop"],
            "size": item["info"]["size"],
            "segment": (item.get("archive") or {}).get("stop"),
        }
        for item in stanza.get("backup") or ()
        if not item.get("error")
    ]
    newest = max((item.get("max") or "" for item in stanza.get("archive") or ()), default="")
    return sorted(kept, key=lambda item: item["stop"]), newest


# --- what is kept ----------------------------------------------------------------------------------------------------


def open_repository(options):
    """Make what pgBackRest calls a stanza, and prove that the log arrives."""
    run([*STANZA, "stanza-create"], timeout=300)
    run([*STANZA, "check"], timeout=300)


def record(**facts):
    told = recorded()
    told.update(facts)
    temporary = f"{RECORD}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(told, file)
    os.chmod(temporary, 0o644)
    os.replace(temporary, RECORD)


def recorded():
    try:
        with open(RECORD, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def backup(options):
    """A full one each week, and else what differs from it."""
    began = time.time()
    record(running=began)
    try:
        full = max((item["stop"] for item in backups()[0] if item["type"] == "full"), default=0)
        run([*STANZA, "backup", f"--type={'full' if began - full > FULL_EVERY else 'diff'}"])
        kept = backups()[0]
    except Refused as error:
        record(running=None, last={"ok": False, "time": time.time(), "reason": str(error)})
        raise
    told = recorded()
    good = {"ok": True, "time": time.time(), "seconds": time.time() - began, "bytes": kept[-1]["size"], "type": kept[-1]["type"]}
    gaps, mended = told.get("gaps") or [], told.get("gap") and told["gap"] < began
    if mended:
        gaps = [*gaps, [gap_since(told), kept[-1]["stop"]]]
    gaps = [gap for gap in gaps if gap[1] > kept[0]["stop"]][-MOST_GAPS:]
    record(
        running=None, last=good, last_good=good, oldest=kept[0]["stop"], gaps=gaps, **({"gap": None, "gap_since": None} if mended else {})
    )
    watch(options)


def gap_since(told):
    """From when on some of the log is missing, as long as no backup was made since; None where none is."""
    return (told.get("gap_since") or (told.get("last_good") or {}).get("time") or 0) if told.get("gap") else None


def ended(options):
    """One that was killed could not tell so itself."""
    if recorded().get("running"):
        why = "killed" if os.environ.get("SERVICE_RESULT") != "oom-kill" else "out of memory"
        record(running=None, last={"ok": False, "time": time.time(), "reason": why})


def noted(options):
    record(given_up=[*(recorded().get("given_up") or ())[-99:], [options.since, options.until]])


def watch(options):
    """Whether the log arrives: what the server says of it, and what is there."""
    try:
        server = ask(
            "SELECT json_build_object('failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),"
            " 'since', extract(epoch FROM last_archived_time), 'segment', last_archived_wal,"
            " 'bytes', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')) FROM pg_stat_archiver"
        )
        kept, newest = backups()
        hole = missing(segments(), kept[-1]["segment"], server["bytes"]) if kept else None
    except Refused as error:
        record(watch={"ok": False, "time": time.time(), "reason": str(error)})
        return
    told = recorded()
    # Some of the repository may be away for a moment; what is missing at two looks is gone.
    gap = lost(server["segment"], newest) or (hole is not None and hole == told.get("hole"))
    why = "PostgreSQL cannot hand over its log" if server["failing"] else ""
    record(
        watch={"ok": not why, "time": time.time(), "reason": why, "since": server["since"]},
        oldest=kept[0]["stop"] if kept else None,
        hole=hole,
        # Until when all had arrived at a look before: what is dropped is younger.
        **({"gap": time.time(), "gap_since": gap_since(told) or told.get("archived")} if gap else {}),
        **({"archived": server["since"]} if not gap and hole is None else {}),
    )


def lost(handed_over, newest):
    """Whether pgBackRest has dropped what it took from PostgreSQL: the repository was away until the queue was at its limit."""
    segment = (handed_over or "")[:24]
    return len(segment) == 24 and segment[8:] > (newest or "")[8:] and segment[:8] == (newest or segment)[:8]


def segments():
    """The segments of the log that are in the repository."""
    found = json.loads(run([*STANZA, "repo-ls", "archive/main", "--recurse", "--output=json"], timeout=300))
    return [match[1] for name in found if (match := SEGMENT.search(name))]


def missing(there, first, size):
    """The number of the first segment that is not there, though one after it is; None where the log goes on since the newest backup.

    It may have been dropped while nobody could look, and what came later is there. The server hands over one after the other.
    """
    if not first:
        return None
    timeline, each = first[:8], (1 << 32) // size
    numbers = {int(name[8:16], 16) * each + int(name[16:], 16) for name in there if name[:8] == timeline and name >= first}
    begin = int(first[8:16], 16) * each + int(first[16:24], 16)
    return next((number for number in range(begin, max(numbers)) if number not in numbers), None) if numbers else None


# --- the way back ----------------------------------------------------------------------------------------------------


def moment_of(text, now=None):
    """The second of a moment that is written with its zone."""
    remedy = "write a time with its zone, such as 2026-11-30 10:15:00+00"
    wanted = text.strip().replace("T", " ")
    wanted = f"{wanted[:-1].strip()}+00:00" if wanted.upper().endswith("Z") else wanted
    wanted = f"{wanted}:00" if len(wanted) > 3 and wanted[-3] in "+-" and wanted[-2:].isdigit() and ":" in wanted else wanted
    try:
        found = datetime.datetime.fromisoformat(wanted)
    except ValueError:
        raise Refused(f"{text!r} is no time; {remedy}") from None
    if found.tzinfo is None:
        raise Refused(f"{text!r} does not say its zone; {remedy}")
    if found.timestamp() > (time.time() if now is None else now):
        raise Refused(f"{text!r} is in the future; {remedy}")
    return found.timestamp()


def chosen(kept, moment):
    """The newest backup that was whole before a moment."""
    before = [item for item in kept if item["stop"] < moment]
    if not before:
        first = f"the oldest backup is of {shown(kept[0]['stop'])}" if kept else "there is no backup yet"
        raise Refused(f"nothing leads back to {shown(moment)}: {first}")
    return before[-1]


def shown(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S+00")


def foreseen(options):
    """All that can be refused before anything stands still: (moment, backup)."""
    moment, data = moment_of(options.time), settings()["data"]
    backup = chosen(backups()[0], moment)
    for since, until in recorded().get("given_up") or ():
        if since < moment < until:
            raise Refused(
                f"{shown(moment)} was given up when PostgreSQL went back to {shown(since)} at {shown(until)}; what was there is in the folder "
                f"that was kept then, {data}.before-{stamped(until)}"
            )
    for since, until in [*(recorded().get("gaps") or ()), [gap_since(recorded()), float("inf")]]:
        if since is not None and since < moment < until:
            after = (
                f" and before the backup of {shown(until)}"
                if until != float("inf")
                else "; sudo systemctl start mainstay-pitr makes a backup"
            )
            raise Refused(f"{shown(moment)} cannot be reached: some of PostgreSQL's log was dropped after {shown(since)}{after}")
    if os.path.islink(data) or os.path.ismount(data):
        raise Refused(f"{data} is a link or a mount of its own, and cannot be put aside by a new name; restore it by hand")
    if any(os.scandir(f"{data}/pg_tblspc")) if os.path.isdir(f"{data}/pg_tblspc") else False:
        raise Refused("this server has tablespaces, which have one place each; restore it by hand")
    free, needed = shutil.disk_usage(os.path.dirname(data)).free, int(backup["size"] * 1.1) + (1 << 28)
    if free < needed:
        raise Refused(
            f"{os.path.dirname(data)} has {free >> 20} MB free, and {needed >> 20} MB are needed beside the data that is kept; make room there"
        )
    return moment, backup


def look(options):
    moment, backup = foreseen(options)
    print(f"PostgreSQL would go back to {shown(moment)}, from the {backup['type']} backup of {shown(backup['stop'])}")


def restore(options):
    """Beside the data that is there, which runs until that is whole, and comes back where the moment cannot be reached."""
    moment, backup = foreseen(options)
    configured, began = settings(), int(time.time())
    data, unit = configured["data"], configured["unit"]
    beside, aside = f"{data}.restoring", f"{data}.before-{stamped(began)}"
    shutil.rmtree(beside, ignore_errors=True)
    run(["mkdir", "--mode=0700", "--", beside])  # by postgres, whose folder it is in
    try:
        hand_over()
        run(
            [
                *STANZA,
                "restore",
                f"--pg1-path={beside}",
                f"--set={backup['label']}",
                "--type=time",
                f"--target={shown_exactly(moment)}",
                "--target-action=promote",
                # Without the folder beside, which has another name when it is asked for.
                '--recovery-option=restore_command=pgbackrest --stanza=main archive-get %f "%p"',
            ]
        )
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    systemctl("stop", unit)
    with contextlib.suppress(FileNotFoundError):
        os.rename(data, aside)
    os.rename(beside, data)
    try:
        systemctl("start", unit)
        recovered(unit)
    except BaseException as error:
        why = last_words()
        with contextlib.suppress(Refused):
            systemctl("stop", unit)
        if os.path.exists(aside):
            os.rename(data, beside)
            os.rename(aside, data)
            systemctl("start", unit)
            shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, Refused):
            raise Refused(f"PostgreSQL could not get to {shown(moment)}, and runs with the data it had: {why}") from None
        raise
    run([PROGRAM, "noted", str(moment), str(began)])
    kept = f"; what was there before is kept in {aside}" if os.path.exists(aside) else ""
    print(f"PostgreSQL is back at {shown(moment)}, from the {backup['type']} backup of {shown(backup['stop'])}{kept}")


def stamped(moment):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


def shown_exactly(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00")


AGENT = "/usr/local/bin/mainstay"


def quietly(action):
    """With the agent's hands off: a server that recovers for an hour would seem to hang."""

    def acted(options):
        if not os.path.exists(AGENT) or json.loads(run_as_root(AGENT, "maintenance", "--json") or "{}").get("on"):
            return action(options)
        run_as_root(AGENT, "maintenance", "on", "--for", "12h", "--reason", "PostgreSQL goes back to a moment")
        try:
            return action(options)
        finally:
            run_as_root(AGENT, "maintenance", "off")

    return acted


def run_as_root(*command):
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout


def hand_over():
    """The log up to now, where the server runs: without it the last minutes of what is kept would be missing."""
    try:
        # Recovery stops before the first commit that is later than the moment, and gives up where there is none: here is one.
        ask("SELECT to_json(pg_current_xact_id()::text)")
        segment = ask("SELECT to_json(pg_walfile_name(pg_create_restore_point('mainstay')))")
        ask("SELECT to_json(pg_switch_wal()::text)")
    except Refused:
        return  # a server that is down, or beyond help
    until = time.monotonic() + ARCHIVED_WITHIN
    while (ask("SELECT to_json(last_archived_wal) FROM pg_stat_archiver") or "") < segment:
        if time.monotonic() > until:
            raise Refused(
                f"PostgreSQL has not handed over its log within {ARCHIVED_WITHIN} s; sudo -u postgres pgbackrest --stanza=main check says why"
            )
        time.sleep(ASKED_EVERY)


def recovered(unit):
    """Wait until the moment is reached and the server takes writes; one that gives up ends its unit."""
    while True:
        try:
            if ask("SELECT to_json(pg_is_in_recovery())") is False:
                return
        except Refused:
            state = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True, check=False).stdout.strip()
            if state not in ("active", "activating", "reloading"):
                raise Refused(f"{unit} is {state}") from None
        time.sleep(ASKED_EVERY)


def last_words():
    """What its log has of an error, the last one."""
    try:
        with open(settings()["log"], encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file.readlines()[-200:] if "FATAL:" in line and "starting up" not in line]
    except OSError as error:
        return str(error)
    return lines[-1][:LONGEST_REASON] if lines else f"see {settings()['log']}"


VERBS = {
    "open": open_repository,
    "backup": backup,
    "watch": watch,
    "ended": ended,
    "noted": noted,
    "look": look,
    "restore": quietly(restore),
}

if __name__ == "__main__":
    sys.exit(main())
