# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic, in the few words that are used of it; all of them are in 0.14 of Debian 12. Repository and password go in by its
environment and a file: a command line is in every process list."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os

from . import pipes, sftp
from .settings import BackupError

TAG = "mainstay"
RECORD = "repository"  # the file of the state folder that says which repository is ours
# Words of restic's, and what to do about them.
REMEDIES = (
    (("wrong password",), "backup_password is not the one with which this repository was made"),
    (
        ("Access Denied", "AccessDenied", "InvalidAccessKeyId", "request signature", "access key"),
        "are the keys in backup_environment this bucket's?",
    ),
    (("unknown authority",), "is the authority of its certificate in mainstay_ca_certificates?"),
    (
        ("connection refused", "no such host", "no route to host", "i/o timeout", "handshake timeout"),
        "is the server on, and is its name right?",
    ),
)
# Seconds after which a repository that takes or gives nothing is given up: as long as restic itself tries a request again. Meanwhile an app
# may stand still for its backup.
PATIENCE = 900
# Seconds after which what an app's user runs is given up that gives nothing: the app can stop it. A database of SQLite is copied before it is given.
SILENCE = 3600
# Seconds for a question: longer, so that restic's own words come first where it has any.
ANSWER = 1200
UPKEEP = 5 * 3600  # seconds for a prune or a check, of which nothing is seen meanwhile; both end before their unit is killed
ABSENT = ("Is there a repository at", "does not exist", "no such file or directory")


class Restic:
    def __init__(self, settings, program="/usr/bin/restic"):
        self.settings, self.program = settings, [program, *sftp.options(settings)]
        self.stalled = ""  # why nothing more is sent to it
        self.until = None  # when what is kept has to have been given, by the monotonic clock

    @property
    def env(self):
        """The variables of restic: few of this process's, and those that the repository needs."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "GOGC": "20",  # its garbage collector gives memory back sooner
            "RESTIC_PROGRESS_FPS": "0.001",
            **{key: os.environ[key] for key in ("TMPDIR", "http_proxy", "https_proxy", "no_proxy") if key in os.environ},
            **self.settings.environment,
            "RESTIC_REPOSITORY": self.settings.repository,
            "RESTIC_PASSWORD_FILE": self.settings.password_file,
            "RESTIC_CACHE_DIR": self.settings.cache,
        }

    @contextlib.contextmanager
    def patient(self):
        """Around whatever may stand still: after that nothing more is asked of it."""
        if self.stalled:
            raise BackupError(f"not tried: {self.stalled}")
        try:
            yield
        except pipes.Stalled as error:
            if error.command[: len(self.program)] != self.program:
                raise  # the other program, which is no fault of the repository's
            self.stalled = f"{error}; is the way to the repository open, and does its server work?"
            raise BackupError(self.stalled) from None

    def call(self, *words, patience=None):
        with self.patient():
            return pipes.run([*self.program, *words], env=self.env, patience=patience or ANSWER)

    def open(self):
        """The repository answers, and is the one that it was; one that has never been there is made.

        One that is gone is not made anew: an empty repository in its place would look like a backup.
        """
        place = os.path.join(self.settings.state, RECORD)
        location = hashlib.sha256(self.settings.repository.encode()).hexdigest()
        known = _read(place)
        is_known = known.get("location") == location
        try:
            found = self.identity()
        except BackupError as error:
            if is_known or not any(words in str(error) for words in ABSENT):
                raise BackupError(self.why(error)) from None
            try:
                self.call("init")
                found = self.identity()
            except BackupError as refusal:
                raise BackupError(self.why(refusal)) from None
        if is_known and known["id"] != found:
            raise BackupError(f"the repository is another one than before: {found[:8]} instead of {known['id'][:8]}; is its disk mounted?")
        if not is_known:
            _write(place, {"location": location, "id": found})
        self.call("unlock")  # takes away only what a process of this host has left that is no more

    def why(self, error):
        """Why it cannot be opened, with the remedy where there is a known one."""
        refused = sftp.remedy(self.settings) if sftp.is_meant(self.settings) else ""
        remedy = next((f"; {remedy}" for words, remedy in REMEDIES if any(word in str(error) for word in words)), "")
        return f"the repository cannot be opened: {refused or f'{error}{remedy}'}"

    def identity(self):
        """Asked without a lock: one that a killed upkeep has left is taken away when it is known whose repository this is."""
        return json.loads(self.call("cat", "config", "--no-lock"))["id"]

    def keep(self, source, filename, tags, moment, user=None, env=None, pass_fds=()):
        """What a program writes, kept as one file of a snapshot: {snapshot, bytes, added}."""
        with self.patient():
            said, size = pipes.feed(
                source,
                [*self.keep_command(filename, tags), f"--time={moment}"],
                source_user=user,
                source_env=env,
                sink_env=self.env,
                pass_fds=pass_fds,
                patience=PATIENCE,
                source_patience=SILENCE,
                until=self.until,
            )
        summary = _summary(said)
        return {"snapshot": summary["snapshot_id"], "bytes": size, "added": summary.get("data_added", 0)}

    def keep_bytes(self, content, filename, tags):
        """What is in memory, kept as one file of a snapshot; its name."""
        with self.patient():
            return _summary(pipes.run(self.keep_command(filename, tags), env=self.env, text=content, patience=ANSWER))["snapshot_id"]

    def keep_command(self, filename, tags):
        words = ["backup", "--json", "--stdin", f"--stdin-filename={filename}", f"--host={self.settings.host}"]
        return [*self.program, *words, *(f"--tag={tag}" for tag in (TAG, *tags))]

    def snapshots(self):
        return json.loads(self.call("snapshots", "--json", f"--host={self.settings.host}", f"--tag={TAG}") or "[]") or []

    def dump_command(self, snapshot, filename):
        return [*self.program, "dump", snapshot, f"/{filename}"]

    def text(self, snapshot, filename):
        return self.call("dump", snapshot, f"/{filename}")

    def file(self, snapshot, filename, target):
        """One kept file into an open file, whole."""
        with self.patient():
            pipes.run(self.dump_command(snapshot, filename), env=self.env, stdout=target, patience=PATIENCE)

    def send(self, snapshot, filename, sink, **sink_options):
        """One kept file into a program; see pipes.feed."""
        with self.patient():
            pipes.feed(self.dump_command(snapshot, filename), sink, source_env=self.env, source_patience=PATIENCE, **sink_options)

    def forget(self, keep):
        """Retention: the newest of so many days, weeks and months of each part, and everything of the last two days."""
        rules = [f"--keep-{name}={number}" for name, number in keep.items() if number]
        self.call(
            "forget",
            "--prune",
            "--group-by=host,paths",
            f"--host={self.settings.host}",
            f"--tag={TAG}",
            "--keep-within=2d",
            *rules,
            patience=UPKEEP,
        )

    def check(self):
        self.call("check", "--read-data-subset=5%", patience=UPKEEP)


def _summary(said):
    for line in said.splitlines():
        if '"summary"' in line:
            return json.loads(line)
    raise BackupError("restic ended well and named no snapshot")


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return {}


def _write(path, value):
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(f"{path}.new", path)
