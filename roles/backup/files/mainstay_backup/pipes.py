# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One program's output into another, where the second sees the end of it only when the first has ended well.

A shell's pipe closes when the first program dies, and the second keeps half of a dump for a whole one.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time

from .settings import BackupError

CHUNK = 1 << 20
PATIENCE = 20  # seconds for a program that was asked to end
WORDS = 600  # characters of a program's complaint that are kept
TAIL = 8192  # bytes of its output in which they are looked for


class Stalled(BackupError):
    """A program that neither takes nor gives anything any more, and does not end."""

    def __init__(self, command, patience, done):
        super().__init__(f"{_name(command)} has {done} nothing for {patience:g} s and did not end")
        self.command = command


def as_user(user):
    """Keywords for subprocess: the user with his own groups and none of root's."""
    import grp
    import pwd

    if user in (None, "root"):
        return {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise BackupError(f"there is no user {user} on this host") from None
    groups = [gid for gid in os.getgrouplist(user, entry.pw_gid) if _exists(grp, gid)]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


def _exists(grp, gid):
    try:
        return bool(grp.getgrgid(gid))
    except KeyError:
        return False


def complaint(name, status, file):
    """What a program has said, as an error."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
    return BackupError(f"{name} ended with {status}: {words(file.read())}")


def words(said):
    """The end of what a program has said, as one line for a terminal: programs repeat names that apps have chosen."""
    text = "".join(character if character.isprintable() else " " for character in said.decode(errors="replace"))
    return " ".join(text.split())[-WORDS:] or "it said nothing"


def run(command, user=None, stdin=None, stdout=None, env=None, pass_fds=(), text=None, told=False, patience=None):
    """Run a program to its end, with `text` or bytes for its input; its output as text, unless `stdout` is a file; with `told` it is part of its complaint.

    :param patience: seconds for it, of which a file that has grown meanwhile gives it as many again; for ever without it.
    :raises BackupError: when it ends with another status than 0, with its own words; Stalled when the patience is over.
    """
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            command,
            stdin=stdin if stdin is not None else (subprocess.DEVNULL if text is None else subprocess.PIPE),
            stdout=errors if told else stdout or subprocess.PIPE,
            stderr=errors,
            cwd="/",
            env=env,
            pass_fds=pass_fds,
            **as_user(user),
        ) as process:
            try:
                said = _said(process, text.encode() if isinstance(text, str) else text, stdout, patience)
            except BaseException:
                _stop(process)
                raise
        if process.returncode:
            raise complaint(_name(command), process.returncode, errors)
    return None if stdout or told else said.decode(errors="replace")


def _said(process, content, file, patience):
    size = 0
    while True:
        try:
            return process.communicate(content, patience)[0]
        except subprocess.TimeoutExpired:
            content, before, size = None, size, os.fstat(file.fileno()).st_size if file else 0
            if size == before:
                raise Stalled(process.args, patience, "given") from None


def feed(
    source,
    sink,
    source_user=None,
    sink_user=None,
    source_env=None,
    sink_env=None,
    pass_fds=(),
    sink_fds=(),
    patience=None,
    source_patience=None,
    until=None,
):
    """Run both; what the sink printed, and the bytes that went through.

    The sink's input is closed when the source has ended with 0, and not before: else the sink is stopped and takes nothing for whole.

    :param patience: seconds for which the sink may take nothing, or work on after its input has ended; for ever without it.
    :param source_patience: seconds for which the source may give nothing, or work on after its output has ended; for ever without it.
    :param until: the moment, by the monotonic clock, at which the source has to have given everything.
    :raises BackupError: when either ends with another status than 0, or the source too late; Stalled when the patience is over.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as sink_errors, tempfile.TemporaryFile() as source_errors:
        consumer = subprocess.Popen(
            sink,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=sink_errors,
            cwd="/",
            env=sink_env,
            pass_fds=sink_fds,
            start_new_session=True,
            **as_user(sink_user),
        )
        producer = None
        try:
            producer = subprocess.Popen(
                source,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=source_errors,
                cwd="/",
                env=source_env,
                pass_fds=pass_fds,
                start_new_session=True,
                **as_user(source_user),
            )
            size = _pour(producer, consumer, patience, source_patience, until)
            producer.stdout.close()  # a source whose sink is gone ends with SIGPIPE
            status = _wait(producer, source_patience, "given")
            if size is not None and status:
                _stop(consumer)
                raise complaint(_name(source), status, source_errors)
            consumer.stdin.close() if size is not None else None
            ended = _wait(consumer, patience, "taken")
            if ended:
                raise complaint(_name(sink), ended, sink_errors)
            if size is None:
                raise BackupError(f"{_name(sink)} ended before it had read everything")
        except BaseException:
            _stop(consumer)
            if producer:
                producer.stdout.close()
                _stop(producer)
            raise
        said.seek(0)
        return said.read().decode(errors="replace"), size


def _pour(producer, consumer, patience, source_patience, until):
    """The number of bytes that went through, or None when the consumer has gone."""
    source, sink, size = producer.stdout.fileno(), consumer.stdin.fileno(), 0
    os.set_blocking(sink, False)
    while True:
        if not select.select([source], [], [], source_patience)[0]:
            raise Stalled(producer.args, source_patience, "given")
        if until is not None and time.monotonic() > until:
            raise BackupError(f"{_name(producer.args)} had more to give than there was time for")
        if not (left := memoryview(os.read(source, CHUNK))):
            return size
        size += len(left)
        while left:
            if not select.select([], [sink], [], patience)[1]:
                raise Stalled(consumer.args, patience, "taken")
            try:
                left = left[os.write(sink, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return None


def _wait(process, patience, done):
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        raise Stalled(process.args, patience, done) from None


def _stop(process):
    """SIGINT first, with which restic takes its lock away; its input stays open until it has gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _name(command):
    program = command[0].rsplit("/", 1)[-1]
    return command[2].rsplit("/", 1)[-1] if program.startswith("python") else program
