# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of the checklists: for a screen, a pipeline, a browser and an auditor."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.verify import evidence, judge, report, wanted

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
APPS = {
    "shop": {
        "source": {"path": "x"},
        "database": "postgresql",
        "secrets": ["SECRET_KEY"],
        "processes": {
            "web": {"command": "uvicorn a:b --reload --port $PORT", "port": 8000, "health": {"path": "/health"}},
            "beat": {"command": "celery -A shop.tasks beat", "singleton": True},
            "report": {"command": "python -m report", "schedule": "daily"},
        },
        "sites": {
            "shop.example.com": {"tls": "letsencrypt", "routes": {"/": {"process": "web"}, "/ws": {"process": "web", "websocket": True}}}
        },
        "logs": ["logs/*.log"],
    }
}


@pytest.fixture
def result():
    checks = judge.judge(RECORDED["want"], RECORDED["found"], RECORDED["host"], RECORDED["control"])
    told = evidence.evidence(RECORDED["want"], RECORDED["found"], RECORDED["host"], RECORDED["control"], checks)
    return {"checks": checks, "evidence": told, "notes": ["plan: <script>"]}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_message_names_each_failure_with_its_remedy(result):
    document = report.verification({"web1": result}, "now")
    assert not document["ok"] and document["counts"]["failed"] == 1
    remedy = "Declare backup_repository (docs/backups.md) and run site.yml."
    assert report.message(document) == f"web1: backup (S4-28): nobody asked for backups. {remedy}"
    assert "  ✗ backup             nobody asked for backups" in report.table(document)
    assert report.table(document)[-1].endswith("1 failed, 7 skipped") or "1 failed" in report.table(document)[-1]


def test_a_host_without_a_result_failed(result):
    document = report.verification({"web1": result, "web2": ""}, "now")
    assert "web2: host (no number): nothing is known of it" in report.message(document)
    assert not document["ok"]


def test_the_page_needs_no_other_and_escapes_what_it_shows(result):
    result["checks"][0]["seen"] = '<img src=x onerror="alert(1)">\x1b[2J'
    page = report.page(report.verification({"web<1>": result}, "now"))
    tags = Page(page).tags
    assert {tag for tag, _attributes in tags} <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "h3",
        "b",
        "p",
        "ul",
        "li",
        "section",
        "span",
        "br",
    }
    assert not [attributes for _tag, attributes in tags if {"src", "href", "onerror"} & set(attributes)]
    assert "web&lt;1&gt;" in page and "&lt;script&gt;" in page and "\x1b" not in page
    assert 'name="viewport"' in page and "prefers-color-scheme:dark" in page


def test_every_item_is_on_the_page_once(result):
    page = report.page(report.verification({"web1": result}, "now"))
    for check in result["checks"]:
        assert page.count(f'<p class="dim">{check["id"]} · ') == 1, check["id"]


def test_the_evidence_has_what_an_auditor_asks_for_and_no_secret(result):
    told = report.verification({"web1": result}, "now", True)["hosts"]["web1"]["evidence"]
    keys = {"versions", "plan", "units", "listeners", "certificates", "backups", "incidents", "deploys", "checks", "open_from_outside"}
    assert keys <= set(told)
    assert told["units"]["shop-web@8000.service"]["exposure"] == 1.3
    assert told["open_from_outside"] == {"address": "203.0.113.7", "open": [22, 80, 443]}
    assert told["secrets"]["shop"] == {"number": 5, "shortest": 86, "weak": []}
    assert "evidence" not in report.verification({"web1": result}, "now")["hosts"]["web1"]


def test_what_a_host_has_to_be_follows_from_what_is_declared():
    host = {"listeners": [], "ssh_ports": [2222], "postgresql": {"clusters": [{"version": "15"}]}}
    want = wanted.wanted(APPS, {}, "web1", host, variables={"backup_repository": "/x", "monitoring_alerts": [{"webhook": "y"}]})
    assert want["beats"] == ["shop-beat@1.service"]
    assert want["apps"][0]["developer"] == ["web: --reload"]
    assert want["open"]["world"] == [[2222, 2222], [80, 80], [443, 443]]
    assert {"shop-report@1.timer", "mainstay-backup-drill.timer", "certbot.timer", "mainstay-alert.path"} <= set(want["timers"])
    assert "shop-report@1.service" in want["services"] and want["has_data"]
    assert [site["websocket"] for site in want["sites"]] == [["/ws"]]


def test_a_host_without_apps_sites_and_backups_is_asked_for_less():
    plan = {
        "hosts": {"db1": {"tiers": ["database"], "address": "10.0.0.3"}, "web1": {"tiers": ["proxy", "backend"], "address": "10.0.0.2"}}
    }
    want = wanted.wanted(APPS, plan, "db1", {"listeners": [], "ssh_ports": [22]})
    assert (want["apps"], want["sites"], want["services"], want["beats"]) == ([], [], {}, [])
    assert "certbot.timer" not in want["timers"] and "mainstay-backup.timer" not in want["timers"]
    assert want["open"] == {"world": [[22, 22]], "some": [[5432, 5432]], "behind": []}


DRIFTED = """
TASK [mainstay.vps.nginx : Configure nginx] ************************************
changed: [web1]
changed: [web10]

RUNNING HANDLER [Reload nginx] *************************************************
changed: [web10]

PLAY RECAP *********************************************************************
web1                       : ok=90   changed=1    unreachable=0    failed=0
web10                      : ok=90   changed=0    unreachable=0    failed=0
"""


@pytest.mark.parametrize(
    "run, told",
    [
        ({}, {}),
        ({"skipped": True}, {}),
        ({"rc": 0, "stdout": DRIFTED}, {"status": 0, "changed": 1, "tasks": ["mainstay.vps.nginx : Configure nginx"], "said": ""}),
        ({"rc": 4, "stdout": "", "stderr": "[ERROR]: no such host"}, {"status": 4, "changed": 0, "tasks": [], "said": "no such host"}),
        ({"rc": 0, "stdout": "nothing of web1"}, {"status": 1, "changed": 0, "tasks": [], "said": ""}),
    ],
)
def test_what_a_run_in_check_mode_has_told(run, told):
    assert report.drift(run, "web1") == told
