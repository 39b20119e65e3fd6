# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listeners: /proc trees built from files, and this very process on the real /proc."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import listeners, processes
from ansible_collections.mainstay.vps.plugins.module_utils.host import units as host_units
from fixture_host import NOBODY, Host


@pytest.fixture
def host(tmp_path):
    return Host(str(tmp_path))


def test_tcp_and_udp_of_both_families(host):
    host.process(1, "systemd", cgroup="/init.scope")
    host.process(40, "named", cgroup="/system.slice/named.service", inodes=(11, 12, 13, 14))
    host.listen("127.0.0.1", 53, 11)
    host.listen("::1", 53, 12)
    host.listen("0.0.0.0", 53, 13, "udp")
    host.listen("2001:db8::7", 53, 14, "udp")
    found = listeners.snapshot(host.proc)
    assert [(item.protocol, item.address, item.port, item.inode) for item in found] == [
        ("tcp", "127.0.0.1", 53, 11),
        ("tcp", "::1", 53, 12),
        ("udp", "0.0.0.0", 53, 13),
        ("udp", "2001:db8::7", 53, 14),
    ]
    assert {item.unit for item in found} == {"named.service"}


def test_an_address_of_ipv4_on_a_socket_of_ipv6_is_one_of_ipv4(host):
    """As xrdp-sesman and programs in Java listen."""
    host.listen("::ffff:127.0.0.1", 3350, 11)
    host.listen("::ffff:192.0.2.7", 3351, 12)
    assert [item.address for item in listeners.snapshot(host.proc)] == ["127.0.0.1", "192.0.2.7"]


def test_only_listening_sockets_count(host):
    host.listen("127.0.0.1", 8000, 11, state="01")
    host.listen("127.0.0.1", 8001, 12, state="06")
    host.listen("127.0.0.1", 8002, 13, "udp", state="01")
    host.listen("127.0.0.1", 8003, 14)
    assert [item.port for item in listeners.snapshot(host.proc)] == [8003]


def test_a_socket_with_many_holders_is_told_by_the_oldest(host):
    host.process(1, "systemd", start=1, inodes=(11,))
    host.process(
        900,
        "nginx",
        ["nginx: worker process"],
        800,
        start=700,
        uid=NOBODY,
        cgroup="/system.slice/nginx.service",
        inodes=(11,),
    )
    host.process(
        800,
        "nginx",
        "nginx: master process /usr/sbin/nginx\0\0\0 ",
        start=600,
        cgroup="/system.slice/nginx.service",
        inodes=(11,),
    )
    host.listen("0.0.0.0", 80, 11)
    (found,) = listeners.snapshot(host.proc)
    assert found.pids == (800, 900, 1)
    assert (found.name, found.user, found.unit) == ("nginx", "root", "nginx.service")
    assert found.cmdline == "nginx: master process /usr/sbin/nginx"
    ticks = os.sysconf("SC_CLK_TCK")
    assert found.since == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + 600 // ticks))


def test_without_root_the_user_is_still_known(host):
    host.listen("0.0.0.0", 5432, 11, uid=NOBODY)
    (found,) = listeners.snapshot(host.proc)
    assert (found.pids, found.name, found.user, found.unit) == ((), "", "nobody", "")


def test_missing_files_are_no_error(tmp_path):
    assert listeners.snapshot(str(tmp_path)) == []
    assert processes.process(7, str(tmp_path)) is None
    assert processes.start_ticks(7, str(tmp_path)) is None


def test_a_name_may_hold_brackets_and_blanks(host):
    host.process(70, "a) S (b", ["x"], parent=3, start=55)
    found = processes.process(70, host.proc)
    assert (found.name, found.ppid, found.start) == ("a) S (b", 3, 55)


def test_ports_can_be_chosen(host):
    host.listen("127.0.0.1", 8000, 11)
    host.listen("127.0.0.1", 9000, 12)
    assert [item.port for item in listeners.snapshot(host.proc, {9000})] == [9000]


HYBRID = "9:name=systemd:/system.slice/shop-web@8000.service\n4:memory:/system.slice/shop-web@8000.service\n0::/x.service\n"
# Of systemd 259 in a container on a machine that has both versions, and of its sshd.
VERSION_2_BESIDE_1 = "9:name=systemd:/\n8:pids:/\n4:memory:/\n0::/system.slice/ssh.service\n"
UNITS = [
    ("0::/system.slice/nginx.service\n", "", "nginx.service"),
    ("0::/system.slice/system-shop.slice/shop-web@8000.service/worker\n", "", "shop-web@8000.service"),
    (HYBRID, "", "shop-web@8000.service"),
    (VERSION_2_BESIDE_1, "", "ssh.service"),
    ("0::/user.slice/user-1000.slice/session-3.scope\n", "", "session-3.scope"),
    ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n", "", "user@1000.service"),
    ("0::/docker/abc/system.slice/ssh.service\n", "/docker/abc", "ssh.service"),
    ("0::/lxc.payload.scope/system.slice/ssh.service\n", "/lxc.payload.scope", "ssh.service"),
    ("0::/docker/abcd/system.slice/ssh.service\n", "/docker/abc", "ssh.service"),
    ("0::/init.scope\n", "", "init.scope"),
    ("0::/\n", "", ""),
    ("", "", ""),
    ("4:memory:/a.service\n", "", ""),
]


@pytest.mark.parametrize(("text", "root", "unit"), UNITS)
def test_units(text, root, unit):
    assert processes.unit_of(text, root) == unit


def test_inside_a_container_the_hosts_part_of_the_path_does_not_count(host):
    host.process(1, "systemd", cgroup="0::/machine.slice/box.scope/init.scope\n")
    host.process(50, "sshd", cgroup="0::/machine.slice/box.scope/system.slice/ssh.service\n")
    assert processes.process(50, host.proc).unit == "ssh.service"


# listener's address, address wanted, collides, collides with bindv6only
OVERLAPS = [
    ("127.0.0.1", None, True, True),
    ("::1", None, True, True),
    ("127.0.0.1", "127.0.0.1", True, True),
    ("127.0.0.1", "127.0.0.2", False, False),
    ("0.0.0.0", "127.0.0.1", True, True),
    ("127.0.0.1", "0.0.0.0", True, True),
    ("0.0.0.0", "::1", False, False),
    ("::", "127.0.0.1", True, False),
    ("::", "0.0.0.0", True, False),
    ("::", "::1", True, True),
    ("0.0.0.0", "::", True, False),
    ("::1", "[::]", True, True),
    ("::1", "127.0.0.1", False, False),
    ("::ffff:127.0.0.1", "127.0.0.1", True, True),
    ("fe80::1", "fe80::1%eth0", True, True),
]


@pytest.mark.parametrize(("theirs", "ours", "collides", "with_only_v6"), OVERLAPS)
def test_overlaps(theirs, ours, collides, with_only_v6):
    item = listeners.Listener("tcp", theirs, 80, 1, (), "", "", "", "", "")
    assert listeners.overlaps(item, 80, "tcp", ours) is collides
    assert listeners.overlaps(item, 80, "tcp", ours, only_v6=True) is with_only_v6
    assert not listeners.overlaps(item, 81, "tcp", ours)
    assert not listeners.overlaps(item, 80, "udp", ours)


def test_the_kernels_default_for_ipv6(host):
    assert listeners.bindv6only(host.proc) is False
    host.write("proc/sys/net/ipv6/bindv6only", "1\n")
    assert listeners.bindv6only(host.proc) is True


def _listener(port, name, unit, cmdline="", protocol="tcp", pids=(7,), address="0.0.0.0", user="root", exe=""):
    return listeners.Listener(protocol, address, port, 1, pids, name, user, cmdline, unit, "", exe)


LISTENER = "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"


@pytest.mark.parametrize(
    ("item", "is_ssh"),
    [
        (_listener(22, "sshd", "ssh.service", LISTENER, exe="/usr/sbin/sshd"), True),
        (_listener(22, "sshd", "", "/usr/sbin/sshd -p 22", exe="/usr/sbin/sshd", address="::"), True),
        (_listener(22, "systemd", "ssh.socket", pids=(1,)), True),
        (_listener(22, "sshd", "ssh.service", LISTENER, pids=(1, 7), exe="/usr/sbin/sshd"), True),
        # a session's, of what was forwarded to it
        (_listener(22, "sshd", "session-3.scope", "sshd: root@pts/0", exe="/usr/sbin/sshd"), False),
        (_listener(22, "sshd", "session-3.scope", "sshd: jane@pts/0", exe="/usr/sbin/sshd", user="jane"), False),
        (_listener(22, "sshd-session", "session-4.scope", "sshd-session: root", exe="/usr/lib/openssh/sshd-session"), False),
        # what has the name, the words or the place of it
        (_listener(22, "sshd", "shop-web@8000.service", LISTENER, user="shop", exe="/usr/bin/python3.11"), False),
        (_listener(22, "sshd", "shop-web@8000.service", LISTENER, user="shop", exe="/usr/sbin/sshd"), False),
        (_listener(22, "sshd", "ssh.service", LISTENER, exe="/usr/bin/python3.11"), False),
        (_listener(22, "sshd", "ssh.service", LISTENER, exe="/srv/shop/shared/sshd"), False),
        (_listener(22, "sshd", "box.service", LISTENER), False),  # of a container: no program of this host
        (_listener(22, "python3", "ssh.socket", pids=(7,)), False),
        # reached from nowhere else
        (_listener(22, "sshd", "ssh.service", LISTENER, exe="/usr/sbin/sshd", address="127.0.0.1"), False),
        (_listener(22, "systemd", "ssh.socket", pids=(1,), address="::1"), False),
        (_listener(80, "nginx", "nginx.service", exe="/usr/sbin/nginx"), False),
    ],
)
def test_ssh_ports_are_those_that_let_one_in(item, is_ssh):
    assert listeners.ssh_ports([item]) == ([22] if is_ssh else [])


def test_what_a_process_runs_is_the_kernel_s_to_say(host, tmp_path):
    program = tmp_path / "sshd"
    program.write_text("")
    cases = {50: str(program), 51: str(tmp_path / "gone")}
    for pid, target in cases.items():
        host.process(pid, "sshd")
        host.link(f"proc/{pid}/exe", target)
    host.process(52, "sshd")
    assert [processes.process(pid, host.proc).exe for pid in (50, 51, 52)] == [str(program), "", ""]
    own = processes.process(os.getpid())
    assert os.path.samefile(own.exe, sys.executable)


SHOW = """Listen=0.0.0.0:22 (Stream)
Listen=[::]:22 (Stream)
Id=ssh.socket
ActiveState=active
Triggers=ssh.service

Listen=127.0.0.1:5353 (Datagram)
Listen=/run/x (Stream)
Id=dns.socket
ActiveState=active

Listen=127.0.0.1:99 (Stream)
Id=off.socket
ActiveState=inactive

Id=nginx.service
ActiveState=active
Description=a=b
"""


def test_socket_units():
    units = host_units.parse_show(SHOW)
    assert [unit["Id"] for unit in units] == ["ssh.socket", "dns.socket", "off.socket", "nginx.service"]
    assert units[3]["Description"] == "a=b"
    table = listeners.socket_units(units)
    assert table == {
        ("tcp", "0.0.0.0", 22): "ssh.socket",
        ("tcp", "::", 22): "ssh.socket",
        ("udp", "127.0.0.1", 5353): "dns.socket",
    }
    held = _listener(22, "systemd", "init.scope", pids=(1,), address="::")
    shared = _listener(22, "sshd", "ssh.service", pids=(7, 1), address="::")
    foreign = _listener(22, "sshd", "ssh.service", pids=(7,), address="::")
    assert [item.unit for item in listeners.with_socket_units([held, shared, foreign], table)] == [
        "ssh.socket",
        "ssh.service",
        "ssh.service",
    ]
    assert [listeners.held_by_systemd(item, table) for item in (held, shared, foreign)] == [
        "ssh.socket",
        "ssh.socket",
        "",
    ]


# --- this process, for real --------------------------------------------------------------------------------------


def test_it_finds_this_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = listeners.snapshot(ports={port})
        assert found.pids == (os.getpid(),)
        assert found.inode == os.fstat(server.fileno()).st_ino
        assert found.since.startswith("20")
    assert listeners.snapshot(ports={port}) == []


def test_ancestors():
    line = processes.ancestors(os.getpid())
    assert line[:2] == [os.getpid(), os.getppid()]
    assert 0 not in line


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_signal_reaches_the_process_that_was_meant(child):
    start = processes.start_ticks(child.pid)
    assert processes.send_signal(child.pid, start, signal.SIGTERM) is True
    assert child.wait(5) == -signal.SIGTERM
    assert processes.send_signal(child.pid, start, signal.SIGTERM) is False


def test_a_signal_does_not_reach_another_process_with_the_same_pid(child):
    start = processes.start_ticks(child.pid)
    assert processes.send_signal(child.pid, start - 1, signal.SIGKILL) is False
    time.sleep(0.1)
    assert child.poll() is None


def test_without_process_descriptors_the_guard_holds_too(child, monkeypatch):
    def refuse(_pid):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    start = processes.start_ticks(child.pid)
    assert processes.send_signal(child.pid, start + 1, signal.SIGKILL) is False
    assert child.poll() is None
    assert processes.send_signal(child.pid, start, signal.SIGKILL) is True
    assert child.wait(5) == -signal.SIGKILL


# --- secrets -----------------------------------------------------------------------------------------------------

COMMANDS = [
    (["app", "--password=hunter2", "x"], "app --password=******** x"),
    (["app", "--db-password", "hunter2", "x"], "app --db-password ******** x"),
    (["app", "--password", "--verbose"], "app --password --verbose"),
    (["app", "-token", "hunter2"], "app -token ********"),
    (["app", "--api-key=hunter2"], "app --api-key=********"),
    (["java", "-Ddb.password=hunter2", "-jar", "a.jar"], "java -Ddb.password=******** -jar a.jar"),
    (["sh", "-c", "PGPASSWORD=hunter2 psql -h db"], "sh -c PGPASSWORD=******** psql -h db"),
    (["sh", "-c", "app --secret 'hunter2 two' go"], None),
    (["celery", "-b", "redis://:hunter2@localhost/0"], "celery -b redis://:********@localhost/0"),
    (["psql", "postgresql://shop:hunter2@db/shop?x=1"], "psql postgresql://shop:********@db/shop?x=1"),
    (["psql", "postgresql://shop:hun@ter2@db/shop"], "psql postgresql://shop:********@db/shop"),
    (["rsync", "jane:hunter2@backup"], "rsync jane:********@backup"),
    (["curl", "-u", "jane:hunter2", "http://x"], "curl -u jane:******** http://x"),
    (["curl", "-H", "Authorization: Bearer hunter2"], "curl -H Authorization: Bearer ********"),
    (["mysqldump", "-phunter2", "-p", "shop"], "mysqldump -p******** -p shop"),
    (["ssh", "-p", "2222", "host"], "ssh -p 2222 host"),
    (["app", "--bypass", "--author", "jane"], "app --bypass --author jane"),
    (["python3", "-m", "http.server", "8000"], "python3 -m http.server 8000"),
    (["/usr/bin/docker-proxy", "-host-port", "8080"], "/usr/bin/docker-proxy -host-port 8080"),
    (["sshd: jane [priv]"], "sshd: jane [priv]"),
    (["a\nb", "c\td"], "a b c d"),
    ([], ""),
]


@pytest.mark.parametrize(("words", "shown"), COMMANDS)
def test_secrets_in_command_lines_are_masked(words, shown):
    text = processes.mask_command(words)
    assert "hunter2" not in text
    if shown is not None:
        assert text == shown


def test_long_command_lines_are_cut_and_cost_little():
    began = time.monotonic()
    for word in ("pass-" * 4000, "a=" * 4000, "x:" * 4000, "token" * 4000):
        assert len(processes.mask_command([word] * 200)) <= 300
    assert time.monotonic() - began < 5
