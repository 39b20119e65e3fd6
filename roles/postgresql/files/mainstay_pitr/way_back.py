# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back to a moment, for root: beside the data that is there, which comes back where the moment cannot be reached."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time

from . import moments, programs, repository, status
from .moments import shown
from .programs import Refused

PROGRAM = "/usr/local/sbin/mainstay-pitr"  # which starts this package
AGENT = "/usr/local/bin/mainstay"
# What is being written while a moment is looked for, and the answer of a server that recovers.
ARCHIVED_WITHIN, ASKED_EVERY = 60, 0.5


def foreseen(options):
    """All that can be refused before anything stands still: (moment, backup)."""
    moment, data = moments.moment_of(options.time), programs.settings()["data"]
    backup = moments.chosen(repository.backups()[0], moment)
    for since, until in status.recorded().get("given_up") or ():
        if since < moment < until:
            raise Refused(
                f"{shown(moment)} was given up when PostgreSQL went back to {shown(since)} at {shown(until)}; what was there is in the folder "
                f"that was kept then, {data}.before-{moments.stamped(until)}"
            )
    for since, until in [*(status.recorded().get("gaps") or ()), [status.gap_since(status.recorded()), float("inf")]]:
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
    configured, began = programs.settings(), int(time.time())
    data, unit = configured["data"], configured["unit"]
    beside, aside = f"{data}.restoring", f"{data}.before-{moments.stamped(began)}"
    shutil.rmtree(beside, ignore_errors=True)
    programs.run(["mkdir", "--mode=0700", "--", beside])  # by postgres, whose folder it is in
    try:
        hand_over()
        programs.run(
            [
                *repository.STANZA,
                "restore",
                f"--pg1-path={beside}",
                f"--set={backup['label']}",
                "--type=time",
                f"--target={moments.shown_exactly(moment)}",
                "--target-action=promote",
                # Without the folder beside, which has another name when it is asked for.
                '--recovery-option=restore_command=pgbackrest --stanza=main archive-get %f "%p"',
            ]
        )
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    programs.systemctl("stop", unit)
    with contextlib.suppress(FileNotFoundError):
        os.rename(data, aside)
    os.rename(beside, data)
    try:
        programs.systemctl("start", unit)
        recovered(unit)
    except BaseException as error:
        why = last_words()
        with contextlib.suppress(Refused):
            programs.systemctl("stop", unit)
        if os.path.exists(aside):
            os.rename(data, beside)
            os.rename(aside, data)
            programs.systemctl("start", unit)
            shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, Refused):
            raise Refused(f"PostgreSQL could not get to {shown(moment)}, and runs with the data it had: {why}") from None
        raise
    programs.run([PROGRAM, "noted", str(moment), str(began)])
    kept = f"; what was there before is kept in {aside}" if os.path.exists(aside) else ""
    print(f"PostgreSQL is back at {shown(moment)}, from the {backup['type']} backup of {shown(backup['stop'])}{kept}")


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
        programs.ask("SELECT to_json(pg_current_xact_id()::text)")
        segment = programs.ask("SELECT to_json(pg_walfile_name(pg_create_restore_point('mainstay')))")
        programs.ask("SELECT to_json(pg_switch_wal()::text)")
    except Refused:
        return  # a server that is down, or beyond help
    until = time.monotonic() + ARCHIVED_WITHIN
    while (programs.ask("SELECT to_json(last_archived_wal) FROM pg_stat_archiver") or "") < segment:
        if time.monotonic() > until:
            raise Refused(
                f"PostgreSQL has not handed over its log within {ARCHIVED_WITHIN} s; sudo -u postgres pgbackrest --stanza=main check says why"
            )
        time.sleep(ASKED_EVERY)


def recovered(unit):
    """Wait until the moment is reached and the server takes writes; one that gives up ends its unit."""
    while True:
        try:
            if programs.ask("SELECT to_json(pg_is_in_recovery())") is False:
                return
        except Refused:
            state = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True, check=False).stdout.strip()
            if state not in ("active", "activating", "reloading"):
                raise Refused(f"{unit} is {state}") from None
        time.sleep(ASKED_EVERY)


def last_words():
    """What its log has of an error, the last one."""
    try:
        with open(programs.settings()["log"], encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file.readlines()[-200:] if "FATAL:" in line and "starting up" not in line]
    except OSError as error:
        return str(error)
    return lines[-1][: programs.LONGEST_REASON] if lines else f"see {programs.settings()['log']}"
