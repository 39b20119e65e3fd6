# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which nothing could be written, run or found, told before the run changes it."""

from __future__ import annotations

APPS = ("/opt", "/srv")  # where nothing is but what backends have
# What the stack starts of a package, once it is there.
UNITS = {
    "fail2ban": ["fail2ban.service"],
    "logrotate": ["logrotate.timer"],
    "mariadb-server": ["mariadb.service"],
    "nftables": ["nftables.service"],
    "nginx": ["nginx.service"],
    "pgbouncer": ["pgbouncer.service"],
    "postgresql": ["postgresql.service", "postgresql@.service"],
    "redis-server": ["redis-server@.service"],
}
UPGRADERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "apt-daily.service", "apt-daily-upgrade.service")
SECURE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def refuse_no_footing(host, hostname, tiers):
    """Refuse a host that lacks what every program takes for granted.

    :param host: the host's snapshot.
    """
    found = host.get("footing") or {}
    for sentence in (*_path(found), *_mounts(found, tiers), *_tmp(found)):
        raise ValueError(f"{hostname}: {sentence} Nothing has changed.")


def _path(found):
    if found.get("path"):
        yield (
            f"root's PATH lacks {' and '.join(found['path'])}, so that no command finds its programs. For sudo, write "
            f'Defaults secure_path="{SECURE_PATH}" with visudo; for su, ansible_become_flags: --login in the inventory; '
            "where root logs in itself, mend PATH in /etc/environment."
        )


def _mounts(found, tiers):
    def mine(entries):
        return [entry for entry in entries or () if entry["place"] not in APPS or "backend" in tiers]

    for entry in mine(found.get("read_only")):
        yield (
            f"{entry['place']} cannot be written to, as {entry['mount']} is mounted read-only. Where a disk has errors the kernel does that "
            f"(`sudo dmesg | tail`, then fsck); else take ro out of its line in /etc/fstab, and `sudo mount -o remount,rw {entry['mount']}`."
        )
    for entry in mine(found.get("noexec")):
        what = "the scripts of packages" if entry["place"] == "/var/lib/dpkg" else "programs"
        yield (
            f"{entry['mount']} is mounted noexec, and {what} in {entry['place']} are to run. Take noexec out of its line in /etc/fstab, and "
            f"`sudo mount -o remount,exec {entry['mount']}`."
        )


def _tmp(found):
    if found.get("tmp"):
        is_there = f"has mode {found['tmp']}" if found["tmp"] != "missing" else "is not there"
        yield (
            f"/tmp {is_there}, and programs of other users than root, such as apt's own, fail without a place there: "
            "`sudo install -d -m 1777 /tmp`."
        )


def refuse_masked(host, hostname, wanted, variables):
    """Refuse a host where somebody has masked what the stack starts.

    :param wanted: the packages of the stack, ``stack_packages``.
    :param variables: of the host.
    """
    left_out = {
        name
        for name, leaves in (
            ("nftables", variables.get("firewall_backend", "nftables") != "nftables"),
            ("fail2ban", variables.get("fail2ban_enabled", True) is False),
        )
        if leaves
    }
    units = {unit: "" for name in set(wanted) - left_out for unit in UNITS.get(name, ())}
    if variables.get("system_security_upgrades", True) is not False:
        units |= dict.fromkeys(UPGRADERS, ", or write system_security_upgrades: false")
    found = [unit for unit in host.get("masked") or () if unit in units]
    if found:
        raise ValueError(
            f"{hostname}: {' and '.join(found)} {'is' if len(found) == 1 else 'are'} masked, so that nobody can start what the stack needs. "
            f"`sudo systemctl unmask {' '.join(found)}`{units[found[0]]}. Nothing has changed."
        )
