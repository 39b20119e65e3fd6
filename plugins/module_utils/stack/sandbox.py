# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox of whatever belongs to an app, in the words of systemd.exec(5): of its processes, of commands run beside them, and of
its builds; and that of the host's servers. Decisions, no effects."""

from __future__ import annotations

# What holds for all of them. No namespace can be had without a capability but that of a user, so the one left open is of no use; with
# RestrictNamespaces=yes a transient unit would lose the line when systemd is reloaded while it starts, as installing a package does:
# systemd (seen with 252) writes it down as an empty one, and reads that as none.
COMMON = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "DevicePolicy=closed",
    "LockPersonality=yes",
    "PrivateDevices=yes",
    # The kernel has one table of segments for all who share it, and PostgreSQL, which needs one of them, could not start once it is full.
    "PrivateIPC=yes",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    # ProtectProc= has systemd mount /run by itself, past ProtectSystem= (seen with 252), and everybody may write to /run/lock.
    "ReadOnlyPaths=/run",
    "RestrictNamespaces=uts",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
)
# An app's own shared memory. The host's would be every app's and PostgreSQL's, whose parallel queries fail once somebody has filled it, and
# what lies there outlasts whoever has put it there.
SHARED_MEMORY = "TemporaryFileSystem=/dev/shm:mode=1777,nosuid"
# What compilers and package managers may need and an app does not.
PROCESS = (
    *COMMON,
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",  # netlink tells of the host's addresses; without a capability it tells only
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
)
# Of the servers each has its own word in these; the rest is as for apps.
OWN_WORD = ("CapabilityBoundingSet", "PrivateIPC", "PrivateTmp", "ProtectHome", "ProtectProc", "ProtectSystem", "ReadOnlyPaths")
SERVER = (
    *(line for line in COMMON if line.split("=", maxsplit=1)[0] not in OWN_WORD),
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
)
NETWORK = "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
# What tells Prometheus of a server: it has no right of root's, writes nowhere, and is a user that exists while it runs, but those whom
# PostgreSQL and MariaDB know by name. The system's is the one that has to see the host's mounts as they are.
EXPORTER = (
    "CapabilityBoundingSet=",
    "MemoryDenyWriteExecute=yes",
    "ProtectSystem=strict",
    "RemoveIPC=yes",
    "UMask=0077",
)
HIDES = (
    "InaccessiblePaths=-/etc/mainstay -/srv -/var/lib/mainstay -/var/backups -/root",
    "PrivateTmp=yes",
    "ProtectHome=yes",
    "ProtectProc=invisible",
)
TRANSIENT = ("User=", "DynamicUser=yes")
# What each needs of what root may, and where it writes. What operators do with a database reaches further than with a proxy: tablespaces
# and archives anywhere but in /usr, /boot and /etc, files in /tmp for COPY and LOAD DATA, and code that a JIT compiles (nowhere forbidden).
SERVERS = {
    "exporter-mariadb": (*EXPORTER, *HIDES, NETWORK),
    "exporter-node": (*EXPORTER, *TRANSIENT, "SupplementaryGroups=prometheus", "ProtectHome=read-only", f"{NETWORK} AF_NETLINK"),
    "exporter-nginx": (*EXPORTER, *HIDES, *TRANSIENT, NETWORK),
    "exporter-postgresql": (*EXPORTER, *HIDES, NETWORK),
    "exporter-redis": (*EXPORTER, *HIDES, *TRANSIENT, NETWORK),
    "fail2ban": (
        # adm and systemd-journal read the logs, so that it has no use for what lets root read everything.
        "CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_READ_SEARCH",
        "SupplementaryGroups=adm systemd-journal",
        "PrivateTmp=yes",
        "ProtectHome=yes",
        "ProtectProc=invisible",
        "ProtectSystem=strict",
        "StateDirectory=fail2ban",
        "ReadWritePaths=-/var/log/fail2ban.log",
        f"{NETWORK} AF_NETLINK",
    ),
    "mariadb": (
        "CapabilityBoundingSet=CAP_IPC_LOCK CAP_DAC_OVERRIDE CAP_AUDIT_WRITE",
        "ProtectHome=yes",
        "ProtectProc=invisible",
        "ProtectSystem=full",
        NETWORK,
    ),
    "nginx": (
        # The master is root: it binds, opens logs and keys, and starts and signals workers of another user.
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETUID",
        "PrivateTmp=yes",
        "ProtectHome=read-only",
        "ProtectProc=invisible",
        "ProtectSystem=strict",
        "ReadWritePaths=/run /var/log -/var/cache -/var/lib/nginx",
        NETWORK,
    ),
    "pgbouncer": (
        "CapabilityBoundingSet=",
        "PrivateTmp=yes",
        "ProtectHome=yes",
        "ProtectProc=invisible",
        "ProtectSystem=strict",
        "ReadWritePaths=/run/postgresql -/var/log/postgresql",
        NETWORK,
    ),
    "postgresql": (
        # pg_ctlcluster is root before it becomes the cluster's owner.
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETUID",
        "ProtectHome=yes",
        "ProtectSystem=full",
        NETWORK,
    ),
    "redis": (
        # Where its package's own unit is an older one; later ones say the same, or nearly.
        "CapabilityBoundingSet=",
        "PrivateTmp=yes",
        "ProtectHome=yes",
        "ProtectProc=invisible",
        "ProtectSystem=strict",
        NETWORK,
    ),
}

# What tells of the other apps: their units, with what stands in them, and the bus on which systemd tells the same.
HIDDEN = ("/etc/systemd/system", "/run/dbus", "/run/systemd/transient", "/var/backups")

# What an app can be allowed by name, and what is then different.
ALLOWANCES = {
    "exec": "programs and libraries in /tmp, /dev/shm, /var/lib/<app> and /srv/<app>/shared may be run",
    "user_namespaces": "it may make namespaces of its own, as the sandbox of a browser does; inside them it is root, for the kernel to hold",
    "any_address": "it may listen on every address of the host, as a program does that cannot be told one; only the firewall keeps others out",
}


# What a sandbox of a process's own is made of: Chromium's, bubblewrap's.
OWN_NAMESPACES = (
    "RestrictNamespaces=user mnt pid net ipc uts",
    "SystemCallFilter=@mount capset chroot pivot_root setgid setgroups setresgid setresuid setuid",
)


def process(app, root, allow=(), writable=(), devices=(), groups=(), others=()):
    """The sandbox of a process.

    ``writable`` folders can be written to beside its own, and ``devices``, which belong to ``groups``, are there beside those that do
    nothing. What ``others`` of the app's processes may write to can be executed no more than what it has written itself.
    """
    is_executable, has_namespaces = "exec" in allow, "user_namespaces" in allow
    own = [f"{root}/shared", f"/var/lib/{app}", f"/run/{app}", *sorted({*writable, *others})]
    return [
        *(line for line in PROCESS if not (has_namespaces and line.startswith("RestrictNamespaces="))),
        *(OWN_NAMESPACES if has_namespaces else ()),
        *(f"ReadWritePaths={path}" for path in writable),
        *(f"DeviceAllow={device} rw" for device in devices),
        *(f"BindPaths=-{device}" for device in devices),
        *(f"SupplementaryGroups={group}" for group in groups),
        f"InaccessiblePaths={' '.join(f'-{path}' for path in HIDDEN)}",
        f"{SHARED_MEMORY}{'' if is_executable else ',noexec'}",
        *([] if is_executable else [f"NoExecPaths=/tmp /var/tmp {' '.join(f'-{path}' for path in own)}"]),
    ]


def server(name):
    """The sandbox of a server of the host's."""
    return [*SERVER, *SERVERS[name]]
