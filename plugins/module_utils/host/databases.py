# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL and MariaDB hold: databases, roles, settings, extensions, indexes."""

from __future__ import annotations

import os
import re

from .. import superuser
from ..text import read
from .limits import below, names_in

PSQL_SECONDS = 3
# How many databases the snapshot looks into; what lies in the others is left to the modules that know.
DATABASES_LOOKED_INTO = 16
# One line comes back; of the passwords only a digest of what is stored, computed in the server. An app may call its own database a template.
DATABASES_QUERY = """
SELECT json_build_object(
  'databases', (SELECT coalesce(json_object_agg(datname, pg_get_userbyid(datdba)), '{}')
                FROM pg_database WHERE datname NOT IN ('template0', 'template1')),
  'roles', (SELECT coalesce(json_object_agg(rolname,
                     coalesce(encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex'), '')), '{}')
            FROM pg_authid WHERE rolname !~ '^pg_'),
  'settings', (SELECT coalesce(json_object_agg(rolname, to_json(rolconfig)), '{}')
               FROM pg_roles WHERE rolconfig IS NOT NULL),
  'limits', (SELECT coalesce(json_object_agg(rolname, rolconnlimit), '{}') FROM pg_roles WHERE rolconnlimit >= 0),
  'monitors', (SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]') FROM pg_roles
               WHERE rolcanlogin AND NOT rolsuper AND pg_has_role(oid, 'pg_monitor', 'MEMBER')
                 AND has_database_privilege(oid, 'postgres', 'CONNECT')),
  'preloaded', string_to_array(replace(replace(current_setting('shared_preload_libraries'), ' ', ''), '"', ''), ','),
  'open', (SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database WHERE EXISTS (
             SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
             WHERE grantee = 0 AND privilege_type = 'CONNECT')));
"""
# One line for each database. One whose app has no schema `public` has no place for extensions, so none is known to be missing.
# Indexes behind constraints are left out; one that is being built is not invalid yet.
INSIDE_QUERY = """
SELECT json_build_object(
  'database', current_database(),
  'extensions', CASE WHEN to_regnamespace('public') IS NOT NULL THEN
    (SELECT coalesce(json_agg(extname ORDER BY extname), '[]') FROM pg_extension) END,
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
# The database as a connection string names it, and how the superuser comes into it.
CONNECTION = r"format('dbname=''%s'' options=''{}''', regexp_replace(datname, '([''\\])', '\\\1', 'g'))"

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


def clusters(root="/"):
    """Debian's PostgreSQL clusters: [{version, name, port, status}]."""
    open_sockets = re.findall(r"/\.s\.PGSQL\.(\d+)$", read(f"{root}/proc/net/unix"), re.MULTILINE)
    found = []
    top = os.path.join(root, "etc/postgresql")
    for version in names_in(top):
        for name in names_in(f"{top}/{version}"):
            folder = f"{top}/{version}/{name}"
            files = [f"{folder}/postgresql.conf"]
            files += [f"{folder}/conf.d/{file}" for file in names_in(f"{folder}/conf.d") if file.endswith(".conf")]
            text = "\n".join(read(file) for file in files)
            ports = re.findall(r"^\s*port\s*=?\s*'?(\d+)", text, re.MULTILINE)
            if text.strip():
                port = int(ports[-1]) if ports else 5432
                status = "online" if str(port) in open_sockets else "down"
                found.append({"version": version, "name": name, "port": port, "status": status})
    return found


def psql_script(version=0):
    """What psql reads: one query for the cluster, then one in each of its databases.

    psql knows no loop, but variables: each database goes into one, and a block that finds its own empty does nothing.
    """
    numbers = range(1, DATABASES_LOOKED_INTO + 1)
    connection = CONNECTION.format(superuser.options(version=version))
    found = (
        f"SELECT array_agg({connection} ORDER BY datname) FROM pg_database WHERE datallowconn AND datname NOT IN ('template0', 'template1')"
    )
    script = [DATABASES_QUERY, f"SELECT {', '.join(f'(found)[{number}] AS d{number}' for number in numbers)}"]
    script += [f"FROM ({found}) AS databases (found)", r"\gset"]
    for number in numbers:
        script += [rf"\if :{{?d{number}}}", rf"\connect -reuse-previous=on :d{number}", INSIDE_QUERY, r"\endif"]
    return "\n".join([*script, ""])


def psql_command(cluster, root="/"):
    """The psql for one cluster; the version's own psql, because Debian's wrapper of that name starts Perl first."""
    own = f"/usr/lib/postgresql/{cluster['version']}/bin/psql"
    psql = own if os.path.exists(below(root, own)) else "psql"
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


def start_query(found, root, start, euid, notes):
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
    return start(psql_command(cluster, root), user=user, script=psql_script(cluster["version"]))


def postgresql_answer(found, querying, notes):
    import json

    names, lists = ("databases", "roles", "settings", "limits", "extensions", "indexes"), ("monitors", "preloaded", "open")
    answer = {**{name: {} for name in names}, **{name: [] for name in lists}}
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


def start_mariadb(root, start, euid, notes):
    if not mariadb_is_up(root):
        return None
    if euid != 0:
        notes.append("mariadb: only root may ask it; run the task with become: true")
        return None
    return start(mariadb_command())


def mariadb_found(asking, notes):
    answer = mariadb_answer("")
    if asking is not None:
        try:
            answer = mariadb_answer(asking.finish(PSQL_SECONDS) or "")
        except (KeyError, ValueError):
            asking.reason = "the answer cannot be read"
        if asking.reason:
            notes.append(f"mariadb: {asking.reason}")
    return answer
