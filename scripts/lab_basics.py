# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all of scripts/lab needs: where its state is, how it tells and runs, waits and refuses."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = Path(os.environ.get("MAINSTAY_LAB_DIR") or ROOT / ".cache/lab").resolve()
CLONE = hashlib.sha256(str(STATE).encode()).hexdigest()[:8]
LABEL = "org.mainstay.lab"
RELEASES = {
    "bookworm": "Debian 12",
    "trixie": "Debian 13",
    "jammy": "Ubuntu 22.04",
    "noble": "Ubuntu 24.04",
    "resolute": "Ubuntu 26.04",
}
NO_CGROUP_V1 = ("resolute",)


class LabError(Exception):
    """Something the user has to know, with its remedy."""


def say(text: str) -> None:
    """Progress goes to stderr; stdout holds results only."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(*command: str, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run a command and capture what it says."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if check and result.returncode:
        said = (result.stderr or result.stdout).strip()
        raise LabError(f"`{shlex.join(command)}` failed ({result.returncode}): {said}")
    return result


def wait_for(what: str, seconds: float, ready, hint=lambda: "") -> None:
    """Call ready() until it is true."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds:.0f} s. {hint()}")
        time.sleep(0.2)


def empty(directory: Path, but: str = "") -> None:
    """Remove what is in a directory, which itself may be a mount point."""
    for entry in directory.iterdir():
        if entry.name != but:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


@contextlib.contextmanager
def locked(path: Path):
    """Hold an exclusive lock, across processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log, for an error message."""
    with contextlib.suppress(OSError):
        return "\n".join(["", *path.read_text(errors="replace").splitlines()[-lines:]])
    return ""


def need(program: str, package: str, remedy: str = "") -> None:
    """Install a Debian package for a program that is missing."""
    if shutil.which(program):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise LabError(f"`{program}` is missing. Install it (Debian's package is {package}){remedy}.")
    say(f"installing {package}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with no_service_starts():
        command = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package)
        if run(*command, check=False, env=environment).returncode:
            run("apt-get", "update", "--quiet", env=environment)
            run(*command, env=environment)


@contextlib.contextmanager
def no_service_starts():
    """Keep a package's scripts from starting daemons; what the lab needs, it starts itself."""
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            policy.unlink()


def add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644, owner: int = 0) -> None:
    """Put a file into a tar archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, time.time()
    entry.uid = entry.gid = owner
    archive.addfile(entry, io.BytesIO(content))


def is_ubuntu(release: str) -> bool:
    return RELEASES[release].startswith("Ubuntu")
