# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.footing import refuse_masked, refuse_no_footing
from ansible_collections.mainstay.vps.plugins.module_utils.host import footing

SUDO = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture
def root(tmp_path):
    for place in footing.PLACES:
        (tmp_path / place.lstrip("/")).mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    return tmp_path


def mounted(root, **flags):
    """A statvfs that says so of these places."""
    return lambda path: SimpleNamespace(f_flag=flags.get(os.path.relpath(path, root).replace("/", "_"), 0))


@pytest.mark.parametrize(
    ("flags", "environ", "found"),
    [
        ({}, SUDO, {}),
        ({"etc": os.ST_NOEXEC, "var_log": os.ST_NOEXEC | os.ST_NOSUID}, SUDO, {}),  # nothing is run there
        ({"srv": os.ST_NOEXEC}, SUDO, {"noexec": [{"place": "/srv", "mount": "/"}]}),
        ({"usr": os.ST_RDONLY | os.ST_NOEXEC}, SUDO, {"read_only": [{"place": "/usr", "mount": "/"}]}),
        ({}, {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/games"}, {"path": ["/usr/sbin"]}),
        ({}, {"PATH": "/sbin:/bin"}, {}),  # links to the same, on every Debian since 12
        ({}, {}, {"path": ["/usr/sbin", "/usr/bin"]}),
    ],
)
def test_what_is_amiss_is_told(root, flags, environ, found):
    assert footing.footing(root, environ, mounted(root, **flags)) == found


@pytest.mark.parametrize(("mode", "told"), [(0o1777, None), (0o755, "0755"), (0o777, "0777")])
def test_a_tmp_that_is_not_everybody_s(root, mode, told):
    (root / "tmp").chmod(mode)
    assert footing.footing(root, SUDO, mounted(root)).get("tmp") == told


@pytest.mark.parametrize(
    ("mounts", "mount"),
    [
        ("", "/"),
        (
            "/dev/vda1 / ext4 rw 0 0\n/dev/vdb /var ext4 rw,noexec 0 0\n/dev/vda1 /var/lib ext4 rw 0 0\n/dev/vdc /v ext4 rw 0 0\n",
            "/var/lib",
        ),
        ("/dev/vda1 / ext4 rw 0 0\n/dev/vda1 /srv ext4 rw 0 0\n", "/"),
    ],
)
def test_where_a_place_is_mounted_is_the_kernel_s_to_say(root, mounts, mount):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mounts").write_text(mounts)
    assert footing.mount_point(root / "var/lib/dpkg", root) == mount


def test_what_is_not_there_yet_is_not_amiss_but_tmp_is(tmp_path):
    assert footing.footing(tmp_path, SUDO) == {"tmp": "missing"}


SRV = [{"place": "/srv", "mount": "/srv"}]


@pytest.mark.parametrize(
    ("found", "tiers", "words"),
    [
        ({}, ["backend"], None),
        ({"noexec": SRV}, ["database"], None),
        ({"noexec": SRV}, ["backend"], "web1: /srv is mounted noexec, and programs in /srv are to run. Take noexec out"),
        ({"noexec": [{"place": "/var/lib/dpkg", "mount": "/var"}]}, ["cache"], "/var is mounted noexec, and the scripts of packages"),
        ({"read_only": [{"place": "/etc", "mount": "/"}]}, ["cache"], "/etc cannot be written to, as / is mounted read-only"),
        (
            {"path": ["/usr/sbin"]},
            ["cache"],
            "root's PATH lacks /usr/sbin, so that no command finds its programs. For sudo, write Defaults secure",
        ),
        ({"tmp": "0755"}, ["cache"], "/tmp has mode 0755, and"),
        ({"tmp": "missing"}, ["cache"], "/tmp is not there, and"),
    ],
)
def test_such_a_host_is_refused_in_a_sentence(found, tiers, words):
    if words is None:
        refuse_no_footing({"footing": found}, "web1", tiers)
        return
    with pytest.raises(ValueError) as refusal:
        refuse_no_footing({"footing": found}, "web1", tiers)
    assert words in str(refusal.value) and str(refusal.value).endswith(" Nothing has changed.")


def test_a_snapshot_without_a_word_of_it():
    refuse_no_footing({}, "web1", ["backend"])


WANTED = ["nftables", "fail2ban", "postgresql", "redis-server"]


@pytest.mark.parametrize(
    ("masked", "variables", "words"),
    [
        ([], {}, None),
        (["redis-server.service", "nginx.service", "getty@tty1.service"], {}, None),  # the stack masks the first, and needs no nginx here
        (["nftables.service"], {}, "web1: nftables.service is masked, so"),
        (["nftables.service"], {"firewall_backend": "ufw"}, None),
        (["fail2ban.service"], {"fail2ban_enabled": False}, None),
        (["postgresql@.service"], {}, "`sudo systemctl unmask postgresql@.service`. Nothing"),
        (
            ["apt-daily-upgrade.timer", "apt-daily.timer"],
            {},
            "are masked, so that nobody can start what the stack needs. `sudo systemctl unmask apt-",
        ),
        (["apt-daily.timer"], {}, ", or write system_security_upgrades: false."),
        (["apt-daily.timer"], {"system_security_upgrades": False}, None),
    ],
)
def test_what_the_stack_starts_and_somebody_has_masked_is_refused(masked, variables, words):
    if words is None:
        refuse_masked({"masked": masked}, "web1", WANTED, variables)
        return
    with pytest.raises(ValueError) as refusal:
        refuse_masked({"masked": masked}, "web1", WANTED, variables)
    assert words in str(refusal.value)
