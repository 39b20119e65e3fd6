# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that are run, as postgres where it is not root's, and what the role has written for them."""

from __future__ import annotations

import json
import os
import subprocess

CONFIG = "/etc/pgbackrest/mainstay.json"
LONGEST_REASON = 300


class Refused(Exception):
    """A sentence for whoever asked."""


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
