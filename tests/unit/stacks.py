# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random stacks for the capacity plan, and the invariants of a plan, computed from its numbers alone."""

from __future__ import annotations

from ansible_collections.mainstay.vps.plugins.module_utils.stack.tiers import TIERS
from hypothesis import strategies as st

ALL_TIERS = list(TIERS)
RUNTIMES = ("python", "node", "command", "container")
FIRST_PORT, PORT_STEP = 2000, 200


def process(name, kind="worker", **keys):
    """A process in the normal form of ``apps.normalise``."""
    return {
        "name": name,
        "kind": kind,
        "command": name,
        "port": None,
        "instances": "auto",
        "workers": 1,
        "threads": None,
        "env": {},
        "allow": [],
        "writable": [],
        "devices": [],
        "singleton": False,
        "health": None,
        "readiness": None,
        "memory_mb": None,
        "pool": {"size": "auto", "overflow": "auto"},
        "heartbeat": None,
        **keys,
    }


def app(name, processes, **keys):
    """An app in the normal form of ``apps.normalise``."""
    return {
        "name": name,
        "user": name,
        "root": f"/srv/{name}",
        "env_file": f"/etc/mainstay/{name}/env",
        "runtime": "python",
        "source": {},
        "build": [],
        "migrate": None,
        "backup": {},
        "env_prefix": "",
        "env": {},
        "secrets": [],
        "database": "postgresql",
        "pooler": "none",
        "redis": [],
        "external": {},
        "sites": {},
        "logs": [],
        "processes": {item["name"]: item for item in processes},
        **keys,
    }


def one_host(memory_mb, cpus, **keys):
    return {"web1": {"tiers": ALL_TIERS, "memory_mb": memory_mb, "cpus": cpus, **keys}}


# --- strategies ----------------------------------------------------------------------------------------------------


def declared_or(default, values):
    """Left to the default four times out of five, as people declare."""
    return st.integers(0, 4).flatmap(lambda chosen: values if chosen == 4 else st.just(default))


@st.composite
def processes(draw, name, port):
    kind = draw(st.sampled_from(("web", "web", "celery", "worker")))
    singleton = kind == "worker" and draw(st.booleans())
    return process(
        name,
        kind,
        port=port if kind == "web" else None,
        singleton=singleton,
        instances=1 if singleton else draw(declared_or("auto", st.integers(1, 8))),
        workers=draw(declared_or(1, st.integers(2, 4))),
        threads=draw(declared_or(None, st.one_of(st.just("auto"), st.integers(1, 64)))) if kind == "web" else None,
        memory_mb=draw(declared_or(None, st.integers(32, 1024))),
        pool={
            "size": draw(declared_or("auto", st.integers(0, 40))),
            "overflow": draw(declared_or("auto", st.integers(0, 60))),
        },
    )


@st.composite
def apps(draw):
    """One to four apps of one to four processes; ports far enough apart for any number of instances."""
    declared = {}
    port = FIRST_PORT
    for app_number in range(draw(st.integers(1, 4))):
        items = []
        for process_number in range(draw(st.integers(1, 4))):
            items.append(draw(processes(f"p{process_number}", port)))
            port += PORT_STEP
        name = f"app{app_number}"
        database = draw(st.sampled_from(("postgresql", "postgresql", "mariadb", "none")))
        declared[name] = app(
            name,
            items,
            runtime=draw(st.sampled_from(RUNTIMES)),
            database=database,
            pooler=draw(st.sampled_from(("none", "pgbouncer"))) if database == "postgresql" else "none",
            redis=draw(st.sampled_from(([], ["cache"], ["queue"], ["cache", "queue"]))),
        )
    return declared


@st.composite
def resources(draw):
    """From 512 MB and one core to 256 GB and 64 cores, small machines as often as large ones."""
    step = draw(st.integers(0, 9))
    memory_mb = draw(st.integers(512 << max(0, step - 1), 512 << step))
    return {"memory_mb": memory_mb, "cpus": draw(st.sampled_from((1, 1, 2, 2, 3, 4, 6, 8, 16, 32, 64)))}


@st.composite
def hosts(draw):
    """One host of all tiers, or several with every tier on at least one of them."""
    number = draw(st.sampled_from((1, 1, 2, 3, 5)))
    tiers = [draw(st.sets(st.sampled_from(TIERS), min_size=1)) for _host in range(number)]
    for tier in TIERS:
        if not any(tier in chosen for chosen in tiers):
            tiers[draw(st.integers(0, number - 1))].add(tier)
    return {
        f"host{index}": {"tiers": [tier for tier in TIERS if tier in chosen], **draw(resources())} for index, chosen in enumerate(tiers)
    }


users = st.integers(1, 20) | st.integers(1, 2000) | st.integers(1, 50000)


def reordered(draw, value):
    """The same mapping with its keys in another order, at every depth."""
    if not isinstance(value, dict):
        return value
    return {key: reordered(draw, value[key]) for key in draw(st.permutations(list(value)))}


# --- invariants ----------------------------------------------------------------------------------------------------


def check_plan(plan, apps, hosts):
    """Everything a plan that was not refused must keep; nothing here uses the code that made it."""
    for name, host in plan["hosts"].items():
        check_memory(host, hosts[name])
        check_parts(host)
        check_files(host)
    check_connections(plan, apps)
    check_redis_clients(plan, apps)
    check_declared(plan, apps)
    check_explained(plan)


def check_memory(host, given):
    memory = host["memory"]
    assert memory["total_mb"] == given["memory_mb"]
    assert memory["reserve_mb"] >= max(150, given["memory_mb"] / 10)
    assert sum(memory["parts"].values()) + memory["reserve_mb"] + memory["free_mb"] == memory["total_mb"]
    assert memory["free_mb"] >= 0
    assert all(number >= 0 for number in memory["parts"].values())


def check_parts(host):
    """Each part is what its settings can really take."""
    parts = host["memory"]["parts"]
    sets = {}
    for app_name, planned in host["processes"].items():
        for name, settings in planned.items():
            assert parts[f"{app_name}.{name}"] == settings["instances"] * settings["memory_max_mb"]
            assert settings["memory_high_mb"] <= settings["memory_max_mb"]
            assert settings.get("node_heap_mb", 0) * settings["workers"] < settings["memory_max_mb"]
            sets[app_name] = sets.get(app_name, 0) + settings["surge_mb"]
    if "build_memory_mb" in host:
        # A build ends before the second set starts: the larger one of them counts, where there is room for either.
        assert host["build_memory_mb"] >= max(256, *sets.values(), 0)
        assert parts.get("deploy_surge", 0) == (host["build_memory_mb"] if any(sets.values()) else 0)
        assert parts.get("build", 0) in (0, host["build_memory_mb"]) and not {"build", "deploy_surge"} <= set(parts)
        if host["processes"] and host["memory"]["share_mb"] >= host["build_memory_mb"]:
            assert {"build", "deploy_surge"} & set(parts), "a build is in the sum of every host but the smallest"
    if "postgresql" in host:
        assert parts["postgresql"] >= postgresql_worst_case(host["postgresql"])
    if "mariadb" in host:
        assert parts["mariadb"] >= mariadb_worst_case(host["mariadb"])
    if "pgbouncer" in host:
        assert parts["pgbouncer"] >= 9 + host["pgbouncer"]["max_client_conn"] * 20 / 1024
    for app, purpose, settings in redis_instances(host):
        copies = 2 if purpose == "queue" else 1.25
        assert parts[f"redis-{app}-{purpose}"] == settings["memory_max_mb"] >= copies * settings["maxmemory_mb"]
        assert settings["maxmemory_policy"] == {"queue": "noeviction", "cache": "allkeys-lru"}[purpose]
    ports = [settings["port"] for _app, _purpose, settings in redis_instances(host)]
    assert len(set(ports)) == len(ports)
    for name, limits in host["services"].items():
        # What nginx may hold for a while comes out of the reserve.
        spare = host["memory"]["reserve_mb"] if name == "nginx" else 0
        assert parts[name] <= limits["memory_max_mb"] <= parts[name] + spare and limits["tasks_max"] > 0


def redis_instances(host):
    return [(app, purpose, settings) for app, purposes in host.get("redis", {}).items() for purpose, settings in purposes.items()]


def postgresql_worst_case(settings):
    """Every session with three times its work_mem (a sort, and a hash of twice the size), and all maintenance."""
    sessions = settings["max_connections"] + settings["max_parallel_workers"]
    cleaners = settings["autovacuum_max_workers"]
    return (
        settings["shared_buffers_mb"]
        + sessions * (5 + 3 * settings["work_mem_kb"] / 1024)
        + cleaners * (5 + settings["autovacuum_work_mem_mb"])
        + settings["maintenance_work_mem_mb"]
    )


def mariadb_worst_case(settings):
    session_kb = settings["sort_buffer_size_kb"] + settings["join_buffer_size_kb"] + 768
    return (
        settings["innodb_buffer_pool_size_mb"] * 1.05
        + settings["innodb_log_buffer_size_mb"]
        + settings["aria_pagecache_buffer_size_mb"]
        + settings["key_buffer_size_mb"]
        + settings["table_open_cache"] * 12 / 1024
        + settings["max_connections"] * (session_kb / 1024 + settings["tmp_table_size_mb"])
    )


def check_files(host):
    files = 0
    for planned in host["processes"].values():
        for settings in planned.values():
            sets = 2 if settings["surge_mb"] else 1
            files += settings["instances"] * settings["nofile"] * sets
            children = settings["concurrency"] if "max_websockets" not in settings else settings["workers"]
            pools = children * (settings["pool_size"] + settings["max_overflow"])
            assert settings.get("max_websockets", 0) + pools + 64 <= settings["nofile"]
            assert settings["tasks_max"] > children
    for _app, _purpose, settings in redis_instances(host):
        assert settings["nofile"] >= settings["maxclients"] + 32
        files += settings["nofile"]
    if "pgbouncer" in host:
        pgbouncer = host["pgbouncer"]
        assert pgbouncer["max_db_connections"] == pgbouncer["default_pool_size"]
        assert pgbouncer["nofile"] >= pgbouncer["max_client_conn"] + pgbouncer["default_pool_size"] + 32
        files += pgbouncer["nofile"]
    if "mariadb" in host:
        mariadb = host["mariadb"]
        assert mariadb["nofile"] >= mariadb["max_connections"] + 2 * mariadb["table_open_cache"]
        files += mariadb["nofile"]
    if "nginx" in host:
        nginx = host["nginx"]
        assert nginx["worker_rlimit_nofile"] >= 2 * nginx["worker_connections"]
        assert nginx["keepalive_connections"] < nginx["worker_connections"]
        files += nginx["worker_processes"] * nginx["worker_rlimit_nofile"]
    assert files <= host["sysctl"]["fs.file-max"]


def check_connections(plan, apps):
    """Every pool of every process on every host filled to its limit, a second set of web processes beside it."""
    pooled = {name for name, app in apps.items() if app["pooler"] != "none" and app["processes"]}
    servers = [host["pgbouncer"] for host in plan["hosts"].values() if "pgbouncer" in host]
    assert bool(pooled) == bool(servers) == ("pgbouncer" in plan["connections"])
    for database, connections in plan["connections"].items():
        assert connections["needed"] == sum(connections["parts"].values())
        assert connections["needed"] + connections["reserved"] <= connections["limit"]
        if database == "pgbouncer":
            assert held_connections(plan, pooled) + 3 <= connections["needed"]
            assert min(server["max_client_conn"] for server in servers) == connections["limit"]
            continue
        users = {name for name, app in apps.items() if app["database"] == database}
        held = held_connections(plan, users - pooled)
        if database == "postgresql" and pooled:
            held += max(server["default_pool_size"] for server in servers) * len(pooled)
        assert held + 5 <= connections["needed"]
        limits = [host[database]["max_connections"] for host in plan["hosts"].values() if database in host]
        assert min(limits) == connections["limit"]


def held_connections(plan, apps):
    """What the processes of some apps hold with all their pools full, one app's second set of each host beside them."""
    held = 0
    for host in plan["hosts"].values():
        second = {}
        for app_name, planned in host["processes"].items():
            for settings in planned.values() if app_name in apps else ():
                inside = settings["workers"] if "max_websockets" in settings else settings["concurrency"]
                number = settings["instances"] * inside * (settings["pool_size"] + settings["max_overflow"])
                held += number
                if settings["surge_mb"]:
                    second[app_name] = second.get(app_name, 0) + number
        held += max(second.values(), default=0)
    return held


def check_redis_clients(plan, apps):
    """A client library's pool of 50 in every process of the app whose instance it is."""
    processes = dict.fromkeys(apps, 0)
    for host in plan["hosts"].values():
        for app_name, planned in host["processes"].items():
            for settings in planned.values():
                inside = settings["workers"] if "max_websockets" in settings else settings["concurrency"]
                processes[app_name] += settings["instances"] * inside * (2 if settings["surge_mb"] else 1)
    for host in plan["hosts"].values():
        for app, _purpose, settings in redis_instances(host):
            assert settings["maxclients"] >= 50 * processes[app]


def check_declared(plan, apps):
    """What the user fixed is kept, and a singleton runs exactly once in the fleet."""
    for app_name, declared in apps.items():
        for name, wanted in declared["processes"].items():
            planned = [host["processes"][app_name][name] for host in plan["hosts"].values() if app_name in host["processes"]]
            running = [settings["instances"] for settings in planned]
            if wanted["singleton"]:
                assert sum(running) == 1
            elif wanted["instances"] != "auto":
                assert set(running) == {wanted["instances"]}
            else:
                assert min(running) >= 1
            for settings in planned:
                if wanted["memory_mb"] is not None:
                    assert settings["memory_max_mb"] == wanted["memory_mb"]
                if wanted["kind"] == "celery" and wanted["workers"] > 1:
                    assert settings["concurrency"] == wanted["workers"]
                if wanted["threads"] == "auto":
                    assert 1 <= settings["threads"] <= 32
                elif wanted["threads"]:
                    assert settings["threads"] == wanted["threads"]
                if wanted["threads"]:
                    # Each thread may hold a connection, and takes memory and a task.
                    pool = settings["pool_size"] + settings["max_overflow"]
                    is_chosen = wanted["threads"] == "auto" or wanted["pool"] == {"size": "auto", "overflow": "auto"}
                    assert declared["database"] == "none" or not is_chosen or settings["threads"] <= max(1, pool)
                    assert wanted["memory_mb"] or settings["memory_max_mb"] >= settings["workers"] * (100 + 3 * settings["threads"])
                    assert settings["tasks_max"] >= settings["workers"] * settings["threads"] + 64
                for key, setting in (("size", "pool_size"), ("overflow", "max_overflow")):
                    if declared["database"] != "none" and wanted["pool"][key] != "auto":
                        assert settings[setting] == wanted["pool"][key]


def check_explained(plan):
    """Every number has its line, and only numbers, texts and booleans reach the plan."""
    explained = {line.split(" = ")[0]: line for line in plan["explain"]}
    for path, value in leaves({key: plan[key] for key in ("connections", "hosts", "users")}):
        if path.endswith((".cpus", ".tiers")):
            continue
        assert explained[path].startswith(f"{path} = {value}: ")
        assert type(value) in (int, float, bool, str)
    assert plan["explain"] == sorted(plan["explain"], key=lambda line: line.split(" = ")[0].split("."))


def leaves(node, path=""):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path, node


# Buffers and workers: what more memory must never make smaller.
GROWING = (
    ".instances",
    ".workers",
    ".threads",
    ".memory_max_mb",
    ".memory_high_mb",
    ".node_heap_mb",
    ".pool_size",
    ".shared_buffers_mb",
    ".work_mem_kb",
    ".effective_cache_size_mb",
    ".maintenance_work_mem_mb",
    ".autovacuum_work_mem_mb",
    ".max_connections",
    ".max_client_conn",
    ".default_pool_size",
    ".max_wal_size_mb",
    ".wal_buffers_kb",
    ".innodb_buffer_pool_size_mb",
    ".innodb_log_file_size_mb",
    ".tmp_table_size_mb",
    ".maxmemory_mb",
    ".maxclients",
    ".worker_processes",
    ".worker_connections",
    ".swap_mb",
)


def check_grown(small, large):
    """Nothing that counts is smaller in the larger plan."""
    after = dict(leaves(large["hosts"]))
    for path, value in leaves(small["hosts"]):
        worker = path.endswith(".concurrency") and f"{path.rsplit('.', 1)[0]}.max_websockets" not in after
        if path.endswith(GROWING) or worker:
            assert after[path] >= value, path
        if path.endswith(".deploy") and value == "blue_green":
            assert after[path] == "blue_green", path
