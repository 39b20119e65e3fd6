# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import fnmatch

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import removal
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

UNITS = "/etc/systemd/system"
# As found on a host of the lab, with an app whose name begins with the first one's, and places that are somebody else's.
LINKS = {
    "/srv/old/current": "releases/abc",
    f"{UNITS}/old.target.wants/old-web@8000.service": "../old-web@.service",
    f"{UNITS}/multi-user.target.wants/old.target": "../old.target",
    "/var/lib/mainstay/backend/old-web": "abc:12ef:8000",
    "/var/lib/mainstay/backend/old-b-web": "abc:12ef:8100",
    "/var/lib/mainstay/redis/old-queue": "6379",
}
FILES = [
    "/etc/mainstay/old/env",
    f"{UNITS}/old.target",
    f"{UNITS}/old-web@.service",
    f"{UNITS}/old-b-web@.service",
    f"{UNITS}/old-web@.service.d/00-limits.conf",
    f"{UNITS}/old-web@.service.d/override.conf",
    f"{UNITS}/old-b-web@.service.d/00-limits.conf",
    f"{UNITS}/run-old.mount",
    "/etc/redis/redis-old-queue.conf",
    f"{UNITS}/redis-server@old-queue.service.d/mainstay.conf",
    "/run/mainstay-release/old.lock",
    "/var/lib/systemd/timers/stamp-old-tick@1.timer",
    "/var/lib/systemd/timers/stamp-old-b-tick@1.timer",
]
FOLDERS = [
    "/etc/mainstay/old",
    f"{UNITS}/old.target.wants",
    f"{UNITS}/redis-server@old-queue.service.d",
    f"{UNITS}/old-web@.service.d",
    f"{UNITS}/old-b-web@.service.d",
    "/srv/old",
    "/srv/old/releases",
    "/srv/old/shared",
    "/srv/old/mine",
    "/var/cache/mainstay/old",
    "/var/lib/redis/old-cache",
    "/var/lib/redis/old-queue",
    "/run/old",
]
PATHS = {
    **{path: {"type": "link", "target": target} for path, target in LINKS.items()},
    **{path: {"type": "file"} for path in FILES},
    **{path: {"type": "directory", "owner": "root"} for path in FOLDERS},
    "/var/lib/old": {"type": "directory", "owner": "old"},
}
HOST = {
    "paths": PATHS,
    "active": [
        "nginx.service",
        "old.target",
        "old-web@8000.service",
        "old-tick@1.timer",
        "old-b-web@8100.service",
        "redis-server@old-queue.service",
        "run-old.mount",
    ],
    "enabled": ["old.target", "redis-server@old-queue.service", "nginx.service"],
    "failed_units": ["old-tick@1.service", "other.service"],
    "homes": {"old": "/srv/old", "old-build": "/nonexistent", "root": "/root"},
    "postgresql": {"databases": {"old": "old"}, "limits": {"old": 14}},
}
KNOWN = {"paths": {f"/etc/mainstay/{name}/env": {} for name in ("shop", "old", "old-b")}}
BARE = {"homes": {"root": "/root"}, "paths": {}}


def _removal(name="old", data=False, found=None, hosts=(KNOWN,)):
    return removal.removal({"app": name, "data": data}, SHOP, found or HOST, hosts)


def test_everything_that_runs_an_app_goes_and_nothing_of_its_neighbours():
    done = _removal()
    units = ["old-tick@1.timer", "old-web@8000.service", "old.target", "redis-server@old-queue.service"]
    assert done["stopped"] == [*units, r"system-old\x2dweb.slice"]
    assert (done["disabled"], done["mounts"], done["failed"]) == (
        ["redis-server@old-queue.service"],
        ["run-old.mount"],
        ["old-tick@1.service"],
    )
    gone = {entry["dest"] for entry in done["files"] if entry.get("state") == "absent"}
    neighbours = {path for path in PATHS if "old-b" in path}
    assert gone == {path for path in {*FILES, *LINKS, *FOLDERS[:5]} - neighbours if not path.startswith(("/srv/", "/run/"))}
    assert done["files"][-1] == {
        "dest": "/var/lib/mainstay/removed/old",
        "link": "postgresql,/srv/old/shared,/var/lib/redis/old-queue,/var/lib/old",
    }
    assert done["folders"] == [
        "/run/mainstay-release/old.lock",
        "/run/old",
        "/srv/old/current",
        "/srv/old/releases",
        "/var/cache/mainstay/old",
        "/var/lib/redis/old-cache",
    ]
    assert (done["users"], done["accounts"], done["archived"]) == (["old-build"], ["old-build", "old"], {})
    assert (done["goes"], done["release"]) == (True, "abc")


def test_with_its_data_a_dump_comes_first():
    done = _removal(data=True)
    assert done["archived"] == {"folders": ["srv/old/shared", "var/lib/redis/old-queue", "var/lib/old"], "databases": ["postgresql"]}
    assert done["folders"] == [
        "/run/mainstay-release/old.lock",
        "/run/old",
        "/srv/old",
        "/var/cache/mainstay/old",
        "/var/lib/old",
        "/var/lib/redis/old-cache",
        "/var/lib/redis/old-queue",
    ]
    assert done["users"] == ["old-build", "old"]


@pytest.mark.parametrize(
    ("unit", "data", "mounted"),
    [
        ("srv-old-shared.mount", True, ["/srv/old/shared"]),
        ("srv-old-shared.mount", False, []),  # that stays
        ("srv-old-releases.mount", False, ["/srv/old/releases"]),
        ("srv-old-volumes-a\\x2db.mount", True, ["/srv/old/volumes/a-b"]),
        ("srv-old.mount", True, ["/srv/old"]),
        ("srv.mount", True, []),
        ("srv-old\\x2db.mount", True, []),
        ("run-old.mount", True, []),  # its own, which is unmounted
        ("-.mount", True, []),
    ],
)
def test_what_something_is_mounted_on_is_not_removed(unit, data, mounted):
    assert _removal(data=data, found={**HOST, "active": [*HOST["active"], unit]})["mounted"] == mounted


def test_a_folder_of_state_that_is_another_program_s_stays():
    found = {**HOST, "paths": {**PATHS, "/var/lib/old": {"type": "directory", "owner": "root"}}}
    done = _removal(data=True, found=found)
    assert "/var/lib/old" not in [*done["folders"], *done["kept"]] and "var/lib/old" not in done["archived"]["folders"]


def test_what_is_looked_for_is_what_may_go():
    globs = removal.places("old")
    assert all(any(fnmatch.fnmatchcase(path, pattern) for pattern in globs) for path in PATHS)


RECORD = {"/var/lib/mainstay/removed/old": {"type": "link", "target": "/srv/old/shared"}}
KEPT = {
    "homes": {"old": "/srv/old"},
    "paths": {**RECORD, **{path: {"type": "directory", "owner": "root"} for path in ("/srv/old", "/srv/old/shared")}},
}

BEGUN = {
    "homes": {"old": "/srv/old", "old-build": "/nonexistent"},
    "paths": {path: {"type": "directory", "owner": "root"} for path in ("/srv/old", "/srv/old/releases", "/srv/old/shared")},
}


@pytest.mark.parametrize(
    ("found", "hosts", "data", "goes", "words"),
    [
        (HOST, [KNOWN], False, True, "old is removed from web1. Its data stays: its database in PostgreSQL, /srv/old/shared,"),
        (HOST, [KNOWN], True, True, "/var/lib/old), of which /var/backups/x has a dump."),
        # A folder, a user or a database of the name is nothing of ours where no host knows the app.
        (HOST, [BARE], True, False, "old: nothing of it is left on web1."),
        (BARE, [KNOWN], True, False, "old: nothing of it is left on web1."),
        (KEPT, [KEPT], False, False, "old: nothing but its data is left on web1: /srv/old/shared. It goes, after a dump, with"),
        (KEPT, [KEPT], True, True, "old is removed from web1, with its data (/srv/old/shared), of which"),
        # Of a host that only holds the database another one knows.
        ({"postgresql": HOST["postgresql"]}, [KEPT, BARE], True, True, "with its data (its database in PostgreSQL)"),
        ({"postgresql": {"databases": {"old": "old"}}}, [KEPT, BARE], True, False, "nothing of it is left"),
        ({"postgresql": {"databases": {"old": "wiki"}, "limits": {"old": 1}}}, [KEPT], True, False, "nothing of it is left"),
        ({"paths": {"/var/lib/old": {"type": "directory", "owner": "root"}}}, [KNOWN], True, False, "nothing of it is left"),
        ({"paths": {path: PATHS[path] for path in FOLDERS if path.startswith("/srv/")}}, [KNOWN], True, False, "nothing of it is left"),
        ({"paths": {"/srv/old": {"type": "link", "target": "/data"}}}, [KNOWN], True, False, "nothing of it is left"),
        ({"homes": {"old": "/home/old", "old-build": "/home/x"}}, [KNOWN], True, False, "nothing of it is left"),
        ({"paths": RECORD}, [{"paths": RECORD}], True, True, "old is removed from web1. It had no data there."),
        # One whose first build failed
        (BEGUN, [BEGUN], True, True, "old is removed from web1, with its data (/srv/old/shared), of which"),
    ],
)
def test_what_is_left_is_told(found, hosts, data, goes, words):
    wanted, done = {"app": "old", "data": data}, _removal(data=data, found=found, hosts=hosts)
    assert done["goes"] is goes
    assert goes or not any(done[part] for part in ("stopped", "disabled", "files", "folders", "users", "accounts", "archived"))
    assert words in removal.told(wanted, done, "web1", "/var/backups/x")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("", False, ["mainstay_app", "Say which one"]),
        ("shop", False, ["mainstay_app: 'shop'", "It is declared", "Take mainstay_apps.shop out", "Nothing has changed"]),
        ("shop-build", True, ["mainstay_app: 'shop-build'", "builds the releases of shop"]),
        *(
            (name, True, ["mainstay_app", "Name an app"])
            for name in ("../x", "Old", "old/..", "old\n", "o" * 26, "-x", "root", "www-data", 7, ["old"])
        ),
        ("old", "perhaps", ["mainstay_data: 'perhaps'", "Write true"]),
    ],
)
def test_what_cannot_be_removed_is_refused(name, data, words):
    with pytest.raises(DeclarationError) as refusal:
        removal.request(SHOP, name, data)
    assert all(word in str(refusal.value) for word in words), refusal.value


@pytest.mark.parametrize(("text", "data"), [(True, True), ("true", True), ("True", True), ("yes", True), (False, False), ("no", False)])
def test_whether_the_data_goes_is_a_clear_word(text, data):
    assert removal.request(SHOP, "old", text) == {"app": "old", "data": data}
