# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every item of the checklists, on what a real host has told (recorded.json), and on the same with one thing broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.verify import checklist, judge

RECORDED = (Path(__file__).parent / "recorded.json").read_text()
WEB, BEAT, MAILER = "shop-web@8000.service", "shop-beat@1.service", "shop-mailer@1.service"
HOUR, DAY = 3600, 86400


@pytest.fixture
def recorded():
    return json.loads(RECORDED)


def _items(recorded, **options):
    items = judge.judge(recorded["want"], recorded["found"], recorded["host"], recorded["control"], **options)
    return {item["id"]: item for item in items}


def _watched(recorded, unit):
    return next(entry for entry in recorded["found"]["agent"]["watched"] if entry["unit"] == unit)


def _probe(recorded, kind, name=""):
    return next(entry for entry in recorded["found"]["probes"] if entry["kind"] == kind and name in entry["name"])


def _app(recorded):
    return recorded["found"]["environments"]["shop"]


def _listener(port, name, address="0.0.0.0"):
    return {"protocol": "tcp", "address": address, "port": port, "name": name, "pid": 9, "unit": "", "user": "root"}


def _with_backup(recorded, **news):
    """As the role backup leaves its record; ``news`` changes entries of it, and times count from now."""
    recorded["want"]["backup"] = True
    now = recorded["found"]["now"]
    backup = {"time": now - 5 * HOUR, "ok": True, "bytes": 5 << 20, "failed": []}
    drill = {"time": now - 2 * DAY, "ok": True, "rows": 1204311, "seconds": 41, "failed": []}
    told = {"last": backup, "last_good": dict(backup), "drill": drill, "drill_good": dict(drill), "upkeep": {"ok": True}}
    for key, change in news.items():
        told[key].update({name: now + value if name == "time" else value for name, value in change.items()})
    recorded["found"]["backup"] = told


def _with_recovery(recorded, **news):
    """As the role postgresql leaves its record of point-in-time recovery."""
    recorded["want"]["recovery"] = True
    now = recorded["found"]["now"]
    backup = {"time": now - 5 * HOUR, "ok": True, "type": "diff", "bytes": 5 << 20}
    told = {
        "last": backup,
        "last_good": dict(backup),
        "watch": {"ok": True, "time": now - 60, "reason": ""},
        "oldest": now - 7 * DAY,
        "gap": None,
    }
    for key, change in news.items():
        if isinstance(change, dict):
            told[key].update({name: now + value if name == "time" else value for name, value in change.items()})
        else:
            told[key] = change
    recorded["found"].update(recovery=told, recovery_limits={"max_age_hours": 36})


def _without(recorded, *names):
    _with_backup(recorded)
    for name in names:
        del recorded["found"]["backup"][name]


def _public_site(recorded, resolved):
    recorded["want"]["sites"][0].update(name="shop.example.com", names=["shop.example.com"])
    recorded["control"]["resolved"] = recorded["found"]["resolved"] = {"shop.example.com": resolved}
    for told in ("nginx", "certificates"):
        recorded["found"][told]["shop.example.com"] = recorded["found"][told]["localhost"]


def _load(**news):
    run = {"url": "https://localhost/", "success_percent": 100, "requests": 500, "mean_ms": 20, "p99_ms": 80, "requests_per_second": 900}
    return [{**run, "missed": [], "advice": "", **news}]


def _held(**news):
    """As a host of the lab told it of 600 websockets where 200 may be."""
    run = {"url": "wss://localhost/ws", "success_percent": 33.33, "connections": 600, "seconds": 7.3, "p99_ms": 576.5, "wants_login": False}
    return [{**run, "missed": ["33.33 % were kept"], "advice": "See max_connections.", **news}]


def _chaos(**news):
    """As a host of the lab told it, shortened to two of twelve faults."""
    healed = [
        {"began": 0.1, "detection_s": 1.4, "fault": "kill", "problem": "", "recovery_s": 4.3, "unit": "shop-web@8000.service"},
        {"began": 17.7, "detection_s": 7.2, "fault": "freeze", "problem": "", "recovery_s": 17.0, "unit": "shop-web@8000.service"},
    ]
    run = {"experiments": healed, "left_out": ["nginx.service"], "down_s": {"https://localhost/": 22.2}, "availability_percent": 99.974}
    return {
        **run,
        "seconds": 69.8,
        "latency_ms": {"https://localhost/": [(1, 8.0, 9.5)]},
        "memory_mb": [(1.0, 700)],
        "problems": [],
        **news,
    }


# What is broken, and words of the reason and of the remedy. Each item stands here with all of its ways to fail.
BROKEN = [
    ("plan", lambda r: r["found"].update(applied={}), "plan.json is not there", "site.yml"),
    (
        "plan",
        lambda r: r["found"]["applied"]["plan"]["postgresql"].update(max_connections=20),
        "postgresql.max_connections is 20 instead of 46",
        "--check --diff",
    ),
    ("environment-files", lambda r: _app(r).update(file=None), "/etc/mainstay/shop/env is not there", "--tags backend"),
    ("environment-files", lambda r: _app(r)["file"].update(mode="0644"), "is 0644 root:shop instead of 0640 root:shop", "rotate.yml"),
    ("environment-files", lambda r: _app(r)["file"].update(group="other"), "0640 root:other instead of", "--tags backend"),
    (
        "secret-files",
        lambda r: r["found"]["modes"]["/etc/mainstay/tls/localhost.key"].update(mode="0644"),
        "/etc/mainstay/tls/localhost.key is 0644 root",
        "replace what somebody could read",
    ),
    (
        "secret-files",
        lambda r: r["found"]["modes"]["/etc/mainstay/alerts.json"].update(owner="shop"),
        "alerts.json is 0600 shop",
        "site.yml",
    ),
    ("secrets", lambda r: _app(r).update(weak={"SECRET_KEY": "it is a placeholder"}), "shop/SECRET_KEY: it is a placeholder", "rotate.yml"),
    ("secrets", lambda r: _app(r).update(missing=["SECRET_KEY"]), "shop/SECRET_KEY is missing", "secrets"),
    ("secrets", lambda r: _app(r)["lengths"].update(SECRET_KEY=40), "shop/SECRET_KEY has 40 characters, fewer than 64", "rotate.yml"),
    ("secrets-kept", lambda r: r["control"]["secrets"].update(missing=["a/b.txt"]), "a/b.txt is missing", "restore"),
    ("secrets-kept", lambda r: r["control"]["secrets"].update(open={"a/b.txt": "0644"}), "a/b.txt is 0644", "chmod 0600"),
    ("debug", lambda r: _app(r).update(developer=["EF__API_DEBUG"]), "shop: EF__API_DEBUG is on", "false"),
    ("debug", lambda r: r["want"]["apps"][0].update(developer=["web: --reload"]), "shop, web: --reload", "out of the command"),
    ("rate-limits", lambda r: r["found"]["nginx"]["localhost"].update(rate_limits=0), "localhost has no limit", "rate_limit: {rate: 10r/s"),
    ("rate-limits", lambda r: _app(r).update(unlimited=["EF__RATE_LIMIT_ENABLED"]), "EF__RATE_LIMIT_ENABLED is off", "rate_limit"),
    (
        "unit-limits",
        lambda r: r["found"]["units"][WEB].update(MemoryMax=str(900 << 20)),
        f"{WEB}: MemoryMax is 900M instead of 192M",
        "systemctl revert",
    ),
    ("unit-limits", lambda r: r["found"]["units"][WEB].update(TasksMax="infinity"), "TasksMax is infinity instead of", "site.yml"),
    ("unit-limits", lambda r: r["found"]["units"][WEB].update(LoadState="not-found"), f"{WEB} does not exist", "site.yml"),
    ("unit-limits", lambda r: r["found"]["units"].pop(MAILER), f"{MAILER} does not exist", "site.yml"),
    (
        "undone",
        lambda r: r["host"].update(undone=[{"file": "/etc/apt/apt.conf", "name": "APT::Periodic::Enable", "value": "0", "wanted": "1"}]),
        "/etc/apt/apt.conf sets APT::Periodic::Enable to 0, not 1",
        "Take the line out",
    ),
    (
        "server-limits",
        lambda r: r["found"].update(plan={}, notes=["plan: gave no answer within 60 s"]),
        "mainstay plan does not answer (plan: gave no answer within 60 s)",
        "--tags monitoring",
    ),
    (
        "server-limits",
        lambda r: r["found"]["plan"].update(differs=["postgresql: max_connections is 100, planned are 46"]),
        "max_connections is 100",
        "restart",
    ),
    (
        "certificates",
        lambda r: r["found"]["certificates"]["localhost"].update(days_left=3),
        "lasts 3 days, fewer than 14",
        "certificates.yml",
    ),
    ("certificates", lambda r: r["found"]["certificates"]["localhost"].update(missing=["www.x"]), "is not for www.x", "certificates.yml"),
    (
        "certificates",
        lambda r: r["found"]["certificates"].update(localhost={"error": "connection refused"}),
        "localhost: connection refused",
        "",
    ),
    (
        "certificates",
        lambda r: r["want"]["sites"][0].update(source="letsencrypt"),
        "localhost is not trusted: self-signed certificate",
        "certificates.yml",
    ),
    (
        "listeners",
        lambda r: r["host"]["listeners"].append(_listener(9999, "python3")),
        "tcp 0.0.0.0:9999 by python3",
        "Bind it to 127.0.0.1",
    ),
    ("reachable", lambda r: r["control"]["outside"].update(open=[22, 80, 443, 5432]), "port 5432 answers", "--tags firewall"),
    ("reachable", lambda r: r["control"]["outside"].update(open=[22], closed=[80, 443]), "port 443 does not answer", "provider"),
    (
        "firewall",
        lambda r: r["found"]["units"]["nftables.service"].update(ActiveState="inactive"),
        "nftables.service is inactive",
        "--tags firewall",
    ),
    ("firewall", lambda r: r["found"]["units"]["nftables.service"].update(UnitFileState="disabled"), "active, disabled", "--tags firewall"),
    (
        "dns",
        lambda r: _public_site(r, ["198.51.100.1"]),
        "shop.example.com leads to 198.51.100.1",
        "A and AAAA records to this host (203.0.113.7)",
    ),
    ("dns", lambda r: _public_site(r, []), "shop.example.com has no address", "certificates_acme_addresses"),
    (
        "processes",
        lambda r: _probe(r, "command").update(healthy=False, reasons=["it ended with 3"]),
        "units: it ended with 3",
        "mainstay logs",
    ),
    ("sites", lambda r: _probe(r, "http", "https").update(healthy=False, reasons=["status 502"]), "status 502", "nginx -t"),
    ("websockets", lambda r: _probe(r, "websocket").update(healthy=False, reasons=["status 404"]), "/ws: status 404", "websocket: true"),
    ("beat", lambda r: r["found"]["beats"].update({BEAT: r["found"]["now"] - 3 * HOUR}), "has sent nothing for 3 h", "mainstay logs"),
    ("beat", lambda r: r["found"]["units"][BEAT].update(ActiveState="failed"), f"{BEAT} is failed", "restart"),
    ("beat", lambda r: r["want"]["beats"].append("shop-beat@2.service"), "2 instances send every task twice", "singleton: true"),
    ("agent", lambda r: r["found"].update(agent={}), "the agent has written no report", "mainstay-agent"),
    ("agent", lambda r: r["found"]["agent"].update(written=r["found"]["now"] - 600), "its report is 10 min old", "mainstay-agent"),
    ("agent", lambda r: r["found"]["agent"].update(dry_run=True), "heals nothing", "--tags monitoring"),
    ("agent", lambda r: r["want"]["servers"].append("mariadb.service"), "it does not watch mariadb.service", "--tags monitoring"),
    ("incidents", lambda r: _watched(r, WEB).update(health="down", reason="timeout"), f"{WEB} is down (timeout)", "mainstay history"),
    (
        "incidents",
        lambda r: r["found"].update(maintenance={"until": r["found"]["now"] + 60}),
        "maintenance is on",
        "mainstay maintenance off",
    ),
    ("restarts", lambda r: _watched(r, WEB).update(restarts_24h=7), f"{WEB} 7 times", "mainstay history"),
    ("failed-units", lambda r: r["host"].update(failed_units=["certbot.service"]), "certbot.service", "systemctl status"),
    (
        "timers",
        lambda r: r["found"]["timers"]["apt-daily.timer"].update(ActiveState="inactive"),
        "apt-daily.timer is inactive",
        "enable --now",
    ),
    ("timers", lambda r: r["found"]["timers"]["apt-daily.timer"].update(UnitFileState="disabled"), "will not come back", "enable --now"),
    ("timers", lambda r: r["want"]["timers"].append("certbot.timer"), "certbot.timer is missing", "site.yml"),
    ("errors", lambda r: r["found"]["errors"].update({"nginx.service": 5000}), "nginx.service 5000 times", "journalctl"),
    ("memory", lambda r: r["host"]["memory"].update(available_mb=100), "95 % of the host's 2048 MB are in use", "mainstay plan"),
    ("memory", lambda r: _watched(r, WEB).update(memory_mb=190), f"{WEB} uses 190 of its 192 MB", "leaks"),
    ("disk", lambda r: r["host"]["disks"]["/"].update(free_mb=10000), "/ is full to 96 %, more than 85 %", "journalctl --vacuum"),
    (
        "availability",
        lambda r: r["found"]["report"]["apps"]["shop"].update(availability=99.491, down_s=8796),
        "shop was there for 99.491 %, away for 147 min where 99.5 % allow 144",
        "mainstay report --since 30d",
    ),
    ("disk", lambda r: r["host"]["disks"]["/"].update(inodes_free=20), "room for 20 more files", "du "),
    (
        "database",
        lambda r: r["found"]["plan"]["postgresql"].update(connections=40),
        "40 of 46 connections in use",
        "leaks before you raise",
    ),
    ("database", lambda r: r["found"]["plan"].update(postgresql={"problem": "no password"}), "PostgreSQL: no password", "mainstay queries"),
    ("database", lambda r: _probe(r, "postgresql").update(healthy=False, reasons=["refused"]), "postgresql: refused", ""),
    (
        "redis",
        lambda r: r["found"]["plan"]["redis"]["instances"][0].update(rejected=4),
        "shop-cache has refused 4 connections",
        "shares its connections",
    ),
    (
        "redis",
        lambda r: r["found"]["plan"]["redis"]["instances"][0].update(clients=900),
        "shop-cache has 900 of 1000 clients",
        "workers keep up",
    ),
    ("redis", lambda r: r["found"]["plan"]["redis"]["instances"][1].update(used_mb=15.5), "a full queue takes no more", "workers keep up"),
    ("redis", lambda r: r["found"]["plan"].update(redis={}), "no answer of Redis", "systemctl status"),
    ("log-rotation", lambda r: r["found"]["rotation"].update(files=[]), "/etc/logrotate.d/mainstay-shop is not there", "logrotate"),
    (
        "log-rotation",
        lambda r: r["found"]["timers"]["logrotate.timer"].update(ActiveState="inactive"),
        "logrotate.timer is inactive",
        "enable --now",
    ),
    (
        "log-rotation",
        lambda r: r["found"]["units"]["logrotate.service"].update(Result="exit-code"),
        "logrotate has failed (exit-code)",
        "logrotate -d",
    ),
    ("log-rotation", lambda r: r["found"]["rotation"].update(looked=r["found"]["now"] - 3 * DAY), "last looked 3 d ago", "logrotate.timer"),
    ("updates", lambda r: r["found"]["updates"].update(asked_s=30 * DAY), "apt was last asked for news 30 d ago", "apt-get update"),
    ("updates", lambda r: r["found"]["updates"].update(asked_s=None), "apt was last asked for news never", "apt-get update"),
    ("updates", lambda r: r["found"]["updates"].update(reboot_s=20 * DAY), "a reboot is wanted since 20 d", "reboot in a quiet hour"),
    ("backup", lambda r: None, "nobody asked for backups", "backup_repository"),
    ("backup", lambda r: _with_backup(r, upkeep={"ok": False, "failed": ["check"]}), "the last upkeep failed (check)", "upkeep"),
    ("backup", lambda r: _without(r, "last", "last_good"), "no backup was made yet", "mainstay-backup"),
    ("backup", lambda r: _with_backup(r, last_good={"time": -60 * HOUR}), "is 2 d old, more than 36 h", "mainstay-backup"),
    ("backup", lambda r: _with_backup(r, last={"ok": False, "failed": ["shop.database"]}), "failed (shop.database)", "journalctl"),
    ("backup-drill", lambda r: _without(r, "drill", "drill_good"), "no backup was ever restored", "mainstay-backup-drill"),
    ("backup-drill", lambda r: _with_backup(r, drill_good={"time": -20 * DAY}), "20 d ago, more than 9 days", "mainstay-backup-drill"),
    ("backup-drill", lambda r: _with_backup(r, drill={"ok": False}), "the last drill failed", "mainstay-backup-drill"),
    ("recovery", lambda r: _with_recovery(r, last_good={"time": -60 * HOUR}), "is 2 d old, more than 36 h", "mainstay-pitr"),
    (
        "recovery",
        lambda r: _with_recovery(r, last={"ok": False, "reason": "killed"}),
        "the last backup for it failed (killed)",
        "journalctl",
    ),
    ("recovery", lambda r: _with_recovery(r, watch={"ok": False, "reason": "away"}), "PostgreSQL's log is not kept (away)", "journalctl"),
    ("recovery", lambda r: _with_recovery(r, watch={"time": -2 * HOUR}), "nobody has looked for 2 h", "mainstay-pitr"),
    ("recovery", lambda r: _with_recovery(r, gap=1), "some of PostgreSQL's log was dropped", "systemctl start mainstay-pitr"),
    ("alerts", lambda r: r["found"].update(alerts=[]), "nobody is told of incidents", "monitoring_alerts"),
    ("alerts", lambda r: r["want"].update(alerts=2), "1 channels, 2 are declared", "--tags monitoring"),
    (
        "alert-delivery",
        lambda r: r["found"].update(alert_test={"status": 1, "said": ["webhook: status 500"]}),
        "status 500",
        "mainstay alert --test",
    ),
    (
        "drift",
        lambda r: r["control"].update(drift={"status": 0, "changed": 2, "tasks": ["Configure nginx"]}),
        "would change: Configure nginx",
        "--diff",
    ),
    ("drift", lambda r: r["control"].update(drift={"status": 2, "changed": 0, "said": "unreachable"}), "unreachable", "site.yml"),
    ("load", lambda r: r["control"].update(websockets=_held()), "wss://localhost/ws: 33.33 % were kept", "See max_connections."),
    ("load", lambda r: r["control"].update(load=_load(missed=["mean 200 ms"], advice="Add workers.")), "mean 200 ms", "Add workers."),
    (
        "stability",
        lambda r: r["control"].update(chaos=_chaos(problems=["shop-web@8000.service, SIGKILL to its main process: nothing healed it"])),
        "nothing healed it",
        "mainstay why",
    ),
    ("stability", lambda r: r["control"].update(chaos={"msg": "the agent does not run"}), "the agent does not run", "try again"),
]


def test_the_host_as_it_was_recorded_lacks_a_backup_alone(recorded):
    items = _items(recorded)
    assert [name for name, item in items.items() if item["verdict"] == "failed"] == ["backup"]
    assert all(item["seen"] for item in items.values() if item["verdict"] == "ok")
    assert all(item["reason"] for item in items.values() if item["verdict"] == "skipped")


@pytest.mark.parametrize("name, break_it, reason, remedy", BROKEN, ids=[f"{row[0]}-{number}" for number, row in enumerate(BROKEN)])
def test_what_is_broken_is_named_with_what_helps(recorded, name, break_it, reason, remedy):
    before = {key for key, item in _items(recorded).items() if item["verdict"] == "failed"}
    break_it(recorded)
    items = _items(recorded)
    assert (items[name]["verdict"], reason in items[name]["reason"]) == ("failed", True), items[name]
    assert items[name]["remedy"] and remedy in items[name]["remedy"]
    others = {key for key, item in items.items() if item["verdict"] == "failed"} - before - {name}
    # What breaks two things is told twice, and nothing else is.
    assert others <= {"timers", "processes", "log-rotation", "database", "server-limits", "redis", "agent", "beat"}, others


@pytest.mark.parametrize(
    ("told", "verdict", "words"),
    [
        ({"connections": 3, "max_connections": 27}, "ok", "MariaDB 3 of 27 connections"),
        ({"connections": 25, "max_connections": 27}, "failed", "MariaDB has 25 of 27 connections in use"),
        ({"problem": "no socket"}, "failed", "MariaDB: no socket"),
    ],
)
def test_mariadb_has_connections_left(told, verdict, words):
    (item,) = (entry for entry in judge.ITEMS if entry["id"] == "database")
    want = {"tiers": ["database"], "plan": {"mariadb": {}}}
    found = item["judge"](checklist.Context(want, {"plan": {"mariadb": told}, "probes": []}, {}, {}, checklist.LIMITS))
    assert found["verdict"] == verdict and words in (found["reason"] or found["seen"])


def test_every_item_fails_somewhere_above():
    assert {entry["id"] for entry in judge.ITEMS} == {row[0] for row in BROKEN}


def test_every_item_has_a_number_and_a_checklist():
    for entry in judge.ITEMS:
        assert entry["requirements"] and entry["checklists"] and set(entry["checklists"]) <= set(checklist.CHECKLISTS), entry["id"]
    assert {name for entry in judge.ITEMS for name in entry["checklists"]} == set(checklist.CHECKLISTS)


def test_what_is_well_is_ok_where_it_was_broken_before(recorded):
    _with_backup(recorded)
    _with_recovery(recorded)
    recorded["found"]["alert_test"] = {"status": 0, "said": ["webhook: sent"]}
    recorded["control"].update(drift={"status": 0, "changed": 0, "tasks": []}, load=_load(), chaos=_chaos())
    _public_site(recorded, ["203.0.113.7"])
    items = _items(recorded)
    assert {item["verdict"] for item in items.values()} == {"ok"}, [item for item in items.values() if item["verdict"] != "ok"]
    assert items["stability"]["seen"].startswith(
        "2 of 2 faults healed, the slowest after 17 s; were each to happen once a day, sites would"
    )
    assert items["recovery"]["seen"] == "every moment of the last 7 d"
    assert items["backup-drill"]["seen"] == "proved restorable 2 d ago, 1204311 rows, 41 s"


def test_a_waived_item_says_why_and_does_not_count(recorded):
    found = _items(recorded, waived={"backup": "the data is a copy", "disk": "not needed"})
    assert (found["backup"]["verdict"], found["disk"]["verdict"]) == ("skipped", "ok")
    assert found["backup"]["reason"] == "waived: the data is a copy (nobody asked for backups)"


@pytest.mark.parametrize("report", [{}, {"watched_s": 80000, "apps": {"shop": {"availability": 90, "down_s": 8000}}}])
def test_a_host_of_less_than_a_day_has_not_been_available_for_long(recorded, report):
    recorded["found"]["report"] = report
    assert _items(recorded)["availability"]["verdict"] == "skipped"


def test_a_maintenance_that_is_over_is_none(recorded):
    recorded["found"]["maintenance"] = {"until": recorded["found"]["now"] - 1}
    assert _items(recorded)["incidents"]["verdict"] == "ok"


def test_a_limit_of_the_user_s_counts(recorded):
    assert _items(recorded, limits={"certificate_days": 1000})["certificates"]["verdict"] == "failed"


@pytest.mark.parametrize(
    "limits, waived, words",
    [
        ({"certificat_days": 3}, {}, "mainstay_verify_limits: there is no 'certificat_days'. Use secret_characters, certificate_days"),
        (
            {"certificate_days": "soon"},
            {},
            "mainstay_verify_limits.certificate_days: 'soon' cannot be used. Write a number; the default is 14.",
        ),
        ({"certificate_days": True}, {}, "mainstay_verify_limits.certificate_days: True cannot be used."),
        ({}, {"backups": "x"}, "mainstay_verify_waived: there is no 'backups'. Use plan, environment-files"),
        ({}, {"backup": " "}, "mainstay_verify_waived.backup: say why"),
    ],
)
def test_what_cannot_be_meant_is_refused(limits, waived, words):
    with pytest.raises(ValueError) as refused:
        judge.check_options(limits, waived)
    assert words in str(refused.value)


def test_a_host_of_one_tier_skips_what_is_not_its_own(recorded):
    recorded["want"].update(tiers=["cache"], apps=[], services={}, sites=[], beats=[], rotated=[], has_data=False)
    recorded["want"]["plan"] = {"redis": {"shop": {"cache": {"maxclients": 1000}}}}
    recorded["found"]["applied"]["plan"] = recorded["want"]["plan"]
    skipped = {name for name, item in _items(recorded).items() if item["verdict"] == "skipped"}
    assert skipped >= {
        "environment-files",
        "secrets",
        "debug",
        "rate-limits",
        "unit-limits",
        "certificates",
        "dns",
        "beat",
        "database",
        "backup",
    }
    assert not [item for item in _items(recorded).values() if item["verdict"] == "failed"]
