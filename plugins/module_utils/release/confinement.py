# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command of a build or a migration is confined, and what its end means. Decisions, no effects."""

from __future__ import annotations

import re
import shlex

from ..stack import remedies, sandbox

CACHE = "/var/cache/mainstay"

# What holds for every command of a build or a migration, whatever it is.
CONFINEMENT = (
    *sandbox.COMMON,
    sandbox.SHARED_MEMORY,
    "UMask=0027",
    "OOMPolicy=kill",
    "OOMScoreAdjust=500",
    "CPUWeight=50",
    "IOWeight=50",
    "Nice=5",
    # What a command has left in the background ends with it.
    "TimeoutStopSec=5",
)
# GNU tar as it was mended for CVE-2025-45582 (seen in Ubuntu 26.04) opens files with openat2, which systemd closes altogether where no
# file may be made setuid. tar itself makes none for anybody but root, and sealing would clear it.
UNPACKING = ("RestrictSUIDSGID=no",)


def build(app, user, group, places):
    """What a command of a build may do: it sees its own places and its caches, and of all apps nothing, not even of its own.

    It has a user of its own: no process of the app can look into it, change what it makes, or take what it leaves running.
    The group is the app's, who is to read what is made; so what else the group may read is hidden.
    """
    return [
        f"User={user}",
        f"Group={group}",
        "SupplementaryGroups=",
        "TemporaryFileSystem=/srv:ro",
        f"BindPaths={' '.join(places)}",
        f"InaccessiblePaths=-/etc/mainstay -/var/lib/{app} -/run/{app} {' '.join(f'-{path}' for path in sandbox.HIDDEN)}",
        f"CacheDirectory=mainstay/{app}",
        "CacheDirectoryMode=0700",
        *CONFINEMENT,
    ]


def migration(app, user, root):
    """What a migration may do: as the app's own processes, to whom the release is closed, it writes what they write."""
    return [
        f"User={user}",
        f"Group={user}",
        f"ReadWritePaths={root}/shared -/run/{app}",
        f"StateDirectory={app}",
        "StateDirectoryMode=0750",
        *CONFINEMENT,
    ]


def command_line(unit, directory, env_file, script, memory_max_mb, timeout, properties=()):
    """The command line that runs a script in a transient unit with limits; as root, unless a property says otherwise.

    The environment comes from a file only root can read: a command line is in every process list, and ``Environment=``
    of a unit is shown to everybody. The words come from a file, too: when systemd is reloaded before the unit's process
    has started, as each installation of a package does, it reads the command line back from the unit it wrote, and up to
    version 257 a dollar or a semicolon comes back as something else.
    """
    wanted = [
        f"WorkingDirectory={directory}",
        f"EnvironmentFile={env_file}",
        f"MemoryMax={memory_max_mb}M",
        "TasksMax=1024",
        f"RuntimeMaxSec={timeout}",
        *properties,
    ]
    argv = ["systemd-run", "--wait", "--pipe", "--collect", f"--unit={unit}"]
    argv += [f"--property={item}" for item in wanted]
    return [*argv, "--", "/bin/sh", script]


def script(command):
    """What a script says to run a command and to prove that it came to its end."""
    return f"{shlex.join(command)} && printf '\\n%s\\n' '{ENDED_WELL}'\n"


# systemd-run calls a unit that somebody stopped a success, so a command proves its own end with a last line.
KILLED = 128 + 9
ENDED_WELL = "mainstay: ended well"
RUNNER_LINES = re.compile(
    r"(Running as unit: |Press \^\] three times|Finished with result: |Main processes terminated with: |"
    r"Service runtime: |CPU time consumed: |Memory peak: |Memory swap peak: |IO Bytes |IP traffic ).*"
)
# What npm says of its own use below an error, in more lines than anybody is shown: the error would stand in none of them.
NPM_MANUAL = re.compile(r"npm (?:ERR!|error) Usage:$")
NPM_MANUAL_END = re.compile(r"npm (?:ERR!|error) Run \"npm help ")


def outcome(output, returncode):
    """What the command itself printed, and how it ended: ``success``, ``stopped``, or a word of systemd's."""
    words, result, ended_well, manual = [], "exit-code", False, False
    for line in output.splitlines():
        if line == ENDED_WELL:
            ended_well = True
        elif manual or NPM_MANUAL.match(line):
            manual = not NPM_MANUAL_END.match(line)
        elif RUNNER_LINES.match(line):
            result = line.partition("Finished with result: ")[2] or result
        else:
            words.append(line)
    if returncode == 0:
        result = "success" if ended_well else "stopped"
    return words, result


# What tools print when a process of theirs was killed or had no memory left: a shell, npm and Python, Node, a compiler, the C library.
OUT_OF_MEMORY = re.compile(
    r"^Killed$|exit (?:status|code):? 137\b|signal SIGKILL|JavaScript heap out of memory|"
    r"^MemoryError\b|Cannot allocate memory|virtual memory exhausted",
    re.MULTILINE,
)


def more_memory(memory_max_mb):
    return f"backend_build_memory_mb: {2 * memory_max_mb} gives it more, where host and swap have it; else build elsewhere and deploy an archive"


def failure(what, returncode, result, memory_max_mb, timeout, words=(), app="", is_build=True):
    """Why a command failed, in words, with the remedy where there is a known one.

    systemd tells of a child that the kernel killed only with cgroup v2; otherwise the last ``words`` of the command do.
    """
    if result == "stopped":
        return f"{what} was stopped before its end, by a shutdown or by somebody"
    if result == "timeout":
        return f"{what} did not end within {timeout} s and was stopped"
    if result in ("oom-kill", "signal", "core-dump") or returncode == KILLED:
        return f"{what} was killed; it may use {memory_max_mb} MB and probably needed more. {more_memory(memory_max_mb)}"
    if OUT_OF_MEMORY.search("\n".join(words)):
        return f"{what} failed with exit status {returncode}, as it seems for want of memory: it may use {memory_max_mb} MB. {more_memory(memory_max_mb)}"
    helps = remedies.remedy(app, words, is_build)
    return f"{what} failed with exit status {returncode}" + (f": {helps}" if helps else "")
