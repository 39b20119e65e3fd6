# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the role backend, and what checks them."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import model
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import steps as deploy_steps
from ansible_collections.mainstay.vps.plugins.module_utils.deploy import units as deploy_units
from ansible_collections.mainstay.vps.tests.unit.backends import OTHER, WANTS, model_of, unit_of
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP, broken


def test_files_hold_everything_and_every_path_once():
    described = model_of(apps={**SHOP, **OTHER})
    for entries in (
        described["files"],
        deploy_steps.preparation(described)["files"],
        deploy_steps.completion(described)["files"],
        deploy_steps.retreat(described, "started")["files"],
    ):
        assert len({entry["dest"] for entry in entries}) == len(entries)
    described = model_of()
    files = {entry["dest"]: entry for entry in described["files"]}
    env = files["/etc/mainstay/shop/env"]
    assert (env["group"], env["mode"], env["sensitive"]) == ("shop", "0640", True)
    assert files[f"{WANTS}/shop-web@8001.service"]["link"] == "../shop-web@.service"
    assert files["/srv/shop/instances/web@8001"]["link"] == "../releases/abc"
    assert files["/etc/systemd/system/multi-user.target.wants/shop.target"]["link"] == "../shop.target"
    assert described["packages"] == ["nftables", "python3-venv"]
    owners = {path: entry.get("owner", "root") for path, entry in files.items() if path.startswith("/srv/shop")}
    assert {path for path, owner in owners.items() if owner != "root"} == {"/srv/shop/shared"}, "all else is root's"


def test_the_mount_of_an_app_is_named_after_its_place():
    assert deploy_units.run_mount("my-shop") == r"run-my\x2dshop.mount"
    assert "/etc/systemd/system/run-shop.mount" in {entry["dest"] for entry in model_of()["files"]}


def test_nginx_is_let_into_what_it_serves_of_the_shared_folders_by_the_app_itself():
    apps = broken(("shop", "sites", "shop.example.com", "routes", "/media"), {"directory": "media"})
    apps["shop"]["shared"] = ["media", "cache"]
    assert unit_of("web", apps=apps)["served"] == ["/srv/shop/shared/media"]
    assert "acl" in model_of(apps=apps)["packages"] and unit_of("web")["served"] == []


def test_logs_are_in_a_folder_that_outlives_a_release():
    apps = broken(("shop", "logs"), ["logs/*.log", "var/log/app.log", "*/x.log", "top.log"])
    assert model_of(apps=apps)["apps"]["shop"]["shared"] == ["logs", "var/log"]


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (252, "systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/shop-beat@.service"),
        (249, "grep -E"),
    ],
)
def test_units_are_verified_so_that_a_broken_directive_fails(version, words):
    (command,) = model_of(host={"systemd_version": version})["validate"]
    assert words in command and "/etc/systemd/system/shop.target" in command


def test_no_apps_no_work():
    described = model.model({}, {})
    steps = [deploy_steps.preparation(described), deploy_steps.takeover(described), deploy_steps.completion(described)]
    assert not described["files"] and not described["validate"] and not described["locks"]
    assert not any(value for step in steps for value in step.values())
