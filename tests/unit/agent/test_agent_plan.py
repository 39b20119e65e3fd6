# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`mainstay plan` and `mainstay queries` on a host made of files and answers."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import socket
import threading
from pathlib import Path

import pytest
from mainstay import cli, measure
from mainstay.core.host.limits import held_by
from mainstay.paths import Paths
from mainstay.units import SystemdError

MB = 1 << 20
PLAN = {
    "version": 1,
    "host": "web1",
    "users": 100,
    "ports": {"queue": 6380},
    "connections": {
        "postgresql": {"limit": 40, "needed": 21, "reserved": 3,
                       "parts": {"deploy_surge": 5, "migrations": 2, "monitoring": 3, "shop.beat": 1, "shop.web": 10}},
    },
    "plan": {
        "memory": {"total_mb": 2048, "reserve_mb": 205, "free_mb": 11, "share_mb": 500,
                   "parts": {"postgresql": 400, "nginx": 20, "shop.web": 600, "deploy_surge": 600}},
        "processes": {"shop": {"web": {"instances": 2, "memory_max_mb": 300, "tasks_max": 128, "nofile": 65536}}},
        "postgresql": {"max_connections": 40, "shared_buffers_mb": 128, "work_mem_kb": 512, "jit": False,
                       "random_page_cost": 1.1, "huge_pages": "off"},
        "nginx": {"worker_processes": 2, "worker_connections": 4096},
    },
}  # fmt: skip
SETTINGS = {
    "max_connections": ["40", None], "shared_buffers": ["16384", "8kB"], "work_mem": ["512", "kB"], "jit": ["off", None],
    "random_page_cost": ["1.1", None], "huge_pages": ["off", None],
}  # fmt: skip
SESSIONS = [
    {"role": "shop", "state": "idle", "number": 4, "oldest_s": None},
    {"role": "shop", "state": "idle in transaction", "number": 1, "oldest_s": 130},
    {"role": "postgres", "state": "active", "number": 1, "oldest_s": 0},
]
PGBOUNCER = {"default_pool_size": 6, "max_client_conn": 120, "max_db_connections": 6, "nofile": 256}
POOLS = [
    {
        "database": "pgbouncer",
        "cl_active": 1,
        "cl_waiting": 0,
        "sv_active": 0,
        "sv_idle": 0,
        "sv_used": 0,
        "sv_tested": 0,
        "sv_login": 0,
        "maxwait": 0,
    },
    {
        "database": "shop",
        "cl_active": 9,
        "cl_waiting": 3,
        "sv_active": 5,
        "sv_idle": 0,
        "sv_used": 1,
        "sv_tested": 0,
        "sv_login": 0,
        "maxwait": 75,
    },
]
MARIADB = {"max_connections": 30, "innodb_buffer_pool_size_mb": 64, "sort_buffer_size_kb": 1024, "nofile": 16384}
MARIADB_IS = {"max_connections": "30", "innodb_buffer_pool_size": str(64 * MB), "sort_buffer_size": str(MB)}
STATEMENT = {"app": "shop", "role": "shop", "calls": 12, "total_ms": 3000, "mean_ms": 250.0, "max_ms": 900, "rows": 7,
             "query": "SELECT *\n  FROM orders WHERE id = $1"}  # fmt: skip


class Host:
    def __init__(self, tmp_path, clock, capsys):
        self.root, self.clock, self.capsys = tmp_path, clock, capsys
        names = ("agent.json", "state.json", "incidents.jsonl", "maintenance.json", "locks", "s", "deploys.jsonl", "plan.json")
        self.paths = Paths(*(str(tmp_path / name) for name in names))
        processes = [
            {"app": "shop", "process": "web", "instance": port, "unit": f"shop-web@{port}.service", "kind": "web"}
            for port in ("8000", "8001")
        ]
        Path(self.paths.config).write_text(json.dumps({"processes": processes}))
        self.plan, self.answer = copy.deepcopy(PLAN), {"settings": dict(SETTINGS), "waiting": [], "sessions": SESSIONS}
        self.limits = {"MemoryMax": str(300 * MB), "TasksMax": "128", "LimitNOFILE": "65536"}
        self.mariadb = {"settings": dict(MARIADB_IS), "sessions": SESSIONS}
        self.is_root, self.asked = True, []
        self.pools, self.config = POOLS, {"pool_mode": "transaction", **PGBOUNCER}
        for unit, used in {"shop-web@8000": 100, "shop-web@8001": 90, "postgresql@15-main": 60, "nginx": 5}.items():
            self.write(f"sys/fs/cgroup/{unit}.service/memory.current", str((used + 30) * MB))
            self.write(f"sys/fs/cgroup/{unit}.service/memory.stat", f"anon 1\ninactive_file {30 * MB}\nactive_file 9\n")

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def program(self, argv, timeout=5, text=""):
        if argv[0] == "systemctl":
            found = []
            for name in argv[argv.index("--") + 1 :]:
                unit = name.replace("*", "15")  # of a cluster by another name nothing is asked
                own = self.limits if unit.startswith("shop-web") else {"MemoryMax": "infinity"}
                found.append({"Id": unit, "ControlGroup": f"/{unit}", **own})
            return "\n\n".join("\n".join(f"{key}={value}" for key, value in unit.items()) for unit in found)
        if argv[0] == "mariadb":
            self.asked.append((argv, text))
            if isinstance(self.mariadb, str):
                raise SystemdError(self.mariadb)
            return json.dumps(self.mariadb)
        if "pgbouncer" in argv:
            rows = self.pools if argv[-1] == "SHOW POOLS" else [{"key": key, "value": value} for key, value in self.config.items()]
            return "\n".join("|".join(map(str, row)) for row in [rows[0], *(row.values() for row in rows)]) + "\n"
        self.asked.append((argv, text))
        if isinstance(self.answer, str):
            raise SystemdError(self.answer)
        return json.dumps(self.answer)

    def run(self, *argv):
        Path(self.paths.plan).write_text(json.dumps(self.plan))
        context = cli.Context(
            paths=self.paths,
            systemd=self,
            clock=self.clock,
            run=self.program,
            filesystem=str(self.root),
            root=self.is_root,
        )
        status = cli.main(argv, context)
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err


@contextlib.contextmanager
def served(answer):
    """An address that answers one connection so."""

    def answers():
        connection, _address = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer.encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answers)
        thread.start()
        yield listener.getsockname()
        thread.join()


@pytest.fixture
def host(tmp_path, clock, capsys):
    return Host(tmp_path, clock, capsys)


class TestPlan:
    def test_all_as_planned(self, host):
        status, out, _err = host.run("plan")
        assert status == 0, out
        assert out.splitlines() == [
            "web1: 2048 MB, planned for 100 people online",
            "",
            "MEMORY                   UNITS  PLANNED MB  USED MB  PART",
            "deploy_surge             -      600         -        -",
            "shop.web                 2      600         190      31 %",
            "  shop-web@8000.service  -      300         100      33 %",
            "  shop-web@8001.service  -      300         90       30 %",
            "postgresql               1      400         60       15 %",
            "nginx                    1      20          5        25 %",
            "reserve                  -      205         -        -",
            "free                     -      11          -        -",
            "",
            "postgresql: 6 of 40 connections",
            "APP       PLANNED  NOW  STATES                         OLDEST TRANSACTION",
            "(others)  10       1    1 active                       -",
            "shop      11       5    4 idle, 1 idle in transaction  2 min",
            "",
            "nginx: 0 of 8192 connections",
        ]

    @pytest.mark.parametrize("answer", ["", "HTTP/1.1 404 Not Found\r\n\r\n"])
    def test_an_nginx_that_does_not_tell_its_figures_is_shown_without(self, host, monkeypatch, answer):
        with served(answer) as address:
            monkeypatch.setattr(measure.nginx_figures, "__defaults__", (address, 2))
            _status, out, _err = host.run("plan")
        assert out.splitlines()[-1] == "nginx: 0 of 8192 connections"

    def test_what_nginx_tells_of_itself_is_shown(self, host, monkeypatch):
        told = "Active connections: 9 \nserver accepts handled requests\n 120 117 5031 \nReading: 1 Writing: 2 Waiting: 6 \n"
        with served(f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{told}") as address:
            monkeypatch.setattr(measure.nginx_figures, "__defaults__", (address, 2))
            _status, out, _err = host.run("plan")
        assert out.splitlines()[-2:] == [
            "  5031 requests and 120 clients since it started, 3 refused",
            "  of the clients now 1 send a request, 2 are answered, 6 are idle",
        ]

    @pytest.mark.parametrize(
        ("setting", "is_", "told"),
        [
            ("max_connections", ["30", None], "postgresql: max_connections is 30, planned 40"),
            ("shared_buffers", ["8192", "8kB"], "postgresql: shared_buffers is 64 MB, planned 128 MB"),
            ("work_mem", ["4096", "kB"], "postgresql: work_mem is 4096 KB, planned 512 KB"),
            ("jit", ["on", None], "postgresql: jit is on, planned off"),
            ("random_page_cost", ["4", None], "postgresql: random_page_cost is 4, planned 1.1"),
        ],
    )
    def test_a_setting_that_is_not_the_plan_s_is_told(self, host, setting, is_, told):
        host.answer["settings"][setting] = is_
        status, out, _err = host.run("plan", "--json")
        assert (status, json.loads(out)["differs"]) == (1, [told])

    @pytest.mark.parametrize(
        ("name", "value"), [("MemoryMax", "infinity"), ("MemoryMax", "1"), ("TasksMax", "64"), ("LimitNOFILE", "1024")]
    )
    def test_a_unit_without_its_limit_is_told(self, host, name, value):
        host.limits[name] = value
        status, out, _err = host.run("plan", "--json")
        assert status == 1
        assert json.loads(out)["differs"][0].startswith(f"shop-web@8000.service: {name} is {value}, planned ")

    def test_what_waits_for_a_restart_is_told(self, host):
        host.answer["waiting"] = ["shared_buffers"]
        status, out, _err = host.run("plan")
        assert status == 1
        assert out.endswith("Differs from the plan\n  - postgresql: shared_buffers is changed and waits for a restart\n")

    def test_what_comes_close_to_its_limit_is_told(self, host):
        host.answer["sessions"] = [{"role": "shop", "state": "idle", "number": 30, "oldest_s": None}]
        host.write("sys/fs/cgroup/postgresql@15-main.service/memory.current", str(350 * MB))
        status, out, _err = host.run("plan", "--json")
        assert (status, json.loads(out)["close"]) == (
            1,
            ["memory of postgresql: 320 of 400 MB, 80 %", "connections to postgresql: 30 of 37, 81 %"],
        )

    def test_a_unit_close_to_its_own_limit_is_told(self, host):
        host.write("sys/fs/cgroup/shop-web@8001.service/memory.current", str(300 * MB))
        status, out, _err = host.run("plan", "--json")
        assert (status, json.loads(out)["close"]) == (1, ["memory of shop-web@8001.service: 270 of 300 MB, 90 %"])

    def test_who_uses_pgbouncer_and_who_waits_there(self, host):
        host.plan["plan"]["pgbouncer"] = PGBOUNCER
        host.plan["plan"]["memory"]["parts"]["pgbouncer"] = 15
        status, out, _err = host.run("plan")
        assert out.splitlines()[-8:-3] == [
            "pgbouncer: 12 of 120 clients",
            "APP   CLIENTS  WAITING  LONGEST WAIT  SESSIONS  ACTIVE",
            "shop  12       3        75 s          6 of 6    5",
            "",
            "nginx: 0 of 8192 connections",
        ]
        assert status == 1 and out.endswith("pgbouncer.service: LimitNOFILE is None, planned 256\n")

    def test_settings_and_clients_of_pgbouncer_are_compared(self, host):
        host.plan["plan"]["pgbouncer"] = {key: value for key, value in PGBOUNCER.items() if key != "nofile"} | {"nofile": None}
        host.config = {**host.config, "default_pool_size": 20, "max_client_conn": 14}
        _status, out, _err = host.run("plan", "--json")
        found = json.loads(out)
        assert found["differs"] == [
            "pgbouncer: default_pool_size is 20, planned 6", "pgbouncer: max_client_conn is 14, planned 120"]  # fmt: skip
        assert found["close"] == ["clients of pgbouncer: 12 of 14, 85 %"]

    def test_a_database_that_does_not_answer_differs_from_any_plan(self, host):
        host.answer = "runuser: psql: error: connection refused"
        status, out, _err = host.run("plan")
        assert status == 1 and "postgresql: cannot be asked: psql: error: connection refused" in out

    @pytest.fixture
    def on_mariadb(self, host):
        del host.plan["plan"]["postgresql"]
        host.plan["plan"]["mariadb"] = dict(MARIADB)
        host.plan["connections"] = {"mariadb": {"limit": 30, "needed": 21, "reserved": 1, "parts": {"migrations": 2, "shop.web": 10}}}
        return host

    def test_who_uses_mariadb(self, on_mariadb):
        _status, out, _err = on_mariadb.run("plan")
        assert out.splitlines()[-8:-5] == [
            "APP       PLANNED  NOW  STATES                         OLDEST TRANSACTION",
            "(others)  2        1    1 active                       -",
            "shop      10       5    4 idle, 1 idle in transaction  2 min",
        ]
        assert "mariadb: 6 of 30 connections\n" in out
        ((argv, text),) = on_mariadb.asked
        assert "processlist" in text and not any("SELECT" in word for word in argv)

    @pytest.mark.parametrize(
        ("setting", "is_", "told"),
        [
            ("max_connections", "151", "mariadb: max_connections is 151, planned 30"),
            ("innodb_buffer_pool_size", str(128 * MB), f"mariadb: innodb_buffer_pool_size is {128 * MB}, planned {64 * MB}"),
        ],
    )
    def test_a_setting_of_mariadb_that_is_not_the_plan_s_is_told(self, on_mariadb, setting, is_, told):
        unit = "mariadb.service: LimitNOFILE is None, planned 16384"
        assert json.loads(on_mariadb.run("plan", "--json")[1])["differs"] == [unit]
        on_mariadb.mariadb["settings"][setting] = is_
        status, out, _err = on_mariadb.run("plan", "--json")
        assert (status, json.loads(out)["differs"]) == (1, [told, unit])

    def test_a_mariadb_that_is_full_or_away_is_told(self, on_mariadb):
        on_mariadb.mariadb["sessions"] = [{"role": "shop", "state": "idle", "number": 24, "oldest_s": None}]
        assert json.loads(on_mariadb.run("plan", "--json")[1])["close"] == ["connections to mariadb: 24 of 29, 82 %"]
        on_mariadb.mariadb = "mariadb: ERROR 2002 (HY000): Can't connect"
        status, out, _err = on_mariadb.run("plan", "--json")
        assert (status, json.loads(out)["differs"]) == (1, ["mariadb: cannot be asked: ERROR 2002 (HY000): Can't connect"])

    def test_a_redis_that_does_not_answer_is_told(self, host):
        host.plan["plan"]["redis"] = {
            "shop": {"queue": {"maxmemory_mb": 16, "maxmemory_policy": "noeviction", "maxclients": 1000, "port": 1}}  # nobody listens there
        }
        status, out, _err = host.run("plan", "--json")
        assert status == 1 and json.loads(out)["differs"][0].startswith("redis shop-queue: does not answer")

    def test_without_root_or_a_plan_it_says_what_to_do(self, host):
        host.is_root = False
        assert host.run("plan")[::2] == (2, "mainstay: mainstay plan needs root: use sudo\n")
        context = cli.Context(paths=Paths(plan=str(host.root / "nowhere")), root=True)
        assert cli.main(["plan"], context) == 2
        assert "run the role mainstay.vps.monitoring with a capacity plan" in host.capsys.readouterr().err

    def test_the_query_and_not_its_text_is_in_the_process_list(self, host):
        host.run("plan")
        ((argv, text),) = host.asked
        assert argv[:4] == ["runuser", "--user=postgres", "--", "psql"] and "pg_stat_activity" in text
        assert not any("SELECT" in word for word in argv)

    def test_redis_is_compared(self, host, monkeypatch):
        info = {
            "maxmemory": str(32 * MB),
            "maxmemory_policy": "noeviction",
            "maxclients": "968",
            "used_memory": str(15 * MB),
        }
        info |= {"connected_clients": "9", "evicted_keys": "0", "rejected_connections": "2"}
        monkeypatch.setattr(measure, "redis_info", lambda _address, port: info if port == 6380 else {})
        host.plan["plan"]["redis"] = {
            "shop": {"queue": {"maxmemory_mb": 16, "maxmemory_policy": "noeviction", "maxclients": 1000, "nofile": 1032, "port": 6380}}
        }
        status, out, _err = host.run("plan", "--json")
        assert status == 1 and json.loads(out)["differs"] == [
            f"redis shop-queue: maxmemory is {32 * MB}, planned {16 * MB}",
            "redis shop-queue: maxclients is 968, planned 1000",
            "redis-server@shop-queue.service: LimitNOFILE is None, planned 1032",
        ]
        (instance,) = json.loads(out)["redis"]["instances"]
        assert (instance["used_mb"], instance["maxmemory_mb"], instance["rejected"]) == (15, 32, 2)


class TestQueries:
    @pytest.fixture(autouse=True)
    def statements(self, host):
        host.answer = {"since": "2026-01-02T03:04:05.6+00:00", "total_ms": 4000, "databases": ["postgres", "shop"]}
        host.answer["statements"] = [dict(STATEMENT)]

    def test_the_report(self, host):
        status, out, _err = host.run("queries")
        assert status == 0
        assert out.splitlines() == [
            "APP   CALLS  TOTAL S  PART  MEAN MS  ROWS  STATEMENT",
            "shop  12     3.0      75 %  250.0    7     SELECT * FROM orders WHERE id = $1",
            "",
            "since 2026-01-02 03:04:05; start afresh: SELECT pg_stat_statements_reset()",
        ]

    def test_a_long_statement_is_cut_and_whole_in_json(self, host):
        host.answer["statements"][0]["query"] = "SELECT " + "x" * 200
        assert "x…\n" in host.run("queries")[1]
        assert json.loads(host.run("queries", "--json")[1])["statements"][0]["query"] == "SELECT " + "x" * 200

    @pytest.mark.parametrize(
        ("argv", "words", "order"),
        [
            ((), ["app=", "calls=1", "lines=10", "all=False"], "total_exec_time DESC"),
            (
                ("shop", "--by", "mean", "-n", "3", "--all"),
                ["app=shop", "calls=5", "lines=3", "all=True"],
                "mean_exec_time",
            ),
            (("--by", "rows"), ["calls=1"], "ORDER BY rows DESC"),
        ],
    )
    def test_what_is_asked(self, host, argv, words, order):
        host.run("queries", *argv)
        ((asked, text),) = host.asked
        assert set(words) <= set(asked) and order in text

    def test_an_unknown_app(self, host):
        status, _out, err = host.run("queries", "blog")
        assert (status, err) == (2, "mainstay: there is no database blog on this host; there are postgres, shop\n")

    @pytest.mark.parametrize(
        ("said", "words"),
        [
            ('ERROR:  relation "pg_stat_statements_info" does not exist', "run the role mainstay.vps.postgresql"),
            ("runuser: user postgres does not exist", "cannot be asked on this host: user postgres does not exist"),
        ],
    )
    def test_where_nothing_is_counted(self, host, said, words):
        host.answer = said
        status, _out, err = host.run("queries")
        assert status == 2 and words in err

    def test_nothing_yet(self, host):
        host.answer["statements"] = []
        assert host.run("queries")[1] == "No statement has been counted yet.\n"


class TestMeasure:
    @pytest.mark.parametrize(
        ("files", "used"),
        [
            ({}, None),
            ({"sys/fs/cgroup/g/memory.current": "100", "sys/fs/cgroup/g/memory.stat": "inactive_file 30\n"}, 70),
            ({"sys/fs/cgroup/g/memory.current": "100"}, 100),
            ({"sys/fs/cgroup/memory/g/memory.usage_in_bytes": "100",
              "sys/fs/cgroup/memory/g/memory.stat": "inactive_file 9\ntotal_inactive_file 40\n"}, 60),
        ],
    )  # fmt: skip
    def test_memory_of_both_versions_of_control_groups(self, host, files, used):
        for path, text in files.items():
            host.write(path, text)
        assert held_by("/g", str(host.root)) == used

    def test_only_established_connections_of_these_processes_count(self, host):
        rows = [("01", 11), ("01", 12), ("0A", 13), ("06", 0)]
        lines = [f"{n}: 0100007F:1F90 0100007F:D431 {state} 0:0 0:0 0 0 0 {inode} 1" for n, (state, inode) in enumerate(rows)]
        host.write("proc/net/tcp", "\n".join(["head", *lines]))
        (host.root / "proc/7/fd").mkdir(parents=True)
        for number, target in enumerate(("socket:[11]", "socket:[13]", "pipe:[12]", "/dev/null")):
            os.symlink(target, host.root / f"proc/7/fd/{number}")
        assert measure.connections([7, 8], str(host.root)) == 1

    @pytest.mark.parametrize("folder", ["", "/unified", "/systemd"])
    def test_processes_of_a_group(self, host, folder):
        host.write(f"sys/fs/cgroup{folder}/g/cgroup.procs", "7\n8\n")
        assert measure.processes("/g", str(host.root)) == [7, 8]

    @pytest.mark.parametrize(
        ("answer", "found"),
        [
            (b"$22\r\n# Memory\r\nmaxmemory:9\r\n\r\n", {"maxmemory": "9"}),
            (b"-NOPERM no\r\n", "NOPERM no"),
            (b"", "it closed the connection"),
            (b"$90\r\n# Mem", "it closed the connection"),
        ],
    )
    def test_redis_info(self, answer, found):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve():
                connection = server.accept()[0]
                connection.recv(100)
                connection.sendall(answer)
                connection.close()

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                if isinstance(found, dict):
                    assert measure.redis_info("127.0.0.1", server.getsockname()[1]) == found
                else:
                    with pytest.raises(OSError, match=found):
                        measure.redis_info("127.0.0.1", server.getsockname()[1])
            finally:
                thread.join()
