# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a release that starts, and what is said of one that was not accepted."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import environment as deploy_environment
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import steps as deploy_steps
from ansible_collections.mainstay.vps.tests.unit.backends import OTHER, RESULTS, SECRETS, model_of, todo
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

JOURNAL = [
    {
        "item": "shop-web@8000.service",
        "stdout_lines": [
            "t h systemd[1]: Starting shop-web@8000.service",
            "t h shop-web[1]: old words",
            "t h systemd[1]: Stopped shop-web@8000.service",
            "t h systemd[1]: Starting shop-web@8000.service",
            "t h shop-web[2]: postgresql://shop:p%40ss%2Fw%3Ard@127.0.0.1:5432/shop",
            "t h systemd[1]: Starting shop-web@8000.service",
        ],
    }
]


def test_the_report_says_what_failed_and_no_secret():
    described = todo(wanted="def")[0]
    outcome = deploy_steps.retreat(described, "started", [], RESULTS)
    text = "\n".join(deploy_steps.report(described, outcome, RESULTS, JOURNAL, "ignored", deploy_environment.environment(SHOP, SECRETS)))
    for wanted in (
        "release def",
        "http://127.0.0.1:8002/health gave status 500 in 9 tries",
        "expected 200",
        "body: no database with ********",
        "Last lines of shop-web@8000.service",
        "shop-web[2]: ********",
        "release abc serves, as before",
    ):
        assert wanted in text, wanted
    for unwanted in ("shop-worker", "old words", "ignored", SECRETS["shop"]["SECRET_KEY"], "p%40ss"):
        assert unwanted not in text, unwanted


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (None, "t h shop-web[2]: OSError: [Errno 30] Read-only file system: 'logs'", "name the folder in shared"),
        (302, "t h shop-web[2]: GET /", "health: {status: 302} says that this is a good answer"),
        (404, "t h shop-web[2]: GET /", "name a page that the app has"),
        (403, "t h shop-web[2]: GET /", "asks for no login"),
        (500, "t h shop-web[2]: GET /", "LOGGING has a StreamHandler"),
        (500, "t h shop-web[2]: Traceback (most recent call last):", None),
    ],
)
def test_the_report_says_what_may_help(status, words, told):
    described = todo(wanted="def")[0]
    probes = [{**item, "status": status} for item in RESULTS]
    units = {"shop-web@8000.service": words, "shop-web@8001.service": words.replace("[2]", "[7]").replace("t h", "t2 h")}
    journals = [{"item": unit, "stdout_lines": [said]} for unit, said in units.items()]
    lines = deploy_steps.report(described, deploy_steps.retreat(described, "started"), probes, journals)
    found = [line for line in lines if line.startswith("What may help shop: ")]
    assert len(found) == 1 and told in found[0] if told else not found
    # Both instances say the same, one after the other.
    assert [line for line in lines if words in line] == [f"  {words}"]
    assert "Last lines of shop-web@8001.service: the same as those of shop-web@8000.service." in lines


def test_two_instances_that_answer_alike_are_told_once():
    described = todo(wanted="def")[0]
    page = "<html>" + "very long " * 50
    probes = [
        {"name": f"shop-web@{port}.service", "target": f"http://127.0.0.1:{port}/", "status": 503, "attempts": 9, "reasons": [f"no answer on {port}"],
         "body": page}
        for port in (8002, 8003)
    ]  # fmt: skip
    lines = deploy_steps.report(described, deploy_steps.retreat(described, "started", [], probes), probes)
    assert "shop-web@8003.service: the same as shop-web@8002.service." in lines
    (body,) = [line for line in lines if "very long" in line]
    assert body.startswith("  body: <html>very long") and len(body) < 200


# Recorded from a Celery worker that lacks a package, the long lines cut short.
CRASHED = """\
2026-11-29T04:06:11+0000 apps-1 systemd[1]: Starting cfp-worker@1.service - cfp: worker 1...
2026-11-29T04:06:11+0000 apps-1 systemd[1]: Started cfp-worker@1.service - cfp: worker 1.
2026-11-29T04:06:12+0000 apps-1 cfp-worker[13237]:     class PrefixedStrictRedis(GlobalKeyPrefixMixin, redis.Redis):
2026-11-29T04:06:12+0000 apps-1 cfp-worker[13237]: AttributeError: 'NoneType' object has no attribute 'Redis'
2026-11-29T04:06:13+0000 apps-1 systemd[1]: cfp-worker@1.service: Main process exited, code=exited, status=1/FAILURE
2026-11-29T04:06:13+0000 apps-1 systemd[1]: cfp-worker@1.service: Failed with result 'exit-code'.
""".splitlines()
AGAIN = """\
2026-11-29T04:06:14+0000 apps-1 systemd[1]: cfp-worker@1.service: Scheduled restart job, restart counter is at 3.
2026-11-29T04:06:14+0000 apps-1 systemd[1]: Stopped cfp-worker@1.service - cfp: worker 1.
""".splitlines()
KILLED = """\
2026-11-30T13:09:38+00:00 any systemd[1]: cfp-worker@1.service: Killing process 15331 (python) with signal SIGKILL.
2026-11-30T13:09:38+00:00 any systemd[1]: cfp-worker@1.service: Killing process 15348 (jemalloc_bg_thd) with signal SIGKILL.
""".splitlines()
# Recorded from a release that was refused, and the next one, which answered a health check with a redirect.
GIVEN_UP = """\
2026-11-29T20:09:47+0000 apps-1 systemd[1]: cfp-worker@1.service: Start request repeated too quickly.
2026-11-29T20:09:47+0000 apps-1 systemd[1]: cfp-worker@1.service: Failed with result 'exit-code'.
2026-11-29T20:09:47+0000 apps-1 systemd[1]: Failed to start cfp-worker@1.service - cfp: worker 1.
""".splitlines()
BEGUN = """\
2026-11-29T04:06:14+0000 apps-1 systemd[1]: Starting cfp-worker@1.service - cfp: worker 1...
2026-11-29T04:06:14+0000 apps-1 systemd[1]: Started cfp-worker@1.service - cfp: worker 1.
2026-11-29T04:06:14+0000 apps-1 cfp-worker[13292]:   from pkg_resources import iter_entry_points
""".splitlines()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (CRASHED, CRASHED),
        (CRASHED[:5] + KILLED + CRASHED[5:], CRASHED),
        (CRASHED + AGAIN + BEGUN, CRASHED),
        (CRASHED + AGAIN + CRASHED + AGAIN + BEGUN, CRASHED),
        (CRASHED[2:] + AGAIN + BEGUN, CRASHED[2:]),
        (CRASHED + AGAIN + BEGUN + CRASHED[4:], BEGUN + CRASHED[4:]),
        (CRASHED + BEGUN, BEGUN),
        (CRASHED + AGAIN + BEGUN + BEGUN, BEGUN),
        (CRASHED + AGAIN + GIVEN_UP + BEGUN, BEGUN),
    ],
    ids=[
        "ended",
        "what it had left was killed",
        "started again",
        "twice",
        "its start is out of sight",
        "ended again",
        "of another release",
        "somebody started it again",
        "the next release",
    ],
)
def test_the_last_words_are_those_of_the_start_that_ended(lines, told):
    described = todo(wanted="def")[0]
    journal = [{"item": "cfp-worker@1.service", "stdout_lines": lines}]
    text = "\n".join(deploy_steps.report(described, deploy_steps.retreat(described, "started"), RESULTS, journal))
    assert "\n".join(["Last lines of cfp-worker@1.service:", *(f"  {line}" for line in told), "shop: release abc"]) in text


@pytest.mark.parametrize(
    ("error", "refused", "kept"),
    [
        ("shop: release def: 'make' failed with exit status 1.\nother words", ["shop"], True),
        ("shop: release def: 'make' failed.\nother: release ghi: 'make' failed.", ["other", "shop"], False),
        ("systemctl failed", ["other", "shop"], False),
    ],
    ids=["one", "both", "neither is named"],
)
def test_the_report_blames_the_apps_that_could_not_be_built(error, refused, kept):
    described = model_of(apps={**SHOP, **OTHER}, host={})
    lines = deploy_steps.report(described, deploy_steps.retreat(described, "started"), error=error)
    assert [line.partition(":")[0] for line in lines if line.endswith("was not accepted.")] == refused
    assert any("kept for the next run" in line for line in lines) is kept


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"wanted": "def"}, "release abc serves"), ({"unproven": ["web"]}, "only its configuration had changed")],
)
def test_the_report_says_what_serves_now(arguments, words):
    def told(described):
        return "\n".join(deploy_steps.report(described, deploy_steps.retreat(described, "started"), [], [], "systemctl failed"))

    assert words in told(todo(**arguments)[0])
    assert "its first release" in told(model_of(host={})) and "systemctl failed" in told(model_of(host={}))


def test_the_report_says_what_did_not_come_back():
    described = todo(wanted="def")[0]
    lines = deploy_steps.report(
        described, deploy_steps.retreat(described, "started"), not_back="shop-web@8000.service is not healthy after its restart."
    )
    assert (
        lines[-1] == "On the way back: shop-web@8000.service is not healthy after its restart. See journalctl --unit and mainstay status."
    )
