# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host of the lab: how it is made, when it is ready, and how it is reached."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import socket
import subprocess
import tarfile
import time
from pathlib import Path

from lab_basics import CLONE, LABEL, NO_CGROUP_V1, STATE, LabError, add_file, locked, need, run, say, wait_for
from lab_engine import docker, find_engine, hosts

# Enough for systemd, a firewall and sandboxed units, and less than --privileged, which some machines refuse.
RUN_FLAGS = """
--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_PTRACE --cap-add AUDIT_WRITE
--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined
--cgroupns=host --volume /sys/fs/cgroup:/sys/fs/cgroup:rw --tmpfs /run --tmpfs /tmp --stop-signal SIGRTMIN+3
"""
INIT = "/lib/systemd/systemd"
# From version 258 on, systemd knows cgroups of version 2 only. Where the machine has both, it boots in a part of the second, whose controllers
# the first holds: units are found and ended as everywhere, and none of their limits holds. A container has no network for netplan to make.
ONLY_CGROUP_V2 = f"""
own=/sys/fs/cgroup/unified/mainstay-lab-$(hostname)
mkdir -p $own && echo $$ >$own/cgroup.procs
exec unshare --cgroup --mount --propagation unchanged \\
  sh -euc 'umount --recursive /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec {INIT} systemd.mask=netplan-configure.service'
"""


def find_host(name: str) -> dict:
    """One running host of this clone."""
    here = {host["name"]: host for host in hosts()} if find_engine() else {}
    if name not in here or not here[name]["running"]:
        known = ", ".join(host["name"] for host in here.values() if host["running"]) or "none"
        raise LabError(f"no host {name!r} is up (up are: {known}). Start it with `scripts/lab up {name}`.")
    return here[name]


def keys() -> Path:
    """The private key the hosts admit; beside it the host key they answer with. Both live with the clone."""
    STATE.mkdir(parents=True, exist_ok=True)
    need("ssh-keygen", "openssh-client")
    with locked(STATE / "keys.lock"):
        for key in ("id_ed25519", "ssh_host_ed25519_key"):
            if not (STATE / key).exists():
                run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mainstay-lab", "-f", str(STATE / key))
    return STATE / "id_ed25519"


def free_port(published: str, taken: set[int]) -> str:
    """Resolve the + of ADDRESS:PORT+:PORT: the next free port from there, which is added to those taken. 0 is any that is free."""
    match = re.fullmatch(r"(?:([\d.]+):)?(\d+)(\+?):(\d+)", published)
    if not match:
        raise LabError(f"--publish {published}: expected [ADDRESS:]PORT[+]:PORT, such as 127.0.0.1:8443+:443.")
    address, first, or_next, inner = match[1] or "127.0.0.1", int(match[2]), match[3], match[4]
    for port in sorted(set(range(first, first + 100 if or_next else first + 1)) - taken):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            port = probe.getsockname()[1]
            taken.add(port)
            return f"{address}:{port}:{inner}"
    raise LabError(f"--publish {published}: port {first} is taken. Name another, or {first}+ for the next free one.")


def create(arguments: argparse.Namespace, base: str, key: Path) -> None:
    """Create a host's container, put the keys in, and start it."""
    command = ["create", "--name", f"mainstay-lab-{CLONE}-{arguments.name}", "--hostname", arguments.name]
    labels = {LABEL: CLONE, f"{LABEL}.name": arguments.name, f"{LABEL}.state": str(STATE)}
    command += [word for label, value in labels.items() for word in ("--label", f"{label}={value}")]
    command += RUN_FLAGS.split()
    if arguments.memory:
        command += ["--memory", arguments.memory]
    if arguments.cpus:
        command += ["--cpus", arguments.cpus]
    taken: set[int] = set()
    # Numbers, as docker would choose others where a host is started again.
    for published in ["127.0.0.1:0:22", *arguments.publish]:
        command += ["--publish", free_port(published, taken)]
    command += [base]
    if docker("info", "--format", "{{.CgroupVersion}}").stdout.strip() != "1":
        command += [INIT]
    elif arguments.image in NO_CGROUP_V1:
        command += ["sh", "-euc", ONLY_CGROUP_V2]
    else:
        # Debian 12 takes no notice of it; one that is upgraded in place (scripts/prove_upgrade) boots with it.
        command += [INIT, "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]
    identity = docker(*command).stdout.strip()
    archive = io.BytesIO()
    public, host_key = key.with_suffix(".pub").read_bytes(), STATE / "ssh_host_ed25519_key"
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for home, owner in (("root", 0), ("home/admin", 1000)):
            directory = tarfile.TarInfo(f"{home}/.ssh")
            directory.type, directory.mode, directory.mtime = tarfile.DIRTYPE, 0o700, time.time()
            directory.uid = directory.gid = owner
            tar.addfile(directory)
            add_file(tar, f"{home}/.ssh/authorized_keys", public, 0o600, owner)
        add_file(tar, f"etc/ssh/{host_key.name}", host_key.read_bytes(), 0o600)
        add_file(tar, f"etc/ssh/{host_key.name}.pub", host_key.with_suffix(".pub").read_bytes())
    copy = ["docker", "cp", "-", f"{identity}:/"]
    subprocess.run(copy, input=archive.getvalue(), capture_output=True, check=True)
    try:
        docker("start", identity)
    except LabError:
        docker("rm", "--force", "--volumes", identity)
        raise


def wait_until_ready(host: dict, key: Path) -> None:
    """Wait until systemd has booted and ssh lets us in."""

    def log() -> str:
        return docker("logs", "--tail", "15", host["id"], check=False).stderr

    def booted() -> bool:
        status = docker("exec", host["id"], "systemctl", "is-system-running", check=False).stdout.strip()
        return status in ("running", "degraded")

    wait_for(f"systemd of {host['name']} runs", 60, booted, log)
    failed = docker("exec", host["id"], "systemctl", "--failed", "--no-legend", "--plain", check=False).stdout
    for line in failed.splitlines():
        say(f"{host['name']}: {line.split()[0]} failed to start")
    run("ssh-keygen", "-R", f"[127.0.0.1]:{host['ports']['22'][1]}", "-f", str(STATE / "known_hosts"), check=False)
    login = [*ssh_command(host, "root", key), "-o", "ConnectTimeout=5", "-o", "BatchMode=yes", "true"]
    wait_for(f"ssh of {host['name']} answers", 30, lambda: run(*login, check=False).returncode == 0, log)


def ssh_options() -> list[str]:
    """ssh's options for hosts that come and go."""
    options = {
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": str(STATE / "known_hosts"),
        "IdentitiesOnly": "yes",
        "LogLevel": "ERROR",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def ssh_command(host: dict, user: str, key: Path) -> list[str]:
    """The ssh command that reaches a host."""
    address, port = host["ports"]["22"]
    return ["ssh", "-i", str(key), "-p", port, *ssh_options(), f"{user}@{address}"]


def as_yaml(value: object, depth: int = 0) -> str:
    """Mappings as block YAML; scalars as JSON, which is YAML."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    lines = []
    for name, inner in value.items():
        text = as_yaml(inner, depth + 1)
        lines.append(f"{'  ' * depth}{name}:" + (f"\n{text}" if isinstance(inner, dict) and inner else f" {text}"))
    return "\n".join(lines)
