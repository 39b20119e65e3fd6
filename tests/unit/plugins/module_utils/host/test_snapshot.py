# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""resources: hosts built from files, for every way a kernel limits memory and CPUs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import types

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils import superuser
from ansible_collections.mainstay.vps.plugins.module_utils.host import databases, limits, snapshot, units
from fixture_host import NOBODY, Host

GB = 2**30
V1 = "sys/fs/cgroup/{}/"
V1_NONE = str(2**63 - 4096)


@pytest.fixture
def host(tmp_path):
    host = Host(str(tmp_path))
    host.write(
        "proc/meminfo",
        "MemTotal:       8388608 kB\nMemFree:  1 kB\nMemAvailable:   6291456 kB\nSwapTotal:      2097152 kB\n",
    )
    host.write("sys/devices/system/cpu/online", "0-3\n")
    return host


def v2(host, group, **files):
    """A group of version 2 with some of its files; process 1 lives in the first one named."""
    folder = f"sys/fs/cgroup{group}"
    for name, text in {"cgroup.procs": "", **files}.items():
        host.write(f"{folder}/{name.replace('_', '.', 1)}", f"{text}\n")


def init(host, *lines):
    host.write("proc/1/cgroup", "".join(f"{line}\n" for line in lines))


def memory_v1(host, group, limit, **more):
    folder = f"sys/fs/cgroup/memory{group}"
    host.write(f"{folder}/memory.limit_in_bytes", f"{limit}\n")
    for name, text in more.items():
        host.write(f"{folder}/{name.replace('_', '.', 1)}", text)


@pytest.mark.parametrize("version", [1, 2])
def test_what_services_hold_is_told_without_what_they_could_give_back(host, version):
    def group(path, used, cached):
        name, cache = ("memory.usage_in_bytes", "total_inactive_file") if version == 1 else ("memory.current", "inactive_file")
        folder = "sys/fs/cgroup/memory/lxc/web1" if version == 1 else "sys/fs/cgroup"
        host.write(f"{folder}/system.slice/{path}/{name}", f"{used * 2**20}\n")
        host.write(f"{folder}/system.slice/{path}/memory.stat", f"anon 1\n{cache} {cached * 2**20}\n")

    init(host, "4:memory:/lxc/web1" if version == 1 else "0::/init.scope")
    group("mariadb.service", 200, 88)
    group("system-postgresql.slice/postgresql@15-other.service", 70, 10)
    group(f"docker-{'0a' * 32}.scope", 200, 0)
    group(f"docker-{'1b' * 32}.scope", 100, 0)
    group("var-lib-docker.mount", 5, 0)
    assert limits.service_memory(host.root) == {"docker": 300, "mariadb.service": 112, "postgresql@15-other.service": 60}


# --- memory ------------------------------------------------------------------------------------------------------


def _bare(host):
    init(host, "0::/init.scope")
    v2(host, "")


def _no_cgroups(_host):
    pass


def _v2_container(host):
    init(host, "0::/init.scope")
    v2(host, "", memory_max=2 * GB)


def _v2_container_without_limit(host):
    init(host, "0::/init.scope")
    v2(host, "", memory_max="max")


def _v2_nested(host):
    init(host, "0::/machine.slice/box/init.scope")
    v2(host, "/machine.slice", memory_max=3 * GB)
    v2(host, "/machine.slice/box", memory_max=4 * GB)


def _v2_services_limited(host):
    init(host, "0::/init.scope")
    v2(host, "", memory_max="max")
    v2(host, "/system.slice", memory_max=GB)


def _v2_login_limited(host):
    init(host, "0::/init.scope")
    v2(host, "/user.slice", memory_max=GB)
    host.write("proc/self/cgroup", "0::/user.slice/session-1.scope\n")


def _v2_more_than_the_machine(host):
    init(host, "0::/")
    v2(host, "", memory_max=64 * GB)


def _v1_sentinel(host):
    init(host, "4:memory:/init.scope", "1:name=systemd:/init.scope")
    memory_v1(host, "", V1_NONE, memory_stat=f"cache 1\nhierarchical_memory_limit {V1_NONE}\n")


def _v1_limit_of_2_to_60(host):
    init(host, "4:memory:/")
    memory_v1(host, "", 2**60)


def _v1_nested(host):
    init(host, "4:memory:/docker/abc/init.scope", "0::/docker/abc/init.scope")
    memory_v1(host, "", V1_NONE)
    memory_v1(host, "/docker", 5 * GB)
    memory_v1(host, "/docker/abc", 6 * GB)
    host.write("sys/fs/cgroup/unified/cgroup.procs", "")


def _v1_only_own_part_mounted(host):
    init(host, "4:memory:/docker/abc")
    memory_v1(host, "", 2 * GB)


def _v1_limit_above_what_is_mounted(host):
    init(host, "4:memory:/lxc/box")
    memory_v1(host, "", V1_NONE, memory_stat=f"hierarchical_memory_limit {3 * GB}\n")


def _v2_outside_of_the_namespace(host):
    init(host, "0::/../../other")
    v2(host, "", memory_max=2 * GB)


MEMORY = [
    (_bare, 8192, None, "MemTotal of the machine"),
    (_no_cgroups, 8192, None, "MemTotal of the machine"),
    (_v2_container, 2048, 2048, "cgroup limit /sys/fs/cgroup/memory.max"),
    (_v2_container_without_limit, 8192, None, "MemTotal of the machine"),
    (_v2_nested, 3072, 3072, "cgroup limit /sys/fs/cgroup/machine.slice/memory.max"),
    (_v2_services_limited, 1024, 1024, "cgroup limit /sys/fs/cgroup/system.slice/memory.max"),
    (_v2_login_limited, 8192, None, "MemTotal of the machine"),
    (_v2_more_than_the_machine, 8192, 65536, "MemTotal of the machine"),
    (_v1_sentinel, 8192, None, "MemTotal of the machine"),
    (_v1_limit_of_2_to_60, 8192, None, "MemTotal of the machine"),
    (_v1_nested, 5120, 5120, "cgroup limit /sys/fs/cgroup/memory/docker/memory.limit_in_bytes"),
    (_v1_only_own_part_mounted, 2048, 2048, "cgroup limit /sys/fs/cgroup/memory/memory.limit_in_bytes"),
    (_v1_limit_above_what_is_mounted, 3072, 3072, "cgroup limit /sys/fs/cgroup/memory/memory.stat"),
    (_v2_outside_of_the_namespace, 2048, 2048, "cgroup limit /sys/fs/cgroup/memory.max"),
]


@pytest.mark.parametrize(("build", "memory_mb", "limit_mb", "bound"), MEMORY, ids=[row[0].__name__ for row in MEMORY])
def test_memory(host, build, memory_mb, limit_mb, bound):
    build(host)
    found = limits.memory(host.root)
    assert (found["memory_mb"], found["limit_mb"], found["bound"]) == (memory_mb, limit_mb, bound)
    assert found["total_mb"] == 8192
    assert found["available_mb"] <= memory_mb


def test_available_memory_is_what_the_limit_leaves(host):
    init(host, "0::/")
    v2(host, "", memory_max=2 * GB, memory_current=GB + GB // 2, memory_stat=f"anon 1\ninactive_file {GB // 2}\n")
    assert limits.memory(host.root)["available_mb"] == 1024
    host.write("sys/fs/cgroup/memory.current", "not a number")
    init(host, "4:memory:/")
    memory_v1(host, "", 2 * GB, memory_usage_in_bytes=f"{GB}\n", memory_stat="total_inactive_file 0\n")
    assert limits.memory(host.root)["available_mb"] == 1024


def test_swap_is_limited_too(host):
    init(host, "0::/")
    v2(host, "")
    assert limits.memory(host.root)["swap_mb"] == 2048
    host.write("sys/fs/cgroup/memory.swap.max", "0\n")
    assert limits.memory(host.root)["swap_mb"] == 0
    init(host, "4:memory:/")
    memory_v1(host, "", GB, memory_memsw_limit_in_bytes="x")
    host.write("sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", str(GB + 512 * 2**20))
    assert limits.memory(host.root)["swap_mb"] == 512


# --- CPU ---------------------------------------------------------------------------------------------------------

CPUS = [
    ("bare", ["0::/"], {}, "0-3", (4, 4, None, 4)),
    ("quota rounds up", ["0::/"], {"cpu.max": "150000 100000"}, "0-3", (4, 4, 1.5, 2)),
    ("quota below one", ["0::/"], {"cpu.max": "20000 100000"}, "0-3", (4, 4, 0.2, 1)),
    ("no quota", ["0::/"], {"cpu.max": "max 100000"}, "0-3", (4, 4, None, 4)),
    ("quota above the machine", ["0::/"], {"cpu.max": "800000 100000"}, "0-3", (4, 4, 8.0, 4)),
    ("affinity", ["0::/"], {}, "1,3", (4, 2, None, 2)),
    ("affinity names processors that are off", ["0::/"], {}, "0-127", (4, 4, None, 4)),
    ("both", ["0::/"], {"cpu.max": "100000 100000"}, "0-2", (4, 3, 1.0, 1)),
    ("nested", ["0::/a/b"], {"a/cpu.max": "100000 100000", "a/b/cpu.max": "300000 100000"}, "0-3", (4, 4, 1.0, 1)),
    ("version 1", ["3:cpu,cpuacct:/box"], {"cpu,cpuacct/box/cpu.cfs_quota_us": "250000", "cpu,cpuacct/box/cpu.cfs_period_us": "100000"},
     "0-3", (4, 4, 2.5, 3)),
    ("version 1 alone", ["3:cpu:/"], {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, "0-3", (4, 4, 0.5, 1)),
    ("version 1 without", ["3:cpu,cpuacct:/"], {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
     "0-3", (4, 4, None, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("groups", "files", "allowed", "expected"), [row[1:] for row in CPUS], ids=[row[0] for row in CPUS])
def test_cpus(host, groups, files, allowed, expected):
    init(host, *groups)
    host.write("proc/1/status", f"Name:\tinit\nCpus_allowed:\tf\nCpus_allowed_list:\t{allowed}\n")
    host.write("sys/fs/cgroup/cgroup.procs", "")
    for name, text in files.items():
        host.write(f"sys/fs/cgroup/{name}", f"{text}\n")
    found = limits.cpu(host.root)
    assert (found["online"], found["affinity"], found["quota"], found["cpus"]) == expected
    assert found["bound"]


def test_cpus_of_a_host_that_tells_nothing(tmp_path):
    assert limits.cpu(str(tmp_path))["cpus"] >= 1


# --- disks, distribution, packages, paths ------------------------------------------------------------------------

MOUNTS = r"""overlay / overlay rw 0 0
proc /proc proc rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/vda1 /srv/a\040b ext4 rw 0 0
/dev/vda1 /mnt/again ext4 rw 0 0
/dev/vdb /etc/hosts ext4 rw 0 0
/dev/loop0 /snap/core squashfs ro 0 0
tank/data /tank zfs rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdc /gone xfs rw 0 0
broken
"""


def test_disks(host):
    host.write("proc/self/mounts", MOUNTS)
    host.write("etc/hosts", "")
    for folder in ("srv/a b", "mnt/again", "tank", "home", "snap/core", "gone"):
        os.makedirs(f"{host.root}/{folder}", exist_ok=True)
    asked = []

    def statvfs(point):
        asked.append(point)
        if point == "/gone":
            raise OSError(5, "Input/output error")
        return types.SimpleNamespace(f_blocks=10 * 256, f_frsize=4096, f_bavail=4 * 256, f_favail=77)

    found = snapshot.disks(host.root, statvfs)
    assert found["/"] == {"total_mb": 10, "free_mb": 4, "inodes_free": 77, "fstype": "overlay"}
    assert set(found) == {"/", "/tank", "/srv/a b"}
    assert "/home" not in asked


def test_distribution(host):
    host.write(
        "etc/os-release",
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
    )
    assert snapshot.distribution(host.root) == {
        "id": "debian", "version": "12", "codename": "bookworm", "name": "Debian GNU/Linux 12 (bookworm)",
    }  # fmt: skip


def test_distribution_unknown(tmp_path):
    assert snapshot.distribution(str(tmp_path)) == dict.fromkeys(("id", "version", "codename", "name"), "")


@pytest.mark.parametrize(
    ("file", "version"),
    [
        ("usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", 252),
        ("usr/lib/systemd/libsystemd-shared-249.so", 249),
        ("usr/lib/aarch64-linux-gnu/systemd/libsystemd-shared-257.7-1.so", 257),
        ("usr/lib/x86_64-linux-gnu/libc.so", 0),
    ],
)
def test_systemd_version(host, file, version):
    host.write(file, "")
    assert snapshot.systemd_version(host.root) == version


STATUS = """Package: adduser
Status: install ok installed
Priority: important
Version: 3.134
Description: add and remove users
 Version: not this one
 .
 More.

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: half
Status: install ok half-configured
Version: 2.0

Package: held
Status: hold ok installed
Version: 1:3.0-1
"""


def test_packages(host):
    assert snapshot.packages(host.root) == {}
    host.write("var/lib/dpkg/status", STATUS)
    assert snapshot.packages(host.root) == {"adduser": "3.134", "held": "1:3.0-1"}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, []),  # removed, or never there
        ({"etc/nginx/nginx.conf": "user www-data;\n"}, []),
        ({"etc/nginx/nginx.conf": "user www-data;\nstream {}\n"}, ["/etc/nginx/nginx.conf"]),
        ({"etc/nginx/sites-available/default": "server {}\n"}, []),  # no package says how it was
    ],
)
def test_what_somebody_has_changed_of_a_package_s_files(host, files, found):
    digest = hashlib.md5(b"user www-data;\n", usedforsecurity=False).hexdigest()
    host.write("var/lib/dpkg/status", f"Package: nginx-common\nConffiles:\n /etc/nginx/nginx.conf {digest}\nDescription: x\n")
    for name, text in files.items():
        host.write(name, text)
    assert snapshot.edited(host.root) == found


def test_paths(host):
    host.write("srv/shop/x", "1")
    os.chmod(f"{host.root}/srv/shop/x", 0o640)
    os.chmod(f"{host.root}/srv/shop", 0o2755)
    host.link("srv/shop/current", "releases/7")
    os.mkfifo(f"{host.root}/srv/shop/pipe")
    found = snapshot.paths(["/srv/*", "/srv/shop/*", "/nothing/*", "/srv/shop"], host.root)
    assert {path: (item["type"], item["target"]) for path, item in found.items()} == {
        "/srv/shop": ("directory", None),
        "/srv/shop/x": ("file", None),
        "/srv/shop/current": ("link", "releases/7"),
        "/srv/shop/pipe": ("other", None),
    }
    assert (found["/srv/shop"]["mode"], found["/srv/shop/x"]["mode"]) == ("2755", "0640")
    assert found["/srv/shop/x"]["owner"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, {}),
        ('{"version": 1, "plan": {"cpus": 2}}', {"cpus": 2}),
        ('{"version": 1}', {}),
        ('{"plan": [1]}', {}),
        ("[]", {}),
        ('{"plan": {"cpus"', {}),
    ],
)
def test_the_plan_that_the_host_has_been_given(host, text, found):
    if text is not None:
        host.write("etc/mainstay/plan.json", text)
    assert snapshot.applied_plan(host.root) == found


# --- units -------------------------------------------------------------------------------------------------------


def _unit(name, state, file_state, names=""):
    return {"Id": name, "Names": names or name, "ActiveState": state, "UnitFileState": file_state}


# unit, its state, state of its file; is it running, active, enabled, failed
UNITS = [
    ("nginx.service", "active", "enabled", "rae"),
    ("off.service", "inactive", "enabled", "e"),
    ("once.service", "active", "disabled", "a"),
    ("dbus.service", "active", "static", "ra"),
    ("boot.mount", "active", "generated", "ra"),
    ("side.service", "active", "indirect", "ra"),
    ("other.service", "active", "alias", "ra"),
    ("until.service", "active", "enabled-runtime", "a"),
    ("passing.service", "active", "transient", "a"),
    ("postgresql@15-main.service", "active", "enabled-runtime", "ra"),
    ("redis-server@queue.service", "active", "enabled", "rae"),
    ("shop-web@8000.service", "active", "disabled", "ra"),
    ("slow.service", "activating", "enabled", "e"),
    ("again.service", "reloading", "enabled", "rae"),
    ("broken.service", "failed", "enabled", "ef"),
    ("dev.device", "active", "", "a"),
]


@pytest.mark.parametrize(("name", "state", "file_state", "expected"), UNITS)
def test_units(name, state, file_state, expected):
    links = {"postgresql@15-main.service", "shop-web@.service"}
    found = units.states([_unit(name, state, file_state)], set(), links)
    assert "".join(kind[0] for kind in ("running", "active", "enabled", "failed_units") if name in found[kind]) == expected


def test_limits_of_memory_are_those_of_what_is_active():
    shown = [
        {**_unit("nginx.service", "active", "enabled"), "MemoryMax": "200278016"},
        {**_unit("cron.service", "active", "enabled"), "MemoryMax": "infinity"},
        {**_unit("off.service", "inactive", "enabled"), "MemoryMax": "200278016"},
        _unit("a.mount", "active", "generated"),
    ]
    assert units.states(shown, set(), set())["memory_max_mb"] == {"nginx.service": 191}


def test_aliases_count_as_the_unit():
    found = units.states([_unit("ssh.service", "active", "enabled", "ssh.service sshd.service")], set(), set())
    assert found["running"] == found["enabled"] == ["ssh.service", "sshd.service"]


def test_links_that_enable(host):
    wants = "etc/systemd/system/multi-user.target.wants"
    host.write("usr/lib/systemd/system/a.service", "")
    host.link(f"{wants}/a.service", "/usr/lib/systemd/system/a.service")
    host.link(f"{wants}/removed.service", "/usr/lib/systemd/system/removed.service")
    host.link(f"{wants}/masked.service", "/usr/lib/systemd/system/a.service")
    host.link("etc/systemd/system/masked.service", "/dev/null")
    host.write("etc/systemd/system/shop.target.requires/b.service", "")
    host.link("run/systemd/generator/postgresql.service.wants/postgresql@15-main.service", "/usr/lib/systemd/system/a.service")
    host.link("run/systemd/system/multi-user.target.wants/until.service", "/usr/lib/systemd/system/a.service")
    host.link("usr/lib/systemd/system/sysinit.target.wants/c.service", "../a.service")
    enabled, packaged = units.unit_links(host.root)
    assert enabled == {"a.service", "b.service"}
    assert packaged == {"postgresql@15-main.service", "c.service"}


# --- postgresql --------------------------------------------------------------------------------------------------


def cluster(host, version="15", name="main", conf="port = 5432\t# (change requires restart)\n", online=5432):
    host.write(f"etc/postgresql/{version}/{name}/postgresql.conf", conf)
    if online:
        sockets = f"Num RefCount\nffff: 00000002 0 00010000 0001 01 99 /var/run/postgresql/.s.PGSQL.{online}\n"
        host.write("proc/net/unix", sockets)


def test_clusters(host):
    assert databases.clusters(host.root) == []
    cluster(host)
    cluster(host, "16", "test", "#port = 5432\nport = 5433\nport=5434\n", online=None)
    host.write("etc/postgresql/16/test/conf.d/60-port.conf", "port '5435'\n")
    assert databases.clusters(host.root) == [
        {"version": "15", "name": "main", "port": 5432, "status": "online"},
        {"version": "16", "name": "test", "port": 5435, "status": "down"},
    ]


def test_psql_is_the_clusters_own_where_it_is_there(host):
    item = {"version": "15", "name": "main", "port": 5433}
    assert databases.psql_command(item, host.root)[0] == "psql"
    host.write("usr/lib/postgresql/15/bin/psql", "")
    command = databases.psql_command(item, host.root)
    assert command[0] == "/usr/lib/postgresql/15/bin/psql"
    assert command[command.index("-p") + 1] == "5433"
    assert command[-2:] == ["-f", "-"]
    assert "sha256(convert_to(rolpassword" in databases.psql_script()
    assert len(databases.psql_script()) < 65536, "a pipe takes it at once"
    assert "datistemplate" not in databases.psql_script(), "an app may call its own database one, and it would be made again in each run"


def test_nothing_in_an_app_s_database_is_asked_before_its_path_is_ours():
    """What the app has set there, or put into its schema `public`, would be what the superuser's query means."""
    _cluster, *insides = databases.psql_script().split(r"\connect ")
    assert len(insides) == databases.DATABASES_LOOKED_INTO
    assert {inside.split("\n")[1] for inside in insides} == {""}
    (listed,) = re.findall(r"dbname=.*options=''(.*?)''", _cluster)
    assert listed == superuser.options() and " -c search_path= " in f"{listed} " and "'" not in listed


# --- mariadb -----------------------------------------------------------------------------------------------------

NO_MARIADB = {"databases": {}, "users": {}, "limits": {}, "grants": {}}
MARIADB_LINES = (
    "databases\tshop\tutf8mb4\nusers\tshop@127.0.0.1\tab12\nlimits\tshop@127.0.0.1\t30\n"
    "grants\tshop@127.0.0.1\tshop\ngrants\tshop@127.0.0.1\t*\n"
)


def mariadb_socket(host, path="/run/mysqld/mysqld.sock"):
    host.write("proc/net/unix", f"Num RefCount\nffff: 00000002 0 00010000 0001 01 99 {path}\n")


@pytest.mark.parametrize(
    ("path", "up"),
    [
        ("/run/mysqld/mysqld.sock", True),
        ("/var/run/mysqld/mysqld.sock", True),
        ("/run/mysqld/mysqld.sock.old", False),
        ("/srv/x/run/mysqld/mysqld.sock", False),
    ],
)
def test_mariadb_is_up_where_debian_s_socket_is_open(host, path, up):
    assert not databases.mariadb_is_up(host.root)
    mariadb_socket(host, path)
    assert databases.mariadb_is_up(host.root) is up


def test_mariadb_tells_databases_accounts_and_grants(host):
    mariadb_socket(host)
    programs = Programs(mariadb=MARIADB_LINES)
    found = snapshot.collect({"mariadb": True}, host.root, programs, euid=0)
    assert ("mariadb", None) in programs.started
    assert found["notes"] == []
    assert found["mariadb"] == {
        "databases": {"shop": "utf8mb4"},
        "users": {"shop@127.0.0.1": "ab12"},
        "limits": {"shop@127.0.0.1": 30},
        "grants": {"shop@127.0.0.1": ["*", "shop"]},
    }


@pytest.mark.parametrize(
    ("euid", "answer", "note"),
    [
        (0, None, "mariadb: mariadb is not installed"),
        (0, "rubbish\n", "mariadb: the answer cannot be read"),
        (0, "tables\ta\tb\n", "mariadb: the answer cannot be read"),
        (1000, "", "mariadb: only root may ask it; run the task with become: true"),
    ],
)
def test_a_mariadb_that_does_not_tell_is_a_note(host, euid, answer, note):
    mariadb_socket(host)
    found = snapshot.collect({"mariadb": True}, host.root, Programs(mariadb=answer), euid=euid)
    assert note in found["notes"]
    assert found["mariadb"] == NO_MARIADB


def test_a_mariadb_that_is_down_is_not_asked(host):
    programs = Programs(mariadb=MARIADB_LINES)
    found = snapshot.collect({"mariadb": True}, host.root, programs, euid=0)
    assert (programs.started, found["mariadb"]) == ([("systemd-detect-virt", None)], NO_MARIADB)


# --- all of it ---------------------------------------------------------------------------------------------------

KEYS = {
    "memory_mb", "memory", "cpus", "cpu", "swap_mb", "disks", "virtualization", "container", "distribution", "architecture",
    "kernel", "kernel_limits", "systemd_version", "packages", "running", "active", "enabled", "failed_units", "listeners", "ssh_ports", "paths",
    "postgresql", "mariadb", "notes", "users", "homes", "groups", "unit_files", "service_memory_mb", "memory_max_mb", "applied_plan", "ipv6",
    "client_address", "login_port", "packet_filters", "supply", "footing", "edited", "masked", "sshd", "undone", "rotated",
}  # fmt: skip
ALL = {"packages": True, "units": True, "listeners": True, "postgresql": True, "mariadb": True, "paths": ["/etc/*"]}


NOTHING = {
    "databases": {},
    "roles": {},
    "settings": {},
    "limits": {},
    "monitors": [],
    "preloaded": [],
    "open": [],
    "extensions": {},
    "indexes": {},
}


class Programs:
    """Stands for the programs that are started; remembers them."""

    def __init__(self, **answers):
        self.answers = answers
        self.started = []

    def __call__(self, command, user=None, script=None):
        name = command[0].rpartition("/")[2]
        self.started.append((name, user))
        answer = self.answers.get(name.replace("-", "_"))
        text = answer if isinstance(answer, str) else None
        return types.SimpleNamespace(finish=lambda _seconds: text, reason="" if text else f"{name} is not installed")


def test_kernel_limits(host):
    assert limits.kernel_limits(host.root) == {}
    host.write("proc/sys/fs/file-max", "9223372036854775807\n")
    assert limits.kernel_limits(host.root) == {"fs.file-max": 2**63 - 1}


def test_an_empty_host_gives_every_key_and_notes(tmp_path):
    found = snapshot.collect(ALL, str(tmp_path), Programs(), euid=0)
    assert set(found) == KEYS
    assert set(found["memory"]) == {"total_mb", "limit_mb", "available_mb", "bound"}
    assert set(found["cpu"]) == {"online", "affinity", "quota", "bound"}
    assert (found["memory_mb"], found["packages"], found["listeners"], found["running"]) == (0, {}, [], [])
    assert (found["virtualization"], found["container"]) == ("none", False)
    assert [note.partition(":")[0] for note in found["notes"]] == ["memory", "packages", "units"]


def test_what_is_not_asked_for_is_empty_and_costs_nothing(host):
    cluster(host)
    host.write("run/systemd/system/x", "")
    host.write("var/lib/dpkg/status", STATUS)
    host.listen("0.0.0.0", 22, 1)
    programs = Programs(systemd_detect_virt="kvm\n")
    found = snapshot.collect({}, host.root, programs, euid=0)
    assert set(found) == KEYS
    assert programs.started == [("systemd-detect-virt", None)]
    assert (found["packages"], found["listeners"], found["ssh_ports"], found["running"]) == ({}, [], [], [])
    assert found["postgresql"] == {"clusters": [], **NOTHING}
    assert found["mariadb"] == NO_MARIADB
    assert (found["virtualization"], found["container"], found["notes"]) == ("kvm", False, [])


SHOW = """Id=ssh.socket
Names=ssh.socket
ActiveState=active
UnitFileState=enabled
Listen=0.0.0.0:22 (Stream)

Id=nginx.service
Names=nginx.service
ActiveState=failed
UnitFileState=enabled
"""


def test_a_whole_host(host, monkeypatch):
    monkeypatch.setattr(snapshot.os, "geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", lambda _name: types.SimpleNamespace(pw_uid=117))
    init(host, "0::/init.scope")
    cluster(host)
    host.write("run/systemd/system/x", "")
    host.write("etc/hostname", "web1\n")
    host.write("var/lib/dpkg/status", STATUS)
    host.process(1, "systemd", start=1, cgroup="/init.scope", inodes=(1,))
    host.listen("0.0.0.0", 22, 1)
    host.process(60, "named", start=9, uid=NOBODY, cgroup="/system.slice/named.service", inodes=(2,))
    host.listen("127.0.0.1", 53, 2, "udp")
    answer = {"databases": {"shop": "shop"}, "roles": {"shop": "ab" * 32, "postgres": ""}}
    inside = {"database": "shop", "extensions": ["plpgsql"], "indexes": {"public.i": {"table": "t"}}}
    told = f"{json.dumps(answer)}\n{json.dumps(inside)}\n"
    programs = Programs(systemctl=SHOW, systemd_detect_virt="lxc\n", psql=told)
    found = snapshot.collect(ALL, host.root, programs)
    assert set(found) == KEYS
    assert found["notes"] == []
    assert sorted(programs.started) == [("psql", "postgres"), ("systemctl", None), ("systemd-detect-virt", None)]
    assert (found["virtualization"], found["container"]) == ("lxc", True)
    assert (found["running"], found["failed_units"], found["enabled"]) == (
        ["ssh.socket"],
        ["nginx.service"],
        ["nginx.service", "ssh.socket"],
    )
    assert found["listeners"] == [
        {"protocol": "tcp", "address": "0.0.0.0", "port": 22, "pid": 1, "name": "systemd", "user": "root", "unit": "ssh.socket"},
        {"protocol": "udp", "address": "127.0.0.1", "port": 53, "pid": 60, "name": "named", "user": "nobody", "unit": "named.service"},
    ]  # fmt: skip
    assert found["ssh_ports"] == [22]
    assert found["postgresql"] == {
        "clusters": [{"version": "15", "name": "main", "port": 5432, "status": "online"}],
        **NOTHING,
        **answer,
        "extensions": {"shop": ["plpgsql"]},
        "indexes": {"shop": {"public.i": {"table": "t"}}},
    }
    assert found["paths"]["/etc/hostname"]["type"] == "file"
    json.dumps(found)


@pytest.mark.parametrize(
    ("euid", "answer", "note"),
    [
        (0, None, "postgresql: psql is not installed"),
        (0, "rubbish", "postgresql: the answer cannot be read"),
        (1000, "{}", "postgresql: only root and postgres may ask it; run the task with become: true"),
    ],
)
def test_a_database_that_does_not_tell_is_a_note(host, monkeypatch, euid, answer, note):
    monkeypatch.setattr("pwd.getpwnam", lambda _name: types.SimpleNamespace(pw_uid=117))
    cluster(host)
    found = snapshot.collect({"postgresql": True}, host.root, Programs(psql=answer), euid=euid)
    assert found["notes"][-1] == note
    assert (found["postgresql"]["databases"], found["postgresql"]["roles"]) == ({}, {})
    assert found["postgresql"]["clusters"][0]["status"] == "online"


def test_a_cluster_that_is_down_is_not_asked(host):
    cluster(host, online=None)
    programs = Programs()
    snapshot.collect({"postgresql": True}, host.root, programs, euid=0)
    assert programs.started == [("systemd-detect-virt", None)]


def test_the_postgres_user_asks_for_itself(host, monkeypatch):
    monkeypatch.setattr("pwd.getpwnam", lambda _name: types.SimpleNamespace(pw_uid=117))
    cluster(host)
    programs = Programs(psql='{"databases": {}, "roles": {}}')
    snapshot.collect({"postgresql": True}, host.root, programs, euid=117)
    assert ("psql", None) in programs.started


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({}, "none"),
        ({"run/systemd/container": "lxc\n"}, "lxc"),
        ({".dockerenv": ""}, "docker"),
        ({"proc/cpuinfo": "flags : fpu hypervisor lahf_lm\n"}, "vm-other"),
    ],
)
def test_virtualization_without_the_tool(host, files, kind):
    for name, text in files.items():
        host.write(name, text)
    assert snapshot.virtualization_by_files(host.root) == kind


# --- programs, for real ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "output", "reason"),
    [
        (["sh", "-c", "echo yes"], "yes\n", ""),
        (["sh", "-c", "echo none; exit 1"], "none\n", ""),
        (["sh", "-c", "echo wrong >&2; exit 2"], None, "sh failed: wrong"),
        (["sh", "-c", "exit 2"], None, "sh failed: exit status 2"),
        (["/nowhere/x"], None, "/nowhere/x is not installed"),
        (["sleep", "9"], None, "sleep gave no answer within 0.2 s"),
    ],
)
def test_programs(command, output, reason):
    program = snapshot.Started(command)
    assert program.finish(5 if command[0] != "sleep" else 0.2) == output
    assert program.reason == reason


def test_a_program_reads_its_script():
    program = snapshot.Started(["cat"], script="one\ntwo\n")
    assert program.finish(5) == "one\ntwo\n"
    program = snapshot.Started(["false"], script="x" * 100000)
    assert program.finish(5) is None and program.reason == "false failed: exit status 1"


def test_a_user_that_does_not_exist_is_no_error():
    program = snapshot.Started(["true"], user="nobody-has-this-name")
    assert program.finish(5) is None
    assert "cannot be started" in program.reason


def test_this_very_host():
    found = snapshot.collect({**ALL, "postgresql": False, "mariadb": False})
    assert found["memory_mb"] > 0
    assert found["cpus"] >= 1
    assert "/" in found["disks"]
    json.dumps(found)
