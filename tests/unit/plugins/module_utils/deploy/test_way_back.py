# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy.way_back import failures, way_back
from ansible_collections.mainstay.vps.plugins.module_utils.stack import instances
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP

APPS = {**SHOP, "job": {"source": {"path": "x"}, "processes": {"run": {"command": "run"}}}}
BEGAN = 1795940064


def _host(previous="old", releases=("new", "old", "older", "oldest")):
    paths = {
        f"{instances.RECORDS}/shop-web": {"target": "new:12:8000"},
        f"{instances.RECORDS}/job-run": {"target": "one:12:1"},
        **({"/srv/shop/previous": {"target": f"releases/{previous}"}} if previous else {}),
        **{f"/srv/shop/releases/{release}/.complete": {"target": None} for release in releases},
    }
    return {"paths": paths}


def _deploy(minutes, release, **changes):
    """As `mainstay history --json` tells one."""
    entry = {
        "time": BEGAN + 60 * minutes,
        "app": "shop",
        "by": "root@vm",
        "from": "",
        "to": release,
        "result": "succeeded",
        "seconds": 40.2,
    }
    return {**entry, **changes}


def _incident(moment, **changes):
    """As `mainstay history --json` told one after a process had been killed."""
    found = {"id": "1795940138-shop-web@8100", "state": "recovered", "times": 5, "actions": [], "events": [], "kind": "crash"}
    return {**found, "app": "shop", "process": "web", "instance": "8100", "opened": moment, **changes}


DEPLOYS = [_deploy(0, "oldest"), _deploy(60, "older"), _deploy(120, "old"), _deploy(125, "new"), _deploy(128, "bad", result="refused")]
# 74 s after BEGAN, and the same two hours later
FIRST, LAST = "2026-11-29T08:15:38.040Z", "2026-11-29T10:15:38.040Z"


@pytest.mark.parametrize(
    ("incidents", "expected"),
    [
        ([], {}),
        ([_incident(FIRST)], {"oldest": "74 s after its deploy (crash of shop-web, 5 times)"}),
        ([_incident(LAST)], {"old": "74 s after its deploy (crash of shop-web, 5 times)"}),
        ([_incident(LAST, faults=2)], {}),  # the other times it was busy
        ([_incident(LAST, faults=3)], {"old": "74 s after its deploy (crash of shop-web, 5 times)"}),
        ([_incident(LAST, kind="flapping", faults=0)], {}),
        ([_incident(LAST, kind="flapping", times=1)], {"old": "74 s after its deploy (flapping of shop-web, 1 times)"}),
        ([_incident(LAST, kind="failed", times=1, faults=1)], {"old": "74 s after its deploy (failed of shop-web, 1 times)"}),
        ([_incident(LAST, times=2)], {}),  # anything may end once or twice
        ([_incident(LAST, times=1, kind="oom")], {"old": "74 s after its deploy (oom of shop-web, 1 times)"}),
        ([_incident(LAST, app="job")], {}),
        ([{"id": "x", "server": "postgresql", "kind": "down", "opened": LAST}], {}),  # a server's is no app's
        ([_incident("2026-11-29T08:35:38.040Z")], {}),  # twenty minutes later it was proven
        ([_incident("2026-11-29T10:19:30.000Z")], {"new": "6 s after its deploy (crash of shop-web, 5 times)"}),
        ([_incident("2026-11-29T10:18:50.000Z")], {}),  # while the deploy of "new" was under way
        ([_incident("2026-11-29T10:22:10.000Z")], {}),  # instances of one that was refused
        ([_incident("yesterday"), _incident(None), {}], {}),
    ],
)
def test_an_incident_is_its_release_s_own_for_ten_minutes(incidents, expected):
    assert failures("shop", {"deploys": DEPLOYS, "incidents": incidents}) == expected


def test_the_way_back_is_what_served_before():
    assert way_back(APPS, _host()) == {"releases": {"job": "one", "shop": "old"}, "told": [], "app": "shop"}
    assert way_back(APPS, _host(), [{"deploys": DEPLOYS, "incidents": [_incident(FIRST)]}, {}])["releases"]["shop"] == "old"


@pytest.mark.parametrize(
    ("releases", "deploys", "expected", "told"),
    [
        (("new", "old", "older", "oldest"), DEPLOYS, "older", "the way back is older, which did not"),
        (("new", "old", "oldest"), DEPLOYS, "oldest", "the way back is oldest, which did not"),  # void, or pruned
        (("new", "old"), DEPLOYS, "old", "no other release is left to return to, so it is this one"),
        (("new", "old", "older"), [*DEPLOYS[:1], {**DEPLOYS[1], "result": "refused"}, *DEPLOYS[2:]], "old", "no other release is left"),
    ],
)
def test_one_that_failed_soon_is_passed_over(releases, deploys, expected, told):
    """Whichever of several hosts saw it fail."""
    histories = [{"deploys": deploys, "incidents": []}, {"deploys": deploys, "incidents": [_incident(LAST)]}]
    found = way_back(APPS, _host(releases=releases), histories, "shop")
    assert found["releases"] == {"job": "one", "shop": expected}
    assert found["told"][0].startswith("shop: old, which served before, failed 74 s after its deploy (crash of shop-web, 5 times); ")
    assert told in found["told"][0]


def test_a_release_may_be_named():
    assert way_back(APPS, _host(previous=""), (), "shop", "oldest")["releases"]["shop"] == "oldest"
    for wanted in ("new", "gone"):
        with pytest.raises(DeclarationError, match="mainstay_release.*one that the host has: old, older, oldest"):
            way_back(APPS, _host(), (), "shop", wanted)


def test_the_other_apps_stay_as_they_are_whether_they_run_something_or_not():
    """Nothing is on record of a site that nginx serves, and nothing at all there is of an app that is new."""
    site = {"runtime": "command", "source": {"path": "y"}, "processes": {}}
    host = _host()
    host["paths"]["/srv/page/current"] = {"target": "releases/third"}
    assert way_back({**APPS, "page": site, "fresh": site}, host)["releases"] == {"job": "one", "page": "third", "shop": "old"}
    assert way_back({**APPS, "page": site, "fresh": site}, host, (), "shop", "older")["releases"] == {
        "job": "one",
        "page": "third",
        "shop": "older",
    }
    host["paths"]["/srv/page/previous"] = {"target": "releases/second"}
    assert way_back({**APPS, "page": site}, host, name="page")["releases"] == {"job": "one", "page": "second", "shop": "new"}


def test_it_is_clear_which_app_is_meant():
    with pytest.raises(DeclarationError, match="no earlier release"):
        way_back(APPS, _host(previous=""))
    host = _host()
    host["paths"]["/srv/job/previous"] = {"target": "releases/zero"}
    assert way_back(APPS, host, name="job")["releases"] == {"job": "zero", "shop": "new"}
    with pytest.raises(DeclarationError, match="Say which one: -e mainstay_app=NAME, one of job, shop"):
        way_back(APPS, host)
    with pytest.raises(DeclarationError, match="'shopp'.*Name one of the declared apps: job, shop"):
        way_back(APPS, host, name="shopp")


# As `mainstay backups --json` names them: those of two nights, and the one of the deploy of "new", which took 40 s and ended at 10:19:24.
NIGHTS, BEFORE = ["20261128T021500Z", "20261129T021500Z", "20261129T235900Z"], "20261129T101850Z"
LEFT = [*DEPLOYS[:3], _deploy(125, "new", **{"from": "old"}), _deploy(128, "bad", result="refused", **{"from": "old"})]


@pytest.mark.parametrize(
    ("data", "deploys", "snapshot"),
    [
        ({"backups": [*NIGHTS, BEFORE]}, LEFT, BEFORE),
        ({"backups": NIGHTS, "snapshot": NIGHTS[1]}, LEFT, NIGHTS[1]),
        ({"backups": [], "snapshot": NIGHTS[0]}, [], NIGHTS[0]),  # whether there is such a one, the host says
    ],
)
def test_the_data_of_before_is_that_before_the_migration(data, deploys, snapshot):
    found = way_back(APPS, _host(), [{"deploys": deploys}], "shop", data={"confirm": "shop", **data})
    assert (found["releases"]["shop"], found["snapshot"], found["restore"]) == ("old", snapshot, "database")


def test_an_app_without_a_database_gets_its_folders_back():
    host = {"paths": {**_host()["paths"], "/srv/job/previous": {"target": "releases/zero"}}}
    found = way_back(APPS, host, name="job", data={"backups": [], "snapshot": NIGHTS[0], "confirm": "job"})
    assert (found["app"], found["restore"]) == ("job", "files")


def test_data_that_is_elsewhere_is_its_provider_s_to_bring_back():
    elsewhere = {"env": {"DATABASE_URL": "postgresql://shop:x@db.example.com/shop"}, "external": {"DATABASE_URL": {}}}
    host = {"paths": {**_host()["paths"], "/srv/job/previous": {"target": "releases/zero"}}}
    with pytest.raises(DeclarationError, match="DATABASE_URL leads to a database elsewhere"):
        way_back({**APPS, "job": {**APPS["job"], **elsewhere}}, host, name="job", data={"backups": [], "snapshot": "x", "confirm": "job"})


@pytest.mark.parametrize(
    ("data", "deploys", "words"),
    [
        ({"backups": NIGHTS, "confirm": "shop"}, LEFT, ["mainstay_data", "backup: true", f"of {NIGHTS[2]}, {NIGHTS[1]}"]),
        ({"backups": [*NIGHTS, BEFORE], "confirm": "shop"}, DEPLOYS, ["mainstay_data", "followed old"]),  # nobody knows when it was left
        ({"backups": [], "confirm": "shop"}, LEFT, ["of none"]),
        ({"backups": [BEFORE], "confirm": ""}, LEFT, ["mainstay_confirm", f"since the backup {BEFORE} would be gone"]),
        ({"backups": [BEFORE], "confirm": "job"}, LEFT, ["mainstay_confirm: 'job'", "-e mainstay_confirm=shop"]),
    ],
)
def test_data_is_not_replaced_unasked_or_by_a_backup_of_some_other_time(data, deploys, words):
    with pytest.raises(DeclarationError) as refusal:
        way_back(APPS, _host(), [{"deploys": deploys}], "shop", data=data)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
