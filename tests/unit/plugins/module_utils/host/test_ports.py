# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ports: what port_free decides and stops, on hosts built from files with a systemd and signals of our own."""

from __future__ import annotations

import shutil

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import listeners, ports, processes
from fixture_host import NOBODY, Host

WEB = "/system.slice/shop-web@8000.service"


class Fake(ports.System):
    """A host whose processes end as the test says; time passes only in sleep."""

    def __init__(self, root, is_root=True, ancestors=(500, 1)):
        self.host = Host(root)
        self.clock = self
        self.now = 0.0
        super().__init__(self.command, self.host.proc, self)
        self.is_root = is_root
        self.ancestors = set(ancestors)
        self.show = ""
        self.commands, self.signals, self.later = [], [], []
        self.ends_on = {}  # pid: number of the signal, or the command that ends it
        self.host.process(1, "systemd", start=1, cgroup="/init.scope")

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for item in [item for item in self.later if item[0] <= self.now]:
            self.later.remove(item)
            item[1]()

    def gone(self, pid):
        shutil.rmtree(f"{self.host.proc}/{pid}", ignore_errors=True)
        inodes = {row.split()[9]: (table, row) for table, rows in self.host.rows.items() for row in rows}
        for inode, (table, row) in inodes.items():
            if not listeners._holders(self.host.proc, {int(inode)}):
                self.host.rows[table].remove(row)
        self.host.tables()

    def command(self, arguments):
        if arguments[:2] == ["systemctl", "show"]:
            return 0, self.show, ""
        self.commands.append(" ".join(arguments))
        for pid, what in list(self.ends_on.items()):
            if isinstance(what, str) and what in self.commands[-1]:
                self.gone(pid)
        return (1, "", "Access denied\n") if "broken.service" in arguments else (0, "", "")

    def send_signal(self, pid, start, number):
        if processes.start_ticks(pid, self.proc_root) != start:
            return False
        self.signals.append((pid, number))
        if self.ends_on.get(pid) == number or number == 9:
            self.gone(pid)
        return True


@pytest.fixture
def system(tmp_path):
    return Fake(str(tmp_path))


def request(*numbers, **options):
    values = {
        "protocol": "tcp", "address": None, "allowed_units": [], "allowed_users": [], "stop_with": "none",
        "grace": 5, "kill": False, "protect": ports.PROTECT, **options,
    }  # fmt: skip
    return ports.Request(ports=list(numbers), **values)


def web(system, port=8000, pid=800, cgroup=WEB, address="127.0.0.1", **options):
    options = {
        "name": "uvicorn",
        "start": pid,
        "command": ["uvicorn", "--port", str(port), "--password=x1y2z3"],
        "uid": NOBODY,
        **options,
    }
    system.host.process(pid, cgroup=cgroup, inodes=(pid,), **options)
    system.host.listen(address, port, pid, uid=options["uid"])


def test_a_free_port_is_free(system):
    assert ports.make_free(request(8000, 8001), system) == ([], [], 0)
    assert ports.states(request(8000, 8001), []) == {"8000": "free", "8001": "free"}


ALLOWED = [
    ({"allowed_units": ["shop-web@8000.service"]}, True),
    ({"allowed_units": ["other.service", "shop-web@*.service"]}, True),
    ({"allowed_units": ["shop-worker@*.service"]}, False),
    ({"allowed_users": ["nobody"]}, True),
    ({"allowed_users": ["root"]}, False),
    ({}, False),
]


@pytest.mark.parametrize(("options", "allowed"), ALLOWED)
def test_free_or_already_ours(system, options, allowed):
    web(system)
    (holder,) = ports.holders(request(8000, **options), system)
    assert holder["allowed"] is allowed
    if allowed:
        found, stopped, _waited = ports.make_free(request(8000, **options), system)
        assert (stopped, ports.states(request(8000), found)) == ([], {"8000": "allowed"})
    else:
        with pytest.raises(ports.PortError) as caught:
            ports.make_free(request(8000, **options), system)
        assert ports.states(request(8000), caught.value.holders) == {"8000": "foreign"}
    assert system.signals == system.commands == []


def test_all_processes_must_be_the_allowed_users(system):
    web(system)
    system.host.process(801, "helper", start=801, uid=0, cgroup=WEB, inodes=(800,))
    (holder,) = ports.holders(request(8000, allowed_users=["nobody"]), system)
    assert (holder["allowed"], holder["pids"]) == (False, [800, 801])


def test_a_child_that_escaped_from_the_unit_is_not_the_unit(system):
    web(system)
    system.host.process(801, "escaped", start=801, uid=NOBODY, cgroup="/user.slice/session-3.scope", inodes=(800,))
    found = ports.holders(request(8000, allowed_units=["shop-web@*.service"]), system)
    assert [(holder["name"], holder["allowed"]) for holder in found] == [("uvicorn", True), ("escaped", False)]
    assert ports.states(request(8000), found) == {"8000": "foreign"}


def test_one_holder_on_many_addresses_is_told_once(system):
    system.host.process(800, "nginx", cgroup="/system.slice/nginx.service", inodes=(1, 2, 3))
    system.host.listen("0.0.0.0", 80, 1)
    system.host.listen("::", 80, 2)
    system.host.listen("0.0.0.0", 443, 3)
    found = ports.public(ports.holders(request(80, 443), system))
    assert [(holder["port"], holder["addresses"]) for holder in found] == [(80, ["0.0.0.0", "::"]), (443, ["0.0.0.0"])]
    assert "processes" not in found[0]


def test_the_address_decides_what_collides(system):
    web(system, address="::")
    assert ports.holders(request(8000, address="127.0.0.1"), system)
    system.host.write("proc/sys/net/ipv6/bindv6only", "1\n")
    assert not ports.holders(request(8000, address="127.0.0.1"), system)
    assert ports.holders(request(8000, address="::1"), system)
    assert not ports.holders(request(8000, protocol="udp"), system)


# --- refusals ----------------------------------------------------------------------------------------------------

SESSION = "/user.slice/user-0.slice/session-3.scope"
REFUSALS = [
    ("says who and what to do", {}, {},
     ["Port 8000/tcp is held by uvicorn (pid 800, user nobody, unit shop-web@8000.service, since 2023-11-14T22:13:",
      "uvicorn --port 8000 --password=********. ",
      "Stop it (systemctl disable --now shop-web@8000.service), let this task stop it (stop_with: unit)",
      "add shop-web@8000.service to allowed_units"]),
    ("no unit", {"cgroup": SESSION}, {}, ["unit session-3.scope", "Stop it (kill 800)", "stop_with: signal", "add nobody to allowed_users"]),
    ("no unit to stop", {"cgroup": SESSION}, {"stop_with": "unit"}, ["it runs in session-3.scope, which is no service", "kill 800"]),
    ("no unit at all", {"cgroup": "/"}, {"stop_with": "unit"}, ["it belongs to no unit"]),
    ("a user's own manager", {"cgroup": "/user.slice/user@7.service/a.service"}, {"stop_with": "unit"}, ["user@7.service, which is no service"]),
    ("ssh", {"name": "sshd", "cgroup": "/system.slice/ssh.service"}, {"stop_with": "unit"}, ["It is protected"]),
    ("protected name", {"name": "vault"}, {"stop_with": "signal", "protect": ["vault*"]}, ["It is protected"]),
    ("protected unit", {}, {"stop_with": "unit", "protect": ["shop-*"]}, ["It is protected"]),
    ("own ancestor", {"pid": 500}, {"stop_with": "signal", "protect": []}, ["It is protected"]),
    ("docker", {"name": "docker-proxy", "uid": 0, "cgroup": "/system.slice/docker.service", "command":
                ["/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8000",
                 "-container-ip", "172.17.0.2", "-container-port", "80"]}, {"stop_with": "unit"},
     ["docker publishes a container's port there (its port 80 at 172.17.0.2)", "docker ps --filter publish=8000"]),
]  # fmt: skip


@pytest.mark.parametrize(("holder", "options", "words"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
@pytest.mark.parametrize("pretend", [False, True])
def test_refusals(system, holder, options, words, pretend):
    web(system, **holder)
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(8000, **options), system, pretend)
    for text in words:
        assert text in str(caught.value)
    assert "x1y2z3" not in str(caught.value)
    assert system.signals == system.commands == []


def test_who_is_not_root_is_told_so_and_nothing_is_guessed(tmp_path):
    system = Fake(str(tmp_path), is_root=False)
    system.host.listen("0.0.0.0", 8000, 77, uid=NOBODY)
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(8000), system)
    assert "held by a process that cannot be seen (user nobody). Only root" in str(caught.value)
    assert "become: true" in str(caught.value)
    assert caught.value.holders[0]["pid"] is None


def test_root_that_sees_no_process_names_the_reason(system):
    system.host.listen("0.0.0.0", 2049, 77)
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(2049, stop_with="signal"), system)
    assert "belongs to the kernel or to a process outside" in str(caught.value)


def test_one_that_may_not_be_stopped_saves_all(system):
    web(system)
    web(system, port=22, pid=40, name="sshd", cgroup="/system.slice/ssh.service")
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(22, 8000, stop_with="unit"), system)
    assert "Port 22/tcp" in str(caught.value)
    assert "Port 8000/tcp" not in str(caught.value)
    assert system.commands == []


# --- sockets that systemd holds ----------------------------------------------------------------------------------

SHOW = "Listen=127.0.0.1:8000 (Stream)\nId=shop.socket\nActiveState=active\nTriggers=shop.service\n"


@pytest.fixture
def activated(system):
    """systemd listens for shop.service, which is running and holds the same socket."""
    system.show = SHOW
    shutil.rmtree(f"{system.host.proc}/1")
    system.host.process(1, "systemd", start=1, cgroup="/init.scope", inodes=(8,))
    system.host.process(90, "shop", start=90, uid=NOBODY, cgroup="/system.slice/shop.service", inodes=(8,))
    system.host.listen("127.0.0.1", 8000, 8)
    return system


@pytest.mark.parametrize("units", [["shop.socket", "shop.service"], ["shop.service"]])
def test_a_socket_is_allowed_for_the_service_it_starts(activated, units):
    found = ports.holders(request(8000, allowed_units=units), activated)
    assert [(holder["unit"], holder["allowed"]) for holder in found] == [("shop.socket", True), ("shop.service", True)]


def test_the_socket_is_stopped_before_the_service_and_systemd_never(activated):
    activated.ends_on = {90: "stop"}

    def close():
        shutil.rmtree(f"{activated.host.proc}/1/fd")
        activated.gone(0)

    activated.later.append((0.3, close))
    _found, stopped, waited = ports.make_free(request(8000, stop_with="unit"), activated)
    assert activated.commands == ["systemctl stop --no-block shop.socket shop.service"]
    assert [holder["unit"] for holder in stopped] == ["shop.socket", "shop.service"]
    assert waited >= 300
    assert activated.signals == []


def test_no_signal_to_systemd(activated):
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(8000, stop_with="signal"), activated)
    assert "systemd itself holds the port for shop.socket" in str(caught.value)
    assert activated.signals == []


def test_process_1_is_protected_when_its_socket_has_no_name(activated):
    activated.show = ""
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(8000, stop_with="unit", protect=[]), activated)
    assert "It is protected" in str(caught.value)
    assert activated.commands == []


def test_a_protected_socket_stays(activated):
    with pytest.raises(ports.PortError):
        ports.make_free(request(8000, stop_with="unit", protect=["shop.socket"]), activated)
    assert activated.commands == []


# --- stopping ----------------------------------------------------------------------------------------------------


def test_check_mode_predicts_and_stops_nothing(system):
    web(system)
    found, stopped, waited = ports.make_free(request(8000, 8001, stop_with="unit"), system, pretend=True)
    assert [holder["unit"] for holder in stopped] == ["shop-web@8000.service"]
    assert (system.commands, waited) == ([], 0)
    assert ports.states(request(8000, 8001), found, stopped) == {"8000": "stopped", "8001": "free"}
    assert ports.lines(found) == "8000/tcp 127.0.0.1 uvicorn pid 800 user nobody unit shop-web@8000.service\n"


def test_a_unit_is_stopped_and_an_allowed_one_beside_it_is_not(system):
    web(system)
    web(system, port=8001, pid=801, cgroup="/system.slice/keep.service")
    system.ends_on = {800: "stop"}
    found, stopped, _waited = ports.make_free(request(8000, 8001, stop_with="unit", allowed_units=["keep.service"]), system)
    assert system.commands == ["systemctl stop --no-block shop-web@8000.service"]
    assert ports.states(request(8000, 8001), found, stopped) == {"8000": "stopped", "8001": "allowed"}


def test_systemctl_that_refuses_is_heard(system):
    web(system, cgroup="/system.slice/broken.service")
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(8000, stop_with="unit"), system)
    assert str(caught.value) == "systemctl stop --no-block broken.service failed: Access denied"


def test_a_unit_that_will_not_stop(system):
    web(system)
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(8000, stop_with="unit", grace=2), system)
    assert "Still held 2 s after asking to stop: port 8000/tcp by uvicorn (pid 800" in str(caught.value)
    assert "set kill: true" in str(caught.value)
    system.ends_on = {800: "kill"}
    _found, stopped, waited = ports.make_free(request(8000, stop_with="unit", grace=2, kill=True), system)
    assert system.commands[-1] == "systemctl kill --signal=KILL shop-web@8000.service"
    assert (len(stopped), waited >= 2000) == (1, True)


def test_term_before_kill(system):
    web(system, cgroup=SESSION)
    system.ends_on = {800: 15}
    ports.make_free(request(8000, stop_with="signal", kill=True), system)
    assert system.signals == [(800, 15)]
    web(system, pid=802, cgroup=SESSION)
    with pytest.raises(ports.PortError):
        ports.make_free(request(8000, stop_with="signal", grace=1), system)
    assert system.signals == [(800, 15), (802, 15)]
    ports.make_free(request(8000, stop_with="signal", grace=1, kill=True), system)
    assert system.signals[2:] == [(802, 15), (802, 9)]


def test_a_process_that_got_the_pid_meanwhile_is_not_killed(system):
    """Between SIGTERM and SIGKILL the holder ends, and its pid and its port go to somebody else."""
    web(system, cgroup=SESSION)

    def reuse():
        system.gone(800)
        web(system, cgroup=SESSION, name="innocent", start=9999)

    system.later.append((0.5, reuse))
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(8000, stop_with="signal", grace=1, kill=True), system)
    assert "Still held" in str(caught.value)
    assert "innocent" in str(caught.value)
    assert system.signals == [(800, 15)]


def test_a_newcomer_is_not_killed(system):
    web(system, cgroup=SESSION)
    system.ends_on = {800: 15}
    stop = system.send_signal

    def stop_and_let_another_in(pid, start, number):
        stop(pid, start, number)
        web(system, pid=900, cgroup="/system.slice/new.service")
        return True

    system.send_signal = stop_and_let_another_in
    with pytest.raises(ports.PortError):
        ports.make_free(request(8000, stop_with="signal", grace=1, kill=True), system)
    assert system.signals == [(800, 15)]


def test_a_service_that_systemd_starts_again_is_noticed(system):
    web(system)
    system.ends_on = {800: 15}
    system.later.append((0.4, lambda: web(system, pid=801)))
    with pytest.raises(ports.PortError) as caught:
        ports.make_free(request(8000, stop_with="signal"), system)
    assert "taken again" in str(caught.value)
    assert "set stop_with: unit" in str(caught.value)


SESSION = "/user.slice/user-65534.slice/session-3.scope"


def either(system, **users):
    system.unit_user = lambda unit: users.get(unit.partition(".")[0], "")
    return request(8000, 8001, stop_with="either", kill=True, only_users=["nobody"])


def test_either_its_own_service_by_systemd_or_a_process_by_signal(system):
    web(system, cgroup="/system.slice/old.service")
    web(system, 8001, 801, SESSION)
    system.ends_on = {800: "stop --no-block old.service", 801: 15}
    assert len(ports.make_free(either(system, old="nobody"), system)[1]) == 2
    assert (system.commands, system.signals) == (["systemctl stop --no-block old.service"], [(801, 15)])


def test_either_by_force(system):
    web(system, cgroup="/system.slice/old.service")
    web(system, 8001, 801, SESSION)
    system.ends_on = {800: "kill --signal=KILL old.service"}
    ports.make_free(either(system, old="nobody"), system)
    assert system.commands[-1] == "systemctl kill --signal=KILL old.service"
    assert system.signals == [(801, 15), (801, 9)]


@pytest.mark.parametrize("unit", ["cron.service", "ssh.service"])
def test_what_a_service_has_started_for_a_user_goes_without_the_service(system, unit):
    """Where no session is made for a login or a job, its processes are in the unit of the one who started them."""
    web(system, cgroup=f"/system.slice/{unit}")
    system.ends_on = {800: 15}
    ports.make_free(either(system), system)
    assert (system.commands, system.signals) == ([], [(800, 15)])


def test_either_does_not_stop_the_ssh_server(system):
    web(system, cgroup="/system.slice/ssh.service", name="sshd-session", uid=0)
    with pytest.raises(ports.PortError, match="It is protected"):
        ports.make_free(either(system), system)
    assert system.signals == system.commands == []


@pytest.mark.parametrize("name", ["sshd", "systemd-x", "dbus", "docker-proxy"])
def test_no_name_protects_what_may_be_stopped(system, name):
    web(system, cgroup=SESSION, name=name)
    system.ends_on = {800: 15}
    ports.make_free(either(system), system)
    assert system.signals == [(800, 15)]


def test_the_user_of_a_unit(system):
    system.show = "shop\n"
    assert system.unit_user("shop-web@8000.service") == "shop"


def test_only_the_processes_of_some_users(system):
    web(system)
    web(system, 8001, 801, SESSION, uid=0)
    with pytest.raises(ports.PortError, match="It belongs to root, not to nobody, and is not stopped"):
        ports.make_free(request(8000, 8001, stop_with="either", only_users=["nobody"]), system)
    assert system.signals == system.commands == []
