# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the guard of the role ssh puts a configuration to use, with stand-ins for systemd and sshd; molecule has real ones (test_ssh.py)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

GUARD = Path(__file__).parents[2] / "roles/ssh/files/ssh-guard"
STANDS_IN = {
    "systemctl": """echo "$*" >>"$WORLD/done"
case "$*" in
    *"is-active ssh.socket") [ -s "$WORLD/socket" ] ;;
    show*) while read -r port; do echo "Listen=[::]:$port (Stream)"; done <"$WORLD/socket" ;;
    "restart ssh.socket") "$WORLD/bin/sshd" -T | sed 's/.*://' >"$WORLD/socket" ;;
esac""",
    # Port 22 where nobody says anything else, as sshd has it.
    "sshd": r"""ports=$(sed -n 's/^Port //p' "$WORLD/conf" 2>/dev/null)
for port in ${ports:-22}; do echo "listenaddress [::]:$port"; done""",
    "systemd-run": "",
}


@pytest.fixture
def world(tmp_path):
    """A host on which a socket that follows sshd's configuration listens at port 22."""
    (tmp_path / "bin").mkdir()
    for name, script in {**STANDS_IN, "generator": ""}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    text = GUARD.read_text()
    for there, here in (
        ("PATH=", f"export WORLD={tmp_path}; PATH={tmp_path}/bin:"),
        ("/etc/ssh/sshd_config.d/00-mainstay.conf", f"{tmp_path}/conf"),
        ("/var/lib/mainstay/ssh", f"{tmp_path}/state"),
        ("/usr/lib/systemd/system-generators/sshd-socket-generator", f"{tmp_path}/bin/generator"),
        ("/run/sshd", f"{tmp_path}/run"),
    ):
        assert there in text
        text = text.replace(there, here)
    (tmp_path / "guard").write_text(text)
    (tmp_path / "socket").write_text("22\n")
    return tmp_path


def use(world, *words, conf=None):
    """What the guard has asked of systemd for the daemon itself."""
    if conf is not None:
        (world / "conf").write_text(conf)
    (world / "done").write_text("")
    subprocess.run(["sh", world / "guard", *words], check=True, capture_output=True)
    done = (world / "done").read_text().splitlines()
    return [line for line in done if line.split()[0] in ("restart", "reload")]


PLAIN, PORTS = "LogLevel INFO\n", "Port 22\nPort 2222\n"
SOCKET, SERVICE = ["restart ssh.socket"], ["reload ssh.service"]


def test_a_socket_gets_ports_and_loses_them(world):
    assert use(world, "apply", "60", conf=PORTS) == SOCKET and use(world, "prove") == []
    assert (world / "socket").read_text().split() == ["22", "2222"]
    assert use(world, "apply", "60", conf=PLAIN) == SOCKET and use(world, "prove") == []
    assert (world / "socket").read_text().split() == ["22"]


def test_ports_that_were_refused_are_forgotten(world):
    """The socket is left alone again, whatever the state folder still tells of them."""
    assert use(world, "apply", "60", conf=PLAIN) == SERVICE and use(world, "prove") == []
    assert use(world, "apply", "60", conf=PORTS) == SOCKET
    assert use(world, "rollback") == SOCKET and (world / "conf").read_text() == PLAIN
    assert (world / "socket").read_text().split() == ["22"]
    assert use(world, "apply", "60", conf=PLAIN + "X11Forwarding no\n") == SERVICE and use(world, "prove") == []


def test_ports_of_a_run_that_was_cut_off_are_forgotten(world):
    use(world, "apply", "60", conf=PLAIN)
    use(world, "prove")
    use(world, "apply", "60", conf=PORTS)
    assert use(world, "apply", "60", conf=PLAIN) == SOCKET and (world / "socket").read_text().split() == ["22"]


def test_a_daemon_without_a_socket_is_reloaded(world):
    (world / "socket").write_text("")
    assert use(world, "apply", "60", conf=PORTS) == SERVICE and use(world, "rollback") == SERVICE
    assert not (world / "conf").exists()


def test_a_boot_goes_back_to_what_was_proven(world):
    """Whose timer it has ended; and the socket's ports are made of that."""
    use(world, "apply", "60", conf=PLAIN)
    use(world, "prove")
    use(world, "apply", "60", conf=PORTS)
    use(world, "boot")
    assert (world / "conf").read_text() == PLAIN and "daemon-reload" in (world / "done").read_text().splitlines()
    use(world, "boot")
    assert (world / "conf").read_text() == PLAIN
