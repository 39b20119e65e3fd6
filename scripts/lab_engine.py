# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine that the lab's hosts run on: the one there is, or one of its own, and which hosts are on it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from lab_basics import CLONE, LABEL, STATE, LabError, empty, locked, need, run, say, tail, wait_for

# The lab's own engine. The paths are short because a socket's path may have 108 bytes at most.
RUN = Path("/run/mainstay-lab")
DATA = Path("/var/lib/mainstay-lab")
SOCKET = RUN / "docker.sock"
BRIDGE = "mainstay0"


def answers(host: str | None) -> bool:
    """Whether an engine answers there; None means where the docker command looks by itself."""
    if not shutil.which("docker"):
        return False
    environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
    command = ("docker", "info", "--format", "{{.ServerVersion}}")
    result = run(*command, check=False, env=environment)
    return result.returncode == 0 and bool(result.stdout.strip())


def find_engine() -> bool:
    """Point this process at the engine that answers; whether there is one."""
    if os.environ.get("DOCKER_HOST"):
        if not answers(None):
            raise LabError(
                f"DOCKER_HOST={os.environ['DOCKER_HOST']} does not answer. Start that engine, or unset DOCKER_HOST "
                "to let the lab find or start one."
            )
        return True
    if answers(None):
        return True
    if SOCKET.exists() and answers(f"unix://{SOCKET}"):
        os.environ["DOCKER_HOST"] = f"unix://{SOCKET}"
        return True
    return False


def own_engine() -> bool:
    """Whether the engine in use is the one the lab started."""
    return os.environ.get("DOCKER_HOST") == f"unix://{SOCKET}"


def start_engine() -> None:
    """Get an engine answering: the one there is, the machine's by systemd, or the lab's own. Hold engine_lock()."""
    if find_engine():
        return
    if os.geteuid():
        raise LabError(
            "no Docker engine answers, and only root can start one. Start Docker and join its group, set DOCKER_HOST, or run this as root."
        )
    need("dockerd", "docker.io")
    need("docker", "docker-cli")
    if Path("/run/systemd/system").is_dir():
        say("starting Docker")
        run("systemctl", "start", "docker")
        wait_for("Docker answers", 60, lambda: answers(None))
    else:
        start_own_engine()
        os.environ["DOCKER_HOST"] = f"unix://{SOCKET}"


def engine_lock():
    """Held while an engine starts or stops, and while something starts on it that would keep it from stopping."""
    return locked((STATE if os.geteuid() else RUN) / "lock")


def start_own_engine() -> None:
    """Start dockerd by hand. It gets a bridge and three rules of its own instead of iptables' chains, which a second
    dockerd would flush under the first one."""
    need("ip", "iproute2")
    need("iptables", "iptables")
    say("starting the lab's own Docker engine")
    (RUN / "pid").unlink(missing_ok=True)
    make_bridge()
    settings = {
        "hosts": [f"unix://{SOCKET}"],
        "data-root": str(DATA),
        "exec-root": str(RUN / "exec"),
        "pidfile": str(RUN / "pid"),
        "bridge": BRIDGE,
        "iptables": False,
        "ip6tables": False,
        "ip-masq": False,
        "log-level": "warn",
    }
    (RUN / "daemon.json").write_text(json.dumps(settings, indent=2))
    namespaces = ("--containerd-namespace=mainstay-lab", "--containerd-plugins-namespace=mainstay-lab-plugins")
    log = RUN / "dockerd.log"
    with log.open("wb") as output:  # never the caller's: a pipe held open would keep the caller's reader waiting
        daemon = subprocess.Popen(
            ["dockerd", "--config-file", str(RUN / "daemon.json"), *namespaces],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    try:
        wait_for(
            "the lab's engine answers",
            60,
            lambda: daemon.poll() is not None or answers(f"unix://{SOCKET}"),
            lambda: tail(log),
        )
        if daemon.poll() is not None:
            raise LabError(f"dockerd ended with status {daemon.returncode}:{tail(log)}")
    except LabError:
        daemon.kill()
        remove_bridge()
        raise


def make_bridge() -> None:
    """Make the engine's bridge on a network nobody uses, with a way out for the hosts on it."""
    remove_bridge()
    routes = json.loads(run("ip", "-json", "-4", "route").stdout)
    taken = [ipaddress.ip_network(route["dst"]) for route in routes if route["dst"] != "default"]
    candidates = (ipaddress.ip_network(f"10.{second}.77.0/24") for second in range(213, 254))
    network = next((c for c in candidates if not any(c.overlaps(t) for t in taken)), None)
    if network is None:
        raise LabError("no free network for the lab's bridge: 10.213.77.0/24 to 10.253.77.0/24 are all in use.")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{network[1]}/{network.prefixlen}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    for rule in bridge_rules(network):
        run("iptables", "--wait", *rule.replace("ACTION", "--insert").split())


def bridge_rules(network: ipaddress.IPv4Network) -> list[str]:
    """What lets the hosts of the lab reach the world, and only the world's answers reach them."""
    comment = "-m comment --comment mainstay-lab"
    return [
        f"--table nat ACTION POSTROUTING --source {network} ! --out-interface {BRIDGE} {comment} --jump MASQUERADE",
        f"ACTION FORWARD --in-interface {BRIDGE} {comment} --jump ACCEPT",
        f"ACTION FORWARD --out-interface {BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED {comment} --jump ACCEPT",
    ]


def remove_bridge() -> None:
    """Remove the bridge and its rules, whatever of them is there."""
    shown = run("ip", "-json", "-4", "address", "show", BRIDGE, check=False).stdout
    for link in json.loads(shown or "[]"):
        for address in link.get("addr_info", []):
            network = ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
            for rule in bridge_rules(network):
                run("iptables", "--wait", *rule.replace("ACTION", "--delete").split(), check=False)
    run("ip", "link", "delete", BRIDGE, check=False)


def stop_engine() -> None:
    """Stop the lab's own engine unless somebody's host runs on it; leave every other engine alone."""
    if not SOCKET.exists() or os.geteuid():
        say("the lab runs no engine of its own here: nothing to stop")
        return
    with engine_lock():
        os.environ["DOCKER_HOST"] = f"unix://{SOCKET}"
        if answers(None):
            for host in hosts(all_clones=True):
                if not Path(host["state"]).is_dir():  # its clone is gone
                    docker("rm", "--force", "--volumes", host["id"])
            left = hosts(all_clones=True)
            if left:
                say("the engine stays up for " + ", ".join(f"{h['name']} of {h['state']}" for h in left))
                return
        pid = own_daemon()
        if pid:
            say("stopping the lab's own Docker engine")
            os.kill(pid, signal.SIGTERM)
            wait_for("the engine ends", 60, lambda: own_daemon() is None, lambda: tail(RUN / "dockerd.log"))
        remove_bridge()
        empty(RUN, but="lock")


def own_daemon() -> int | None:
    """The pid of the lab's dockerd, if the pid file's process is really that."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((RUN / "pid").read_text())
        if str(RUN / "daemon.json").encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return pid
    return None


def docker(*arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run the docker command on the engine in use."""
    return run("docker", *arguments, check=check, **options)


def hosts(all_clones: bool = False) -> list[dict]:
    """The lab's hosts as the engine knows them."""
    label = LABEL if all_clones else f"{LABEL}={CLONE}"
    identities = docker("ps", "--all", "--quiet", "--filter", f"label={label}").stdout.split()
    if not identities:
        return []
    found = []
    for entry in json.loads(docker("inspect", *identities).stdout):
        ports = entry["NetworkSettings"]["Ports"] or {}
        found.append(
            {
                "id": entry["Id"],
                "name": entry["Config"]["Labels"][f"{LABEL}.name"],
                "state": entry["Config"]["Labels"][f"{LABEL}.state"],
                "image": entry["Config"]["Image"],
                "running": entry["State"]["Running"],
                "address": entry["NetworkSettings"]["IPAddress"],
                "ports": {port.split("/")[0]: (bound[0]["HostIp"], bound[0]["HostPort"]) for port, bound in sorted(ports.items()) if bound},
            }
        )
    return sorted(found, key=lambda host: host["name"])
