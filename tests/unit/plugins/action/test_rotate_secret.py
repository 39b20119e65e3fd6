# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation of secrets on real files: what is kept, what is refused, and what is left when it is cut off."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret
from ansible.playbook.task import Task
from ansible.plugins.loader import lookup_loader
from ansible_collections.mainstay.vps.plugins.action import rotate_secret
from ansible_collections.mainstay.vps.plugins.plugin_utils import secret_files
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP


class Node:
    """A control node with the secrets of the shop in its inventory."""

    def __init__(self, path):
        self.path = path
        self.folder = path / "secrets/shop"
        self.loader = DataLoader()

    def read(self):
        lookup = lookup_loader.get("mainstay.vps.secrets", loader=self.loader)
        return lookup.run([SHOP], {"inventory_dir": str(self.path)})[0]["shop"]

    def rotate(self, secret="shop/SECRET_KEY", check=False, **options):
        task = Task()
        task.args, task.check_mode, task.async_val = {"apps": SHOP, "secret": secret, **options}, check, 0
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        action = rotate_secret.ActionModule(task, connection, SimpleNamespace(), self.loader, None, None)
        return action.run(task_vars={"inventory_dir": str(self.path)})

    def text(self, name):
        return (self.folder / name).read_text().strip()

    def names(self):
        return sorted(path.name for path in self.folder.iterdir() if path.name.startswith(("SECRET_KEY", "tmp")))


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    node.old = node.read()["SECRET_KEY"]
    return node


def test_a_new_secret_and_the_old_one_beside_it(node):
    others = {name: value for name, value in node.read().items() if name != "SECRET_KEY"}
    result = node.rotate()
    now = node.read()
    assert result["changed"] and result["previous"].endswith("shop/SECRET_KEY.previous.txt")
    assert now["SECRET_KEY"] != node.old and len(now["SECRET_KEY"]) == 86
    assert node.text("SECRET_KEY.previous.txt") == node.old
    assert {name: value for name, value in now.items() if name != "SECRET_KEY"} == others
    assert {stat.S_IMODE(path.stat().st_mode) for path in node.folder.iterdir()} == {0o600}
    assert node.old not in str(result) and now["SECRET_KEY"] not in str(result)


def test_what_is_not_deployed_yet_is_not_replaced(node):
    node.rotate()
    new = node.read()["SECRET_KEY"]
    again = node.rotate()
    assert (again["changed"], node.read()["SECRET_KEY"], node.text("SECRET_KEY.previous.txt")) == (False, new, node.old)
    assert "earlier run" in again["msg"]
    assert [node.rotate(state="completed")["changed"] for _turn in range(2)] == [True, False]
    assert node.names() == ["SECRET_KEY.previous.txt", "SECRET_KEY.txt"]
    assert node.rotate()["changed"] and node.text("SECRET_KEY.previous.txt") == new


def test_the_way_back_and_then_another_new_one(node):
    node.rotate()
    os.replace(node.folder / "SECRET_KEY.previous.txt", node.folder / "SECRET_KEY.txt")
    assert node.read()["SECRET_KEY"] == node.old
    assert node.rotate()["changed"]
    assert node.text("SECRET_KEY.previous.txt") == node.old != node.read()["SECRET_KEY"]


def test_check_mode_writes_nothing(node):
    assert node.rotate(check=True)["changed"]
    assert node.names() == ["SECRET_KEY.txt"] and node.read()["SECRET_KEY"] == node.old
    node.rotate()
    assert node.rotate(check=True)["changed"] is False
    assert node.rotate(check=True, state="completed")["changed"] is True
    assert "SECRET_KEY.rotating.txt" in node.names()


@pytest.mark.parametrize("cut", range(1, 5))
def test_cut_off_at_any_point_nothing_is_lost(node, monkeypatch, cut):
    """The process dies before the n-th change of a name; the next run makes a new secret, and the old one is still known."""
    count = iter(range(1, 9))

    def dying(function):
        def step(*arguments):
            if next(count) == cut:
                raise KeyboardInterrupt
            return function(*arguments)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(secret_files.os, "link", dying(os.link))
        patch.setattr(secret_files.os, "replace", dying(os.replace))
        with pytest.raises(KeyboardInterrupt):
            node.rotate()
    assert node.read()["SECRET_KEY"] == node.old
    assert node.rotate()["changed"]
    assert node.text("SECRET_KEY.previous.txt") == node.old != node.read()["SECRET_KEY"]


def test_encrypted_as_the_others(node):
    node.loader.set_vault_secrets([("default", VaultSecret(b"vault password"))])
    node.rotate()
    assert node.text("SECRET_KEY.txt").startswith("$ANSIBLE_VAULT;1.1;AES256")
    assert len(node.read()["SECRET_KEY"]) == 86


def test_nothing_of_it_is_read_as_a_host(node):
    (node.path / "hosts.yml").write_text("all: {hosts: {web1: }}")
    node.rotate()
    assert list(InventoryManager(DataLoader(), [str(node.path)]).hosts) == ["web1"]


@pytest.mark.parametrize("secret", ["", "shop", "shop/SECRET", "other/SECRET_KEY", "shop/../x", "/SECRET_KEY"])
def test_an_unknown_one_is_refused_with_those_there_are(node, secret):
    with pytest.raises(AnsibleActionFail) as refusal:
        node.rotate(secret)
    assert "shop/SECRET_KEY, shop/DATABASE_PASSWORD, shop/REDIS_CACHE_PASSWORD" in str(refusal.value)
    assert node.names() == ["SECRET_KEY.txt"]


def test_a_secret_that_was_never_made(node):
    os.unlink(node.folder / "SECRET_KEY.txt")
    with pytest.raises(AnsibleActionFail, match=r"nothing to replace yet. site.yml makes"):
        node.rotate()
