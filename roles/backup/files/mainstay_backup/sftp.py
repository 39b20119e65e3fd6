# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to a repository by SFTP: a key of the host's own, an ssh that waits for nobody, and what to do where the server lets nobody in."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from urllib.parse import urlsplit

from . import pipes
from .settings import KNOWN_HOSTS, SSH_KEY, BackupError

SSH, KEYGEN, KEYSCAN = "/usr/bin/ssh", "/usr/bin/ssh-keygen", "/usr/bin/ssh-keyscan"
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
PATIENCE = 90  # seconds for a look at the server
OPTIONS = (
    "BatchMode=yes",  # nobody is there to answer
    "ConnectTimeout=30",
    "ServerAliveInterval=15",  # a network that is gone ends it after a minute
    "ServerAliveCountMax=4",
    "StrictHostKeyChecking=yes",
    f"UserKnownHostsFile={KNOWN_HOSTS} /root/.ssh/known_hosts",
    "UpdateHostKeys=no",
    f"IdentityFile={SSH_KEY}",
)


def is_meant(settings):
    return settings.repository.startswith("sftp:")


def command(repository):
    """The words that open SFTP's subsystem on the repository's server; both of restic's ways to write it are understood."""
    if repository.startswith("sftp://"):
        place = urlsplit(repository)
        host = (place.username + "@" if place.username else "") + (place.hostname or "")
        port = ["-p", str(place.port)] if place.port else []
    else:
        host, port = repository[len("sftp:") :].split(":", 1)[0], []
    return [SSH, *(word for option in OPTIONS for word in ("-o", option)), *port, "-s", "--", host, "sftp"]


def options(settings):
    """Options of restic."""
    return ["-o", f"sftp.command={shlex.join(command(settings.repository))}"] if is_meant(settings) else []


def make_key(path=SSH_KEY):
    """A key that the host has for this alone, where nobody has given it one."""
    if not os.path.exists(path):
        pipes.run([KEYGEN, "-q", "-t", "ed25519", "-N", "", "-C", f"mainstay-backup@{socket.gethostname()}", "-f", path], env=ENV)


def public_key(path=SSH_KEY):
    return pipes.run([KEYGEN, "-y", "-f", path], env=ENV).strip()


def look(settings):
    """The server's answer to a session that asks for nothing: how ssh ended, and its words."""
    try:
        found = subprocess.run(
            command(settings.repository),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=ENV,
            cwd="/",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 255, "it does not answer"
    return found.returncode, pipes.words(found.stderr)


def remedy(settings):
    """Why the server lets this host not in, and what to do about it; empty where it does."""
    status, said = look(settings)
    if status == 0:
        return ""
    if "Host key verification failed" in said:
        return _unknown(settings, "has changed" in said.lower())
    if "Permission denied" in said:
        user = command(settings.repository)[-2].rpartition("@")[0] or "root"
        return f"the server refuses this host's key ({said}): add this line to the authorized_keys of {user} there: {public_key()}"
    return f"the server cannot be reached by ssh ({said}): is it on, is the name right, and does its firewall let this host in?"


def _unknown(settings, is_another):
    """The line to add, for a person to compare: whoever sits in between would show his own."""
    first = "the server shows another host key than the one that is known" if is_another else "the server's host key is not known"
    shown = scan(settings)
    if not shown:
        return f"{first}: add its line for known_hosts to backup_host_keys"
    fingerprint = pipes.run([KEYGEN, "-l", "-f", "-"], env=ENV, text=shown).split()[1]
    return (
        f'{first}. It shows "{shown}" now. Where its console says {fingerprint}, too (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), '
        "write that line into backup_host_keys"
    )


def scan(settings):
    """The line for known_hosts that the server shows to whoever asks, or nothing."""
    try:
        words = dict(
            line.split(" ", 1) for line in pipes.run([SSH, "-G", *command(settings.repository)[1:]], env=ENV).splitlines() if " " in line
        )
        found = pipes.run([KEYSCAN, "-T", "15", "-t", "ed25519", "-p", words["port"], words["hostname"]], env=ENV)
    except (BackupError, KeyError):
        return ""
    lines = [line for line in found.splitlines() if line and not line.startswith("#")]
    return lines[0] if lines else ""
