# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command of a build or a migration is confined, and what its end means. Decisions, no effects."""

from __future__ import annotations

import re
import shlex

# What holds for every command of a build or a migration, whatever it is.
CONFINEMENT = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "OOMPolicy=kill",
    "OOMScoreAdjust=500",
    "CPUWeight=50",
    "IOWeight=50",
    "Nice=5",
)


def confined(unit, user, directory, writable, env_file, script, memory_max_mb, timeout, properties=("UMask=0022",)):
    """The command line that runs one script of a build as the app's user in a transient unit."""
    own = [f"User={user}", f"Group={user}", f"ReadWritePaths={' '.join(writable)}"]
    return bounded(unit, directory, env_file, script, memory_max_mb, timeout, [*own, *CONFINEMENT, *properties])


def bounded(unit, directory, env_file, script, memory_max_mb, timeout, properties=()):
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


def outcome(output, returncode):
    """What the command itself printed, and how it ended: ``success``, ``stopped``, or a word of systemd's."""
    words, result, ended_well = [], "exit-code", False
    for line in output.splitlines():
        if line == ENDED_WELL:
            ended_well = True
        elif RUNNER_LINES.match(line):
            result = line.partition("Finished with result: ")[2] or result
        else:
            words.append(line)
    if returncode == 0:
        result = "success" if ended_well else "stopped"
    return words, result


def failure(what, returncode, result, memory_max_mb, timeout):
    """Why a command failed, in words, with the remedy where there is a known one."""
    if result == "stopped":
        return f"{what} was stopped before its end, by a shutdown or by somebody"
    if result == "timeout":
        return f"{what} did not end within {timeout} s and was stopped"
    if result in ("oom-kill", "signal", "core-dump") or returncode == KILLED:
        return (
            f"{what} was killed; it may use {memory_max_mb} MB and probably needed more. Raise memory_max_mb "
            "(backend_build_memory_mb), or build elsewhere and deploy an archive"
        )
    return f"{what} failed with exit status {returncode}"
