# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of an app that are on a host's disk: which are whole, which are live, what is sealed, and what goes.

A marker is what makes a release count. It is written last, so that it survives a power cut only with all the rest, and removed first.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import subprocess

from ..stack import containers
from ..stack.refusal import ReleaseError
from . import identity, sealing

FREE_INODES = 20000
# Who may read the files of static routes, besides the app.
WEB_USER = "www-data"
# Where an earlier version kept what is in CACHE now; it was the app's user's.
FORMER_CACHES = ("cache", "repository.git")


class Shelf:
    """The releases of one job's app, and the environments they share."""

    def __init__(self, job):
        self.job = job
        self.known = frozenset()  # files of a release that are also those of an environment, which is sealed

    # --- what is there ---

    def has(self, marker):
        """Whether the release is finished and has a marker; while it is built, a marker in it is anybody's."""
        return self.is_finished(self.job.path) and os.path.isfile(os.path.join(self.job.path, marker))

    def is_finished(self, path):
        with contextlib.suppress(FileNotFoundError, KeyError):
            return os.lstat(path).st_uid != pwd.getpwnam(self.job.build_user).pw_uid
        return False

    def releases(self):
        """All folders of releases; complete ones with the time they were completed, others with None."""
        found = {}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(f"{self.job.root}/releases"):
                if entry.is_dir(follow_symlinks=False):
                    found[entry.name] = None
                    with contextlib.suppress(FileNotFoundError):
                        marker = os.stat(os.path.join(entry.path, identity.COMPLETE), follow_symlinks=False)
                        found[entry.name] = marker.st_mtime_ns if self.is_finished(entry.path) else None
        return found

    def live(self):
        """The releases that run, or to which a rollback returns."""
        found = set()
        for link in (
            *(f"{self.job.root}/{name}" for name in ("current", "previous")),
            *glob.glob(f"{self.job.root}/instances/*"),
        ):
            with contextlib.suppress(OSError):
                found.add(os.path.basename(os.readlink(link)))
        return found

    def check_space(self):
        place = self.job.root
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        disk = os.statvfs(place)
        free = disk.f_bavail * disk.f_frsize >> 20
        needed = max(self.job.params["minimum_free_mb"], self.job.params["archive_bytes"] * 4 >> 20)
        if free < needed:
            raise ReleaseError(
                f"{place} has {free} MB free and a release needs {needed} MB. Free some, keep fewer releases "
                "(backend_keep_releases), or lower minimum_free_mb (backend_minimum_free_mb)."
            )
        if disk.f_files and disk.f_favail < FREE_INODES:
            raise ReleaseError(f"{place} has {disk.f_favail} inodes free and a release needs {FREE_INODES}. Remove small files.")

    # --- what is made to count ---

    def seal(self, place, owners):
        """Make what was built root's, for the app to read."""
        reader = None
        with contextlib.suppress(KeyError):
            reader = pwd.getpwnam(WEB_USER).pw_uid
        group = pwd.getpwnam(self.job.user).pw_gid
        try:
            sealing.Seal(owners, group, self.known, self.job.params["public"], reader).tree(place)
        except RecursionError:
            raise ReleaseError("its folders lie too deep in each other.") from None

    def sync(self, folder):
        subprocess.run(["sync", "--file-system", folder], check=True)

    def mark(self, folder, name, facts):
        """Write a marker so that it is on the disk, whole, or not there."""
        new = os.path.join(folder, f"{name}.new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o644)
            json.dump({"id": self.job.params["id"], "source": self.job.params["source"], **facts}, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, os.path.join(folder, name))
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)

    # --- what goes ---

    def prune(self):
        """Remove half-built and surplus releases, and environments that no release needs; seal what an earlier version left open."""
        found, protected = self.releases(), {self.job.params["id"], *self.live()}
        complete = {name: when for name, when in found.items() if when is not None}
        removed = [name for name in found if found[name] is None and name not in protected]
        removed += identity.expired(complete, self.job.params["keep"], protected)
        for name in removed:
            self.remove(name)
        needed = set()
        for name in set(complete) - set(removed):
            path = f"{self.job.root}/releases/{name}"
            owner = os.lstat(path).st_uid
            if owner:
                self.seal(path, {owner, 0})
            with (
                contextlib.suppress(OSError, ValueError),
                open(f"{path}/{identity.COMPLETE}", encoding="utf-8") as file,
            ):
                needed.add(json.load(file).get("environment"))
        for name in set(os.listdir(f"{self.job.root}/environments")) - needed:
            sealing.remove(f"{self.job.root}/environments/{name}")
        for name in FORMER_CACHES:
            sealing.remove(f"{self.job.root}/{name}")
        return removed

    def remove(self, name):
        """Remove a release, and first what makes it count, so that one that is cut off is removed by the next run."""
        path = f"{self.job.root}/releases/{name}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}/{identity.COMPLETE}")
        if self.is_finished(path) and os.path.isfile(f"{path}/{containers.RELEASE_FILE}"):
            # Refused where the image was never copied, and while somebody's own container needs it.
            command = ["/usr/bin/podman", "image", "rm", containers.image_name(self.job.app, name)]
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        sealing.remove(path)
