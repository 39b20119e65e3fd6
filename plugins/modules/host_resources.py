#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_resources
short_description: What a host has and holds, in one quick snapshot
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Returns memory and CPUs as the kernel really limits them (control groups of version 1 and 2, CPU affinity), disks,
    virtualization,
    installed packages, state of the units, listening ports, files and the databases and accounts of PostgreSQL and
    MariaDB, all in one
      module run.
  - Ordinary facts report the machine's memory inside a container that may use a fraction of it. This module does not.
  - Reads files rather than starting programs, and starts five at most where there is one firewall, so that it costs little more than
    starting a module does.
  - Meant to be registered once at the start of a play. Tasks whose work is done already can then be skipped with
    C(when), which costs
    nothing. What the snapshot does not hold must be handed to the idempotent module; never conclude that it is not
      there.
options:
  packages:
    description: Whether to list the installed Debian packages.
    type: bool
    default: true
  units:
    description: Whether to list the systemd units by their state.
    type: bool
    default: true
  listeners:
    description: Whether to list listening TCP and UDP ports.
    type: bool
    default: true
  packet_filters:
    description: Whether to look for firewalls that are not this collection's.
    type: bool
    default: true
  paths:
    description: Globs of absolute paths to describe.
    type: list
    elements: str
    default: []
  wanted:
    description:
      - Names of packages that are to be installed.
      - Where one is missing, the snapshot says whether apt could fetch it; a host whose name servers are silent takes 12 seconds for that.
    type: list
    elements: str
    default: []
  postgresql:
    description: Whether to list PostgreSQL's clusters and, where one is running, its databases, roles, extensions and indexes.
    type: bool
    default: true
  mariadb:
    description: Whether to list MariaDB's databases, accounts and their grants where a server is running.
    type: bool
    default: true
notes:
  - This is an action plugin; the module of the same name holds its documentation.
  - Works without root, but then the processes behind other users' ports, and the databases, stay unknown.
    RV(notes) says so.
  - A source that is missing never makes the module fail.
attributes:
  check_mode:
    description: Can run in check mode and only reads anyway.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to compare.
    support: none
  platform:
    description: The target is Linux; packages need Debian or Ubuntu.
    support: full
    platforms: posix
seealso:
  - module: mainstay.vps.port_free
  - module: mainstay.vps.health_probe
  - module: ansible.builtin.package_facts
  - module: ansible.builtin.service_facts
"""

EXAMPLES = r"""
- name: Read what the host is and holds
  mainstay.vps.host_resources:
    paths: [/srv/*/current]
  register: mainstay_host

- name: Install nginx
  ansible.builtin.apt:
    name: nginx
  when: "'nginx' not in mainstay_host.packages"

- name: Keep nginx running
  ansible.builtin.systemd_service:
    name: nginx.service
    enabled: true
    state: started
  when: "'nginx.service' not in mainstay_host.running"

- name: Show the memory this host may use
  ansible.builtin.debug:
    msg: "{{ mainstay_host.memory_mb }} MB ({{ mainstay_host.memory.bound }})"
"""

RETURN = r"""
memory_mb:
  description: Memory the host may use, the smaller one of the machine's memory and every control group's limit on it.
  returned: always
  type: int
  sample: 2048
memory:
  description: Where RV(memory_mb) comes from.
  returned: always
  type: dict
  contains:
    total_mb:
      description: Memory of the machine.
      type: int
      returned: always
    limit_mb:
      description: The smallest limit of a control group, null if none limits it.
      type: int
      returned: always
    available_mb:
      description: Memory that can be used now without swapping.
      type: int
      returned: always
    bound:
      description: What decided.
      type: str
      returned: always
  sample:
    total_mb: 24105
    limit_mb: 2048
    available_mb: 1970
    bound: cgroup limit /sys/fs/cgroup/memory.max
cpus:
  description: CPUs the host may use, at least 1. The smaller one of the CPUs it may run on and its quota, rounded up.
  returned: always
  type: int
  sample: 2
cpu:
  description: Where RV(cpus) comes from.
  returned: always
  type: dict
  contains:
    online:
      description: CPUs that are online.
      type: int
      returned: always
    affinity:
      description: CPUs the system may run on.
      type: int
      returned: always
    quota:
      description: The smallest quota of a control group in CPUs, null if none limits it.
      type: float
      returned: always
    bound:
      description: What decided.
      type: str
      returned: always
  sample:
    online: 8
    affinity: 8
    quota: 1.5
    bound: cgroup quota of /sys/fs/cgroup
swap_mb:
  description: Swap the host may use.
  returned: always
  type: int
  sample: 0
kernel_limits:
  description: Limits of the kernel that are better not lowered, by the names of their parameters.
  returned: always
  type: dict
  sample:
    fs.file-max: 9223372036854775807
footing:
  description: What every program takes for granted and this host lacks; empty where nothing is amiss.
  returned: always
  type: dict
  contains:
    read_only:
      description: Places that cannot be written to, as C(place) and C(mount).
      type: list
      elements: dict
      returned: where there is one
    noexec:
      description: Places from which nothing can be run, as C(place) and C(mount).
      type: list
      elements: dict
      returned: where there is one
    path:
      description: Folders of programs that the PATH lacks with which this module runs.
      type: list
      elements: str
      returned: where one is missing
    tmp:
      description: The mode of C(/tmp) where not everybody may use it, or V(missing).
      type: str
      returned: where it is amiss
  sample: {}
sshd:
  description: What C(/etc/ssh/sshd_config) and the files that it includes say before and beside the one of the role ssh; empty without sshd.
  returned: always
  type: dict
  contains:
    reads:
      description: Whether that file counts, for everybody.
      type: bool
      returned: where there is an sshd
    before:
      description: What is set before it, and so in its place, as C(name), C(value) and C(file).
      type: list
      elements: dict
      returned: where there is an sshd
    asks:
      description: Files whose C(AuthenticationMethods) name C(keyboard-interactive), as for one-time codes.
      type: list
      elements: str
      returned: where there is an sshd
  sample:
    reads: true
    before: []
    asks: []
undone:
  description: >-
    Settings of the stack's own files for sysctl, journald, pam_limits, apt, sshd and PostgreSQL over which a file of the host has the last word, with another
    value: C(file), C(name), C(value) and C(wanted).
  returned: always
  type: list
  elements: dict
  sample: []
rotated:
  description: Logs that files of logrotate name which are not the stack's, as C(file) and C(pattern).
  returned: always
  type: list
  elements: dict
  sample:
    - file: /etc/logrotate.d/nginx
      pattern: /var/log/nginx/*.log
disks:
  description: Space on C(/) and on every other real local file system, by mount point.
  returned: always
  type: dict
  sample:
    /:
      total_mb: 40000
      free_mb: 31000
      inodes_free: 2500000
      fstype: ext4
virtualization:
  description: Kind of virtualization as C(systemd-detect-virt) names it, V(none) on bare metal.
  returned: always
  type: str
  sample: kvm
container:
  description: Whether the host is a container.
  returned: always
  type: bool
distribution:
  description: The distribution.
  returned: always
  type: dict
  sample:
    id: debian
    version: "12"
    codename: bookworm
    name: Debian GNU/Linux 12 (bookworm)
architecture:
  description: Architecture as the kernel names it.
  returned: always
  type: str
  sample: x86_64
kernel:
  description: Release of the running kernel.
  returned: always
  type: str
  sample: 6.1.0-28-amd64
systemd_version:
  description: Version of the installed systemd, V(0) without one.
  returned: always
  type: int
  sample: 252
users:
  description: Numbers of the users in C(/etc/passwd), by name.
  returned: always
  type: dict
  sample:
    root: 0
client_address:
  description: Address from which the module's user has logged in by SSH; empty where it runs without a login.
  returned: always
  type: str
  sample: 192.0.2.7
login_port:
  description: Port of the host by which the module's user has logged in by SSH; null where it runs without a login.
  returned: always
  type: int
  sample: 22
ipv6:
  description: Whether the kernel has IPv6.
  returned: always
  type: bool
  sample: true
homes:
  description: Homes of the users in C(/etc/passwd), by name.
  returned: always
  type: dict
  sample:
    root: /root
groups:
  description: Numbers of the groups in C(/etc/group), by name.
  returned: always
  type: dict
  sample:
    users: 100
unit_files:
  description: Services and targets that packages bring, empty without O(units).
  returned: always
  type: list
  elements: str
  sample: [network.target, ssh.service]
masked:
  description: Units that nobody can start, because they are masked, empty without O(units).
  returned: always
  type: list
  elements: str
  sample: [apt-daily.timer]
applied_plan:
  description: The numbers of the plan that the stack has given the host last, empty where it never has.
  returned: always
  type: dict
  sample: {}
memory_max_mb:
  description: Limits of memory of the units that are active and have one, empty without O(units).
  returned: always
  type: dict
  sample:
    nginx.service: 191
service_memory_mb:
  description: Memory that each service holds and could not give back at once, empty without O(units). Containers of Docker count together.
  returned: always
  type: dict
  sample:
    mariadb.service: 112
packages:
  description: Versions of the installed packages, by name.
  returned: always
  type: dict
  sample:
    nginx: 1.22.1-9+deb12u1
edited:
  description: Files that roles put others in the place of, and that somebody has changed since their package brought them.
  returned: always
  type: list
  elements: str
  sample: [/etc/nginx/nginx.conf]
running:
  description: Units that are active and will be started again after a reboot.
  returned: always
  type: list
  elements: str
  sample: [nginx.service, ssh.service]
active:
  description: Units that are active.
  returned: always
  type: list
  elements: str
  sample: [nginx.service, ssh.service]
enabled:
  description: Units that are enabled.
  returned: always
  type: list
  elements: str
  sample: [nginx.service, ssh.service]
failed_units:
  description: Units that failed.
  returned: always
  type: list
  elements: str
  sample: []
listeners:
  description: Listening ports. Without root, RV(listeners[].pid) may be null and RV(listeners[].name) and
    RV(listeners[].unit) empty.
  returned: always
  type: list
  elements: dict
  contains:
    protocol:
      description: V(tcp) or V(udp).
      type: str
      returned: always
    address:
      description: Address it is bound to.
      type: str
      returned: always
    port:
      description: Port.
      type: int
      returned: always
    pid:
      description: The oldest process that holds it.
      type: int
      returned: always
    name:
      description: Name of the process.
      type: str
      returned: always
    user:
      description: User of the process.
      type: str
      returned: always
    unit:
      description: Unit the process belongs to, or the socket unit where systemd itself listens.
      type: str
      returned: always
  sample:
    - protocol: tcp
      address: 0.0.0.0
      port: 22
      pid: 713
      name: sshd
      user: root
      unit: ssh.service
ssh_ports:
  description: Ports on which the SSH server really accepts logins.
  returned: always
  type: list
  elements: int
  sample: [22]
packet_filters:
  description:
    - Chains for what comes in that end by dropping it, whoever wrote them, without the table of the role firewall.
    - What one of them drops stays closed whatever other tables accept. Needs root.
  returned: always
  type: list
  elements: dict
  contains:
    by:
      description: What wrote it - V(ufw), V(firewalld), V(iptables), V(iptables-legacy), V(ip6tables-legacy) or V(nft).
      type: str
      returned: always
    chain:
      description: Where it is.
      type: str
      returned: always
  sample:
    - by: ufw
      chain: table ip filter, chain INPUT
paths:
  description: What matches O(paths), by path.
  returned: always
  type: dict
  sample:
    /srv/shop/current:
      type: link
      target: releases/20260101-1
      mode: "0777"
      owner: shop
supply:
  description: Whether apt could fetch what is missing of O(wanted).
  returned: always
  type: dict
  contains:
    missing:
      description: Packages that are not installed.
      type: list
      elements: str
      returned: always
    held:
      description: Those of them that apt-mark holds.
      type: list
      elements: str
      returned: always
    interrupted:
      description: Whether a dpkg was ended in the middle of what it did; V(false) where nothing is missing.
      type: bool
      returned: always
    names:
      description: Whether the names of apt's sources lead somewhere, by name; empty where nothing is missing, and with a proxy of apt's.
      type: dict
      returned: always
    room:
      description: File systems that packages and releases go to, with C(mount), C(places), C(free_mb) and C(inodes_free); empty where nothing is missing.
      type: list
      elements: dict
      returned: always
    time:
      description: The host's clock, in seconds since 1970.
      type: int
      returned: always
  sample:
    missing: [nginx]
    held: []
    interrupted: false
    names: {deb.debian.org: true}
    room: [{mount: /, places: [/usr, /var/cache/apt, /srv], free_mb: 31000, inodes_free: 2500000}]
    time: 1798707600
postgresql:
  description: PostgreSQL on this host.
  returned: always
  type: dict
  contains:
    clusters:
      description: Clusters as Debian keeps them, with V(online) or V(down) as status.
      type: list
      elements: dict
      returned: always
    databases:
      description: Owners of the databases, by database. Of the cluster on port 5432, else of the first one that is
        online.
      type: dict
      returned: always
    roles:
      description:
        - SHA-256 of the stored password verifier, by role, empty for a role without a password.
        - It tells whether a password is the wanted one and is not the password.
      type: dict
      returned: always
    settings:
      description: Settings of roles that have some of their own, by role, each as C(name=value).
      type: dict
      returned: always
    limits:
      description: Connection limits of roles that have one, by role.
      type: dict
      returned: always
    monitors:
      description: Roles without superuser rights that may log in to C(postgres) and read all statistics, as members of C(pg_monitor).
      type: list
      elements: str
      returned: always
      sample: [prometheus]
    preloaded:
      description: Libraries that the server has loaded when it started, C(shared_preload_libraries).
      type: list
      elements: str
      returned: always
      sample: [pg_stat_statements]
    open:
      description: Databases that everybody with a role may connect to.
      type: list
      elements: str
      returned: always
    extensions:
      description: Installed extensions, by database. At most 16 databases are looked into.
      type: dict
      returned: always
    indexes:
      description:
        - Indexes by database and C(schema.name), without those behind constraints.
        - Each has C(table), C(columns), C(method), C(unique), C(partial) and C(state), which is V(valid), V(invalid) or V(building).
      type: dict
      returned: always
  sample:
    clusters:
      - version: "15"
        name: main
        port: 5432
        status: online
    databases:
      shop: shop
    settings:
      shop: [statement_timeout=60s]
    limits:
      shop: 30
    open: []
    extensions:
      shop: [pg_stat_statements, plpgsql]
    indexes:
      shop:
        public.orders_waiting: {table: orders, columns: [queued_at], method: btree, unique: false, partial: true, state: valid}
    roles:
      shop: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
mariadb:
  description: MariaDB on this host, empty where none is running.
  returned: always
  type: dict
  contains:
    databases:
      description: Default character sets, by database. The system's own are left out.
      type: dict
      returned: always
    users:
      description:
        - SHA-256 of the name of the authentication plugin, a blank and the stored authentication string, by account.
        - It tells whether a password is the wanted one and is not the password.
      type: dict
      returned: always
    limits:
      description: Connection limits of accounts that have one, by account.
      type: dict
      returned: always
    grants:
      description: Databases on which an account has privileges, by account. An asterisk stands for global privileges.
      type: dict
      returned: always
  sample:
    databases:
      shop: utf8mb4
    users:
      shop@127.0.0.1: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    limits:
      shop@127.0.0.1: 30
    grants:
      shop@127.0.0.1: [shop]
notes:
  description: What could not be read, and why.
  returned: always
  type: list
  elements: str
  sample: []
"""
