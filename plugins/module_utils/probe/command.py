# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes by a command."""

from __future__ import annotations

import os
import re

from .connection import BODY_LIMIT, Failed, excerpt, in_words
from .web import status_matches


def try_command(spec, limit, seen):
    import signal
    import subprocess

    from ..output import written

    try:
        process = subprocess.Popen(
            spec["command"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise Failed(f"{spec['command'][0]}: " + ("no such program" if missing else in_words(error, limit)[0]), "missing") from None
    output = b""
    try:
        for _stream, chunk in written(process, [process.stdout], limit.end):
            output = (output + chunk)[:BODY_LIMIT]
    except subprocess.TimeoutExpired:
        raise limit.late("end") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        seen.body = output.decode("utf-8", "replace")
    seen.answered = True
    seen.status = process.returncode
    if process.returncode < 0:
        raise Failed(f"ended by signal {-process.returncode}: {excerpt(seen.body)}".rstrip(": "), "status")
    if not status_matches(process.returncode, spec["status"]):
        wanted = ", ".join(str(item) for item in spec["status"])
        raise Failed(f"exit status {process.returncode}, expected {wanted}: {excerpt(seen.body)}".rstrip(": "), "status")
    if spec["body_regex"] and not re.search(spec["body_regex"], seen.body):
        raise Failed(f"its output does not match {spec['body_regex']!r}: {excerpt(seen.body) or 'it is empty'}", "content")
