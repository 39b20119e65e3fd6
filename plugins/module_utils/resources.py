# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has and holds: memory and CPUs as the kernel limits them, disks, packages, units, listeners, databases.

Read from files where possible. At most four programs are started (systemctl, systemd-detect-virt, psql, mariadb), and
they run while the files are read. A source that is missing yields something empty and a note, never an error.

Every function takes `root`, the folder to read in place of /, so that tests can build a host out of files.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import stat

from . import listeners

NO_LIMIT = 2**60
MB = 1024 * 1024

CONTAINERS = {
    "docker",
    "podman",
    "lxc",
    "lxc-libvirt",
    "systemd-nspawn",
    "openvz",
    "rkt",
    "wsl",
    "proot",
    "pouch",
    "container-other",
}
REAL_FILE_SYSTEMS = {
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "f2fs",
    "jfs",
    "reiserfs",
    "bcachefs",
    "vfat",
    "exfat",
}

UNIT_KINDS = ["*.service", "*.socket", "*.timer", "*.target", "*.path", "*.mount", "*.swap"]
SHOW_UNITS = ["systemctl", "show", "--property=Id,Names,ActiveState,UnitFileState,Listen", *UNIT_KINDS]
COMES_BACK = {"enabled", "static", "generated", "indirect", "alias"}
ADMIN_FOLDER = "etc/systemd/system"
PACKAGED_FOLDERS = (
    "run/systemd/generator",
    "run/systemd/generator.early",
    "run/systemd/generator.late",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)

PSQL_SECONDS = 3
# How many databases the snapshot looks into; what lies in the others is left to the modules that know.
DATABASES_LOOKED_INTO = 16
# One line comes back; of the passwords only a digest of what is stored, computed in the server.
DATABASES_QUERY = """
SELECT json_build_object(
  'databases', (SELECT coalesce(json_object_agg(datname, pg_get_userbyid(datdba)), '{}')
                FROM pg_database WHERE NOT datistemplate),
  'roles', (SELECT coalesce(json_object_agg(rolname,
                     coalesce(encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex'), '')), '{}')
            FROM pg_authid WHERE rolname !~ '^pg_'),
  'settings', (SELECT coalesce(json_object_agg(rolname, to_json(rolconfig)), '{}')
               FROM pg_roles WHERE rolconfig IS NOT NULL),
  'limits', (SELECT coalesce(json_object_agg(rolname, rolconnlimit), '{}') FROM pg_roles WHERE rolconnlimit >= 0),
  'open', (SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database WHERE EXISTS (
             SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
             WHERE grantee = 0 AND privilege_type = 'CONNECT')));
"""
# One line for each database. Indexes behind constraints are left out; one that is being built is not invalid yet.
INSIDE_QUERY = """
SELECT json_build_object(
  'database', current_database(),
  'extensions', (SELECT json_agg(extname ORDER BY extname) FROM pg_extension),
  'indexes', (SELECT coalesce(json_object_agg(space.nspname || '.' || index.relname, json_build_object(
      'table', parent.relname, 'method', method.amname, 'unique', indisunique, 'partial', indpred IS NOT NULL,
      'columns', (SELECT json_agg(pg_get_indexdef(indexrelid, number, true) ORDER BY number)
                  FROM generate_series(1, indnkeyatts) AS number),
      'state', CASE WHEN indisvalid THEN 'valid' WHEN EXISTS (
        SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid) THEN 'building' ELSE 'invalid' END)),
      '{}')
    FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_class AS parent ON parent.oid = indrelid
    JOIN pg_namespace AS space ON space.oid = index.relnamespace JOIN pg_am AS method ON method.oid = index.relam
    WHERE space.nspname !~ '^(pg_|information_schema)'
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)));
"""
# The database as a connection string names it.
CONNECTION = r"format('dbname=''%s''', regexp_replace(datname, '([''\\])', '\\\1', 'g'))"

MARIADB_SOCKETS = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock")
# Lines of kind, name and value; of the passwords only a digest of what is stored, computed in the server.
MARIADB_QUERY = """
SELECT 'databases', schema_name, default_character_set_name FROM information_schema.schemata
 WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
UNION ALL SELECT 'users', CONCAT(user, '@', host), SHA2(CONCAT(
  COALESCE(JSON_VALUE(priv, '$.plugin'), ''), ' ', COALESCE(JSON_VALUE(priv, '$.authentication_string'), '')), 256)
 FROM mysql.global_priv WHERE JSON_VALUE(priv, '$.is_role') IS NULL
UNION ALL SELECT 'limits', CONCAT(user, '@', host), JSON_VALUE(priv, '$.max_user_connections')
 FROM mysql.global_priv WHERE JSON_VALUE(priv, '$.max_user_connections') > 0
UNION ALL SELECT 'grants', CONCAT(user, '@', host), db FROM mysql.db
UNION ALL SELECT 'grants', CONCAT(user, '@', host), '*' FROM mysql.global_priv WHERE JSON_VALUE(priv, '$.access') > 0
"""


def read(path):
    """A file's text, empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


# --- memory and CPU ----------------------------------------------------------------------------------------------


def memory(root="/"):
    """{total_mb, limit_mb, available_mb, swap_mb, memory_mb, bound}: the memory and the cgroup limit on it."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB", read(f"{root}/proc/meminfo"), re.MULTILINE)
    info = {name: int(value) // 1024 for name, value in lines}
    total, available, swap = info.get("MemTotal", 0), info.get("MemAvailable", 0), info.get("SwapTotal", 0)
    limits = []
    for folder, version in cgroup_folders("memory", root):
        for name, value in _memory_limits(folder, version):
            limits.append((value // MB, f"{folder}/{name}", folder, version))
        swap_limit = _swap_limit(folder, version)
        swap = swap if swap_limit is None else min(swap, swap_limit // MB)
    result = {"total_mb": total, "limit_mb": None, "available_mb": available, "swap_mb": swap, "memory_mb": total}
    result["bound"] = "MemTotal of the machine"
    if limits:
        limit, name, folder, version = min(limits)
        result["limit_mb"] = limit
        if limit < total or not total:
            shown = "/" + os.path.relpath(name, root)
            result.update(memory_mb=limit, bound=f"cgroup limit {shown}")
            result["available_mb"] = min(available, max(0, limit - _used_mb(folder, version)))
    return result


def _memory_limits(folder, version):
    """The limits a group sets, in bytes; on version 1 also the smallest of the groups above that we may not see."""
    texts = {"memory.max": read(f"{folder}/memory.max").strip()}
    if version == 1:
        above = re.search(r"^hierarchical_memory_limit (\d+)", read(f"{folder}/memory.stat"), re.MULTILINE)
        texts = {"memory.limit_in_bytes": read(f"{folder}/memory.limit_in_bytes").strip()}
        texts["memory.stat"] = above[1] if above else ""
    return [(name, int(text)) for name, text in texts.items() if text.isdigit() and int(text) < NO_LIMIT]


def _swap_limit(folder, version):
    if version == 2:
        text = read(f"{folder}/memory.swap.max").strip()
        return int(text) if text.isdigit() and int(text) < NO_LIMIT else None
    both = read(f"{folder}/memory.memsw.limit_in_bytes").strip()
    alone = read(f"{folder}/memory.limit_in_bytes").strip()
    if both.isdigit() and alone.isdigit() and int(both) < NO_LIMIT:
        return max(0, int(both) - int(alone))
    return None


def _used_mb(folder, version):
    """What a group uses and could not give back at once."""
    usage, cache = "memory.current", "inactive_file"
    if version == 1:
        usage, cache = "memory.usage_in_bytes", "total_inactive_file"
    used = read(f"{folder}/{usage}").strip()
    given_back = re.search(rf"^{cache} (\d+)", read(f"{folder}/memory.stat"), re.MULTILINE)
    return max(0, int(used or 0) - (int(given_back[1]) if given_back else 0)) // MB


def cpu(root="/"):
    """{online, affinity, quota, cpus, bound}: processors there are, that may be used, and time one may take of them."""
    online = _cpu_set(read(f"{root}/sys/devices/system/cpu/online")) or set(range(os.cpu_count() or 1))
    status = read(f"{root}/proc/1/status") or read(f"{root}/proc/self/status")
    allowed = re.search(r"^Cpus_allowed_list:\s+(\S+)", status, re.MULTILINE)
    affinity = len((_cpu_set(allowed[1]) & online) or online) if allowed else len(online)
    folders = cgroup_folders("cpu", root)
    quotas = [(quota, folder) for folder, version in folders for quota in _cpu_quota(folder, version)]
    result = {
        "online": len(online),
        "affinity": affinity,
        "quota": None,
        "cpus": affinity,
        "bound": "processors online",
    }
    if affinity < len(online):
        result["bound"] = "processors this system may run on (affinity)"
    if quotas:
        quota, folder = min(quotas)
        result["quota"] = round(quota, 2)
        if math.ceil(quota) < affinity:
            shown = "/" + os.path.relpath(folder, root)
            result.update(cpus=max(1, math.ceil(quota)), bound=f"cgroup quota of {shown}")
    return result


def _cpu_quota(folder, version):
    if version == 2:
        words = read(f"{folder}/cpu.max").split()
    else:
        words = [read(f"{folder}/cpu.cfs_quota_us").strip(), read(f"{folder}/cpu.cfs_period_us").strip()]
    if len(words) == 2 and all(word.isdigit() for word in words) and int(words[0]) > 0 < int(words[1]):
        return [int(words[0]) / int(words[1])]
    return []


def _cpu_set(text):
    """`0-2,5` as {0, 1, 2, 5}."""
    found = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found.update(range(int(first), int(last or first) + 1))
    return found


def cgroup_folders(controller, root="/"):
    """[(folder, 1 or 2)] of the control groups that limit the services of this system, from the outermost inwards.

    Process 1 stands for the system: whoever runs this may be in a login session with limits of its own. Services are in
    system.slice. Where the group is not below the mount point (a container that sees only its own part of the tree),
    the mount point itself is the group.
    """
    top = base = os.path.join(root, "sys/fs/cgroup")
    version, path = 0, ""
    for line in (read(f"{root}/proc/1/cgroup") or read(f"{root}/proc/self/cgroup")).splitlines():
        number, _colon, rest = line.partition(":")
        names, _colon, group = rest.partition(":")
        if controller in names.split(","):
            version, path = 1, group
            base = f"{top}/{names}" if os.path.isdir(f"{top}/{names}") else f"{top}/{controller}"
            break
        if number == "0" and not names:
            version, path = 2, group
    if not version:
        return []
    if version == 2 and os.path.isdir(f"{base}/unified"):
        base = f"{base}/unified"
    parts = [part for part in path.split("/") if part]
    if parts and parts[-1] == "init.scope":
        parts.pop()
    if ".." in parts or not os.path.isdir(os.path.join(base, *parts)):
        parts = []
    folders = [os.path.join(base, *parts[:depth]) for depth in range(len(parts) + 1)]
    folders.append(os.path.join(folders[-1], "system.slice"))
    return [(folder, version) for folder in folders if os.path.isdir(folder)]


# Limits that a distribution may set higher than anybody plans: systemd lifts the first one out of reach at boot.
KERNEL_LIMITS = {"fs.file-max": "fs/file-max"}


def kernel_limits(root="/"):
    """{name of the kernel parameter: what it is now}."""
    found = {name: read(f"{root}/proc/sys/{path}").strip() for name, path in KERNEL_LIMITS.items()}
    return {name: int(value) for name, value in found.items() if value.isdigit()}


# --- disks -------------------------------------------------------------------------------------------------------


def disks(root="/", statvfs=os.statvfs):
    """{mount point: {total_mb, free_mb, inodes_free, fstype}} of real local file systems and of /, each once."""
    found = {}
    devices = set()
    mounts = [line.split()[:3] for line in read(f"{root}/proc/self/mounts").splitlines() if line.count(" ") > 2]
    mounts = [(device, _unescaped(point), kind) for device, point, kind in mounts]
    for device, point, kind in sorted(mounts, key=lambda mount: len(mount[1])):
        real = kind in REAL_FILE_SYSTEMS and (device.startswith("/dev/") or kind == "zfs")
        if point != "/" and (not real or device in devices or not os.path.isdir(os.path.join(root, point.lstrip("/")))):
            continue
        try:
            numbers = statvfs(point)
        except OSError:
            continue
        devices.add(device)
        found[point] = {
            "total_mb": numbers.f_blocks * numbers.f_frsize // MB,
            "free_mb": numbers.f_bavail * numbers.f_frsize // MB,
            "inodes_free": numbers.f_favail,
            "fstype": kind,
        }
    return found


def _unescaped(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


# --- the system --------------------------------------------------------------------------------------------------


def distribution(root="/"):
    text = read(f"{root}/etc/os-release") or read(f"{root}/usr/lib/os-release")
    values = {key: value.strip("\"'") for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}
    keys = {"id": "ID", "version": "VERSION_ID", "codename": "VERSION_CODENAME", "name": "PRETTY_NAME"}
    return {name: values.get(key, "") for name, key in keys.items()}


def users(root="/"):
    """{name: uid} of the host's own users."""
    return {name: int(uid) for name, uid in re.findall(r"^([^:#\n]+):[^:]*:(\d+):", read(f"{root}/etc/passwd"), re.MULTILINE)}


def systemd_version(root="/"):
    """The installed systemd's version from the name of its library; 0 without systemd."""
    for folder in ("usr/lib", "lib"):
        for name in ("systemd", *(f"{sub}/systemd" for sub in _names(f"{root}/{folder}") if sub.endswith("-gnu"))):
            for file in _names(f"{root}/{folder}/{name}"):
                match = re.match(r"libsystemd-shared-(\d+)", file)
                if match:
                    return int(match[1])
    return 0


def virtualization_by_files(root="/"):
    """A guess where systemd-detect-virt is missing."""
    told = read(f"{root}/run/systemd/container").strip()
    if told:
        return told
    if os.path.exists(f"{root}/.dockerenv"):
        return "docker"
    return "vm-other" if " hypervisor" in read(f"{root}/proc/cpuinfo") else "none"


def packages(root="/"):
    """{name: version} of the installed Debian packages."""
    found = {}
    for block in ("\n" + read(f"{root}/var/lib/dpkg/status")).split("\n\n"):
        block = "\n" + block.strip("\n") + "\n"
        if " ok installed" in _field(block, "Status"):
            found[_field(block, "Package")] = _field(block, "Version")
    return found


def _field(block, name):
    start = block.find(f"\n{name}: ")
    if start < 0:
        return ""
    start += len(name) + 3
    return block[start : block.index("\n", start)].strip()


def paths(patterns, root="/"):
    """{path: {type, target, mode, owner}} for what matches the globs."""
    import glob

    found = {}
    for pattern in patterns:
        for name in sorted(glob.glob(os.path.join(root, pattern.lstrip("/")))):
            try:
                status = os.lstat(name)
                target = os.readlink(name) if stat.S_ISLNK(status.st_mode) else None
            except OSError:
                continue
            found["/" + os.path.relpath(name, root)] = {
                "type": _file_type(status.st_mode),
                "target": target,
                "mode": f"{stat.S_IMODE(status.st_mode):04o}",
                "owner": listeners.user_name(status.st_uid),
            }
    return found


def _file_type(mode):
    for test, name in ((stat.S_ISLNK, "link"), (stat.S_ISREG, "file"), (stat.S_ISDIR, "directory")):
        if test(mode):
            return name
    return "other"


# --- units -------------------------------------------------------------------------------------------------------


def units(shown, enabled_links, packaged_links):
    """{running, active, enabled, failed_units} from `systemctl show` (parsed) and the links below *.wants and the like.

    running: active, and started again after a reboot. Not "failed": in what a module returns that word means the task.
    """
    running, active, enabled, failed = set(), set(), set(enabled_links), set()
    links = enabled_links | packaged_links
    for unit in shown:
        names = set(unit.get("Names", "").split()) | {unit["Id"]}
        state = unit.get("UnitFileState", "")
        if state == "enabled":
            enabled |= names
        if unit.get("ActiveState") == "failed":
            failed |= names
        if unit.get("ActiveState") in ("active", "reloading", "refreshing"):
            active |= names
            template = re.sub(r"@.+(\.\w+)$", r"@\1", unit["Id"])
            if state in COMES_BACK or names & links or template in links:
                running |= names
    return {
        "running": sorted(running),
        "active": sorted(active),
        "enabled": sorted(enabled),
        "failed_units": sorted(failed),
    }


def unit_links(root="/"):
    """(enabled by the administrator, pulled in by packages or generators): links in *.wants and *.requires.

    Links in /run/systemd/system are left out, they last until the next boot only.
    """
    enabled = _links(root, [ADMIN_FOLDER])
    packaged = _links(root, PACKAGED_FOLDERS)
    masked = {name for name in enabled | packaged if _link_target(f"{root}/{ADMIN_FOLDER}/{name}") == "/dev/null"}
    return enabled - masked, packaged - masked


def _links(root, folders):
    found = set()
    for folder in folders:
        top = os.path.join(root, folder)
        for name in _names(top):
            if name.endswith((".wants", ".requires")):
                found.update(link for link in _names(f"{top}/{name}") if _leads_somewhere(f"{top}/{name}/{link}", root))
    return found


def _leads_somewhere(link, root):
    target = _link_target(link)
    return os.path.exists(os.path.join(root, target.lstrip("/")) if target.startswith("/") else link)


def _link_target(link):
    try:
        return os.readlink(link)
    except OSError:
        return ""


# --- listeners ---------------------------------------------------------------------------------------------------


def listening(shown, root="/"):
    """(listeners as dictionaries, ports of the SSH server)."""
    found = listeners.snapshot(os.path.join(root, "proc"))
    found = listeners.with_socket_units(found, listeners.socket_units(shown))
    keys = ("protocol", "address", "port", "name", "user", "unit")
    rows = [{**{key: getattr(item, key) for key in keys}, "pid": _main_pid(item.pids)} for item in found]
    return rows, listeners.ssh_ports(found)


def _main_pid(pids):
    return next((pid for pid in pids if pid != 1), pids[0] if pids else None)


# --- postgresql --------------------------------------------------------------------------------------------------


def clusters(root="/"):
    """Debian's PostgreSQL clusters: [{version, name, port, status}]."""
    open_sockets = re.findall(r"/\.s\.PGSQL\.(\d+)$", read(f"{root}/proc/net/unix"), re.MULTILINE)
    found = []
    top = os.path.join(root, "etc/postgresql")
    for version in _names(top):
        for name in _names(f"{top}/{version}"):
            folder = f"{top}/{version}/{name}"
            files = [f"{folder}/postgresql.conf"]
            files += [f"{folder}/conf.d/{file}" for file in _names(f"{folder}/conf.d") if file.endswith(".conf")]
            text = "\n".join(read(file) for file in files)
            ports = re.findall(r"^\s*port\s*=?\s*'?(\d+)", text, re.MULTILINE)
            if text.strip():
                port = int(ports[-1]) if ports else 5432
                status = "online" if str(port) in open_sockets else "down"
                found.append({"version": version, "name": name, "port": port, "status": status})
    return found


def psql_script():
    """What psql reads: one query for the cluster, then one in each of its databases.

    psql knows no loop, but variables: each database goes into one, and a block that finds its own empty does nothing.
    """
    numbers = range(1, DATABASES_LOOKED_INTO + 1)
    found = f"SELECT array_agg({CONNECTION} ORDER BY datname) FROM pg_database WHERE datallowconn AND NOT datistemplate"
    script = [DATABASES_QUERY, f"SELECT {', '.join(f'(found)[{number}] AS d{number}' for number in numbers)}"]
    script += [f"FROM ({found}) AS databases (found)", r"\gset"]
    for number in numbers:
        script += [rf"\if :{{?d{number}}}", rf"\connect -reuse-previous=on :d{number}", INSIDE_QUERY, r"\endif"]
    return "\n".join([*script, ""])


def psql_command(cluster, root="/"):
    """The psql for one cluster; the version's own psql, because Debian's wrapper of that name starts Perl first."""
    own = f"/usr/lib/postgresql/{cluster['version']}/bin/psql"
    psql = own if os.path.exists(os.path.join(root, own.lstrip("/"))) else "psql"
    where = ["-h", "/var/run/postgresql", "-p", str(cluster["port"]), "-d", "postgres", "-U", "postgres"]
    return [psql, "-X", "-A", "-t", "-q", "-w", *where, "-f", "-"]


# --- mariadb -----------------------------------------------------------------------------------------------------


def mariadb_is_up(root="/"):
    """Whether a MariaDB server listens on Debian's socket."""
    listening = read(f"{root}/proc/net/unix").splitlines()
    return any(line.endswith(tuple(f" {path}" for path in MARIADB_SOCKETS)) for line in listening)


def mariadb_command():
    """The query, as the root that the server knows by the socket, whatever root's own client files say."""
    who = ["--no-defaults", f"--socket={MARIADB_SOCKETS[0]}", "--user=root", f"--connect-timeout={PSQL_SECONDS}"]
    return ["mariadb", *who, "--batch", "--skip-column-names", "--execute", MARIADB_QUERY]


def mariadb_answer(text):
    """{databases: {name: character set}, users: {account: digest}, limits: {account: connections}, grants: {account: [database]}}
    from the lines."""
    answer = {"databases": {}, "users": {}, "limits": {}, "grants": {}}
    for line in text.splitlines():
        kind, name, value = line.split("\t")
        if kind == "grants":
            answer[kind].setdefault(name, []).append(value)
        else:
            answer[kind][name] = int(value) if kind == "limits" else value
    return {**answer, "grants": {name: sorted(found) for name, found in answer["grants"].items()}}


# --- all of it ---------------------------------------------------------------------------------------------------


class Started:
    """A program that runs while we read files. `finish` gives its output, or None with a reason.

    `script` is what it reads, short enough for a pipe to take it at once.
    """

    def __init__(self, command, user=None, script=None):
        import subprocess

        self.subprocess = subprocess
        self.command = command
        self.process = None
        self.reason = ""
        environment = {**os.environ, "LC_ALL": "C", "PGCONNECT_TIMEOUT": str(PSQL_SECONDS), "SYSTEMD_COLORS": "0"}
        identity = {"user": user, "group": user, "extra_groups": []} if user else {}
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if script else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=environment,
                **identity,
            )
        except FileNotFoundError:
            self.reason = f"{command[0]} is not installed"
        except (OSError, LookupError, ValueError) as error:
            self.reason = f"{command[0]} cannot be started: {error}"
        if self.process is not None and script:
            with contextlib.suppress(OSError):  # it has ended already, and says why
                self.process.stdin.write(script.encode())
                self.process.stdin.close()
            self.process.stdin = None

    def finish(self, seconds):
        if self.process is None:
            return None
        try:
            output, errors = self.process.communicate(timeout=seconds)
        except self.subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            self.reason = f"{self.command[0]} gave no answer within {seconds} s"
            return None
        if self.process.returncode != 0 and not output:
            said = errors.decode("utf-8", "replace").strip().splitlines()
            self.reason = f"{self.command[0]} failed: {said[0] if said else f'exit status {self.process.returncode}'}"
            return None
        return output.decode("utf-8", "replace")


def collect(want, root="/", start=Started, euid=None):
    """Everything that is asked for. `want`: packages, units, listeners, postgresql, mariadb (booleans), paths (globs)."""
    notes = []
    euid = os.geteuid() if euid is None else euid
    found_clusters = clusters(root) if want.get("postgresql") else []
    querying = _start_query(found_clusters, root, start, euid, notes)
    asking = _start_mariadb(root, start, euid, notes) if want.get("mariadb") else None
    booted = os.path.isdir(f"{root}/run/systemd/system")
    showing = start(SHOW_UNITS) if booted and (want.get("units") or want.get("listeners")) else None
    detecting = start(["systemd-detect-virt"])

    mem, processor = memory(root), cpu(root)
    result = {
        "memory_mb": mem.pop("memory_mb"),
        "swap_mb": mem.pop("swap_mb"),
        "memory": mem,
        "cpus": processor.pop("cpus"),
        "cpu": processor,
        "disks": disks(root),
        "kernel_limits": kernel_limits(root),
        "distribution": distribution(root),
        "architecture": os.uname().machine,
        "kernel": os.uname().release,
        "systemd_version": systemd_version(root),
        "users": users(root),
        "packages": packages(root) if want.get("packages") else {},
        "paths": paths(want.get("paths") or [], root),
    }
    if not result["memory_mb"]:
        notes.append("memory: /proc/meminfo cannot be read")
    if want.get("packages") and not result["packages"]:
        notes.append("packages: /var/lib/dpkg/status lists none; this is no Debian, or it cannot be read")
    result.update(_virtualization(detecting, root))
    shown = _shown(showing, booted, want, notes)
    asked = shown is not None and want.get("units")
    result.update(units(shown, *unit_links(root)) if asked else units([], set(), set()))
    result.update(listeners=[], ssh_ports=[])
    if want.get("listeners"):
        result["listeners"], result["ssh_ports"] = listening(shown or [], root)
        if euid != 0:
            notes.append("listeners: only root sees the processes of other users; run the task with become: true")
    result["postgresql"] = _databases(found_clusters, querying, notes)
    result["mariadb"] = _mariadb(asking, notes)
    result["notes"] = notes
    return result


def _virtualization(detecting, root):
    # It ends with status 1 and "none" on bare metal, so the output counts, not the status.
    kind = (detecting.finish(PSQL_SECONDS) or "").strip() or virtualization_by_files(root)
    return {"virtualization": kind, "container": kind in CONTAINERS}


def _shown(showing, booted, want, notes):
    if showing is None:
        if not booted and want.get("units"):
            notes.append("units: systemd is not running here")
        return None
    text = showing.finish(30)
    if text is None:
        notes.append(f"units: {showing.reason}")
        return None
    return listeners.parse_show(text)


def _start_query(found, root, start, euid, notes):
    online = sorted((cluster for cluster in found if cluster["status"] == "online"), key=lambda item: item["port"])
    if not online:
        return None
    try:
        import pwd

        owner = pwd.getpwnam("postgres").pw_uid
    except KeyError:
        notes.append("postgresql: there is no user postgres")
        return None
    if euid not in (0, owner):
        notes.append("postgresql: only root and postgres may ask it; run the task with become: true")
        return None
    cluster = next((item for item in online if item["port"] == 5432), online[0])
    user = None if euid == owner else "postgres"
    return start(psql_command(cluster, root), user=user, script=psql_script())


def _databases(found, querying, notes):
    import json

    answer = {"databases": {}, "roles": {}, "settings": {}, "limits": {}, "open": [], "extensions": {}, "indexes": {}}
    if querying is not None:
        try:
            lines = [json.loads(line) for line in (querying.finish(PSQL_SECONDS) or "").splitlines()]
            answer.update(lines[0] if lines else {})
            for inside in lines[1:]:
                answer["extensions"][inside["database"]] = inside["extensions"]
                answer["indexes"][inside["database"]] = inside["indexes"]
        except (ValueError, LookupError, TypeError):
            querying.reason = "the answer cannot be read"
        if querying.reason:
            notes.append(f"postgresql: {querying.reason}")
    return {"clusters": found, **answer}


def _start_mariadb(root, start, euid, notes):
    if not mariadb_is_up(root):
        return None
    if euid != 0:
        notes.append("mariadb: only root may ask it; run the task with become: true")
        return None
    return start(mariadb_command())


def _mariadb(asking, notes):
    answer = mariadb_answer("")
    if asking is not None:
        try:
            answer = mariadb_answer(asking.finish(PSQL_SECONDS) or "")
        except (KeyError, ValueError):
            asking.reason = "the answer cannot be read"
        if asking.reason:
            notes.append(f"mariadb: {asking.reason}")
    return answer
