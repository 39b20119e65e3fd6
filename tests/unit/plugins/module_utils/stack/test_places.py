# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and devices of the host that a process may use: which can be given away, and what a host must have for it."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack import apps, places, sandbox
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError

ROOT = {"type": "directory", "owner": "root", "mode": "0755", "target": None}
MEDIA = {"/mnt": ROOT, "/mnt/media": ROOT}


def declared(runtime="python", blog=None, **keys):
    source = {"image": "docker.io/library/httpd:2.4"} if runtime == "container" else {"path": "../shop"}
    found = {"shop": {"runtime": runtime, "source": source, "processes": {"scan": {"command": "scan", **keys}}}}
    if blog:
        found["blog"] = {"source": {"path": "../blog"}, "processes": {"web": {"command": "blog", **blog}}}
    return found


@pytest.mark.parametrize("path", ["/mnt/media/shop", "/data", "/data/a.b/c_d@e", "/media/usb-1", "/export/shop", "/storage/x"])
def test_a_folder_of_its_own_can_be_had(path):
    assert apps.normalise(declared(writable=[path]))["shop"]["processes"]["scan"]["writable"] == [path]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/", "write a folder for it alone"),
        ("data", "an absolute path"),
        ("/data/", "an absolute path"),
        ("/data/../etc", "an absolute path"),
        ("/data/./x", "an absolute path"),
        ("//etc", "an absolute path"),
        ("/data/a b", "an absolute path"),
        ("/data/%h", "an absolute path"),
        ("/data/*", "an absolute path"),
        ("/etc", "/etc is the host's own"),
        ("/etc/systemd/system", "/etc is the host's own"),
        ("/run/postgresql", "/run is the host's own"),
        ("/var/lib/mainstay", "/var is the host's own"),
        ("/var/log", "/var is the host's own"),
        ("/tmp/x", "/tmp is the host's own"),
        ("/dev/shm", "/dev is the host's own"),
        ("/usr/local/bin", "/usr is the host's own"),
        ("/opt/tool", "/opt is the host's own"),
        ("/home/anna", "/home is the host's own"),
        ("/srv/blog/shared", "to no other app's"),
        ("/srv", "to no other app's"),
        ("/mnt", "what others have mounted"),
    ],
)
def test_what_would_give_away_the_host_is_refused(path, words):
    with pytest.raises(DeclarationError) as error:
        apps.normalise(declared(writable=[path]))
    assert words.lower() in str(error.value).lower() and "processes.scan.writable" in str(error.value)


@pytest.mark.parametrize(
    "device", ["/dev/ttyUSB0", "/dev/serial/by-id/usb-x:1.0-if00", "/dev/video0", "/dev/dri/renderD128", "/dev/nvidia0", "/dev/kvm"]
)
def test_a_device_can_be_had(device):
    assert apps.normalise(declared(devices=[device]))["shop"]["processes"]["scan"]["devices"] == [device]


@pytest.mark.parametrize(
    "device",
    ["/dev/sda", "/dev/nvme0n1", "/dev/mem", "/dev/kmsg", "/dev/tty1", "/dev/mapper/root", "/dev/net/tun", "/dev/../etc/x", "ttyUSB0"]
    + ["/dev/ttyUSB0 rwm", "/dev/dri", "/dev/serial/by-id/../../sda", "/dev/ttyUSB*"],
)
def test_what_is_the_host_s_is_refused(device):
    with pytest.raises(DeclarationError, match="(?i)only what gives away nothing of the host"):
        apps.normalise(declared(devices=[device]))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"writable": ["/data", "/data/x"]}, "where shop could put a link in its place"),
        ({"writable": ["/data/x"], "blog": {"writable": ["/data"]}}, "where blog could put a link in its place"),
        ({"writable": ["/data"], "blog": {"writable": ["/data"]}}, "apps share no files"),
        ({"runtime": "container", "writable": ["/data"]}, "declare volumes"),
        ({"runtime": "container", "devices": ["/dev/kvm"]}, "a container gets none"),
        ({"runtime": "container", "allow": ["user_namespaces"]}, "for a process of the host's"),
    ],
    ids=str,
)
def test_what_meets_something_else_is_refused(keys, words):
    with pytest.raises(DeclarationError) as error:
        apps.normalise(declared(**keys))
    assert words in str(error.value)


def test_folders_beside_each_other_are_taken():
    assert apps.normalise(declared(writable=["/data/x", "/data/xy"], blog={"writable": ["/data/blog"]}))


def found(paths, groups=None, **keys):
    return places.missing(apps.normalise(declared(**{"writable": ["/mnt/media/shop"], **keys})), {"paths": paths, "groups": groups}, "web1")


def test_what_is_missing_is_made_and_what_is_there_stays():
    assert found(MEDIA) == [{"path": "/mnt/media/shop", "owner": "shop"}]
    assert found({**MEDIA, "/mnt/media/shop": {**ROOT, "owner": "anna", "mode": "0777"}}) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"/mnt/media": None}, "web1 has no folder /mnt/media"),
        ({"/mnt/media": {**ROOT, "type": "link", "target": "/etc"}}, "/mnt/media is a link to /etc"),
        ({"/mnt/media": {**ROOT, "type": "file"}}, "/mnt/media is no folder"),
        ({"/mnt/media": {**ROOT, "owner": "anna"}}, "/mnt/media is anna's with mode 0755: not root alone"),
        ({"/mnt": {**ROOT, "mode": "0775"}}, "/mnt is root's with mode 0775"),
        ({"/mnt": {**ROOT, "mode": "1777"}}, "/mnt is root's with mode 1777"),
        ({"/mnt/media/shop": {**ROOT, "type": "link", "target": "/etc"}}, "it is a link to /etc"),
        ({"/mnt/media/shop": {**ROOT, "owner": "blog"}}, "it belongs to blog"),
    ],
    ids=str,
)
def test_a_way_that_is_not_root_s_alone_is_refused(change, words):
    paths = {path: entry for path, entry in {**MEDIA, **change}.items() if entry}
    with pytest.raises(DeclarationError) as error:
        found(paths, blog={"allow": []})
    assert words in str(error.value) and "web1" in str(error.value)


def test_a_group_that_is_not_there_is_told():
    assert found(MEDIA, {"dialout": 20}, devices=["/dev/ttyUSB0", "/dev/nvidia0"])
    with pytest.raises(DeclarationError, match="web1 has no group render"):
        found(MEDIA, {"dialout": 20}, devices=["/dev/dri/renderD128"])


def test_the_host_is_asked_for_each_folder_on_the_way():
    own = ["/etc/systemd/system/shop-*@.service", "/etc/systemd/system/shop.target"]
    data = ["/run/shop", "/var/lib/shop"]
    assert places.asked_of_host(declared(writable=["/mnt/media/shop"])) == [*own, "/mnt", "/mnt/media", "/mnt/media/shop", *data]
    for unreadable in ({"shop": {"processes": []}}, declared(writable=["/a*", 1]), declared(writable="/data")):
        assert places.asked_of_host(unreadable) == [*own, *data]
    for unreadable in (None, "x", {"shop": None}, {"a*": {}}):
        assert places.asked_of_host(unreadable) == []


def test_an_exception_stands_in_the_sandbox():
    plain = sandbox.process("shop", "/srv/shop")
    devices, groups = ["/dev/ttyUSB0", "/dev/video0"], ["dialout", "video"]
    lines = sandbox.process("shop", "/srv/shop", ["user_namespaces"], ["/data"], devices, groups)
    assert [line for line in plain if line not in lines and not line.startswith("NoExecPaths=")] == ["RestrictNamespaces=uts"]
    assert [line for line in lines if line not in plain] == [
        *sandbox.OWN_NAMESPACES,
        "ReadWritePaths=/data",
        "DeviceAllow=/dev/ttyUSB0 rw",
        "DeviceAllow=/dev/video0 rw",
        "BindPaths=-/dev/ttyUSB0",
        "BindPaths=-/dev/video0",
        "SupplementaryGroups=dialout",
        "SupplementaryGroups=video",
        "NoExecPaths=/tmp /var/tmp -/srv/shop/shared -/var/lib/shop -/run/shop -/data",
    ]
    assert lines[-1] == sandbox.process("shop", "/srv/shop", others=["/data"])[-1], (
        "what another process has written is not executed, either"
    )
    assert "PrivateDevices=yes" in lines and "DevicePolicy=closed" in lines
