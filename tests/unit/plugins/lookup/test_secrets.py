# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat

import pytest
from ansible.errors import AnsibleLookupError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret
from ansible.plugins.loader import lookup_loader
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP


def _read(directory, loader=None, **variables):
    lookup = lookup_loader.get("mainstay.vps.secrets", loader=loader or DataLoader())
    return lookup.run([SHOP], variables, directory=str(directory))[0]


def test_created_once_and_private(tmp_path):
    first = _read(tmp_path)
    assert first == _read(tmp_path)
    assert sorted(first["shop"]) == ["DATABASE_PASSWORD", "REDIS_CACHE_PASSWORD", "REDIS_QUEUE_PASSWORD", "SECRET_KEY"]
    assert {len(secret) for secret in first["shop"].values()} == {86}
    path = tmp_path / "shop" / "SECRET_KEY.txt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_secret_in_an_inventory_directory_is_not_read_as_a_host(tmp_path):
    (tmp_path / "hosts.yml").write_text("all: {hosts: {web1: }}")
    _read(tmp_path / "secrets")
    assert list(InventoryManager(DataLoader(), [str(tmp_path)]).hosts) == ["web1"]


def test_check_mode_writes_nothing(tmp_path):
    assert _read(tmp_path, ansible_check_mode=True)["shop"]["SECRET_KEY"]
    assert list(tmp_path.iterdir()) == []


def test_encrypted_when_a_vault_password_is_configured(tmp_path):
    loader = DataLoader()
    loader.set_vault_secrets([("default", VaultSecret(b"vault password"))])
    first = _read(tmp_path, loader)
    assert (tmp_path / "shop" / "SECRET_KEY.txt").read_text().startswith("$ANSIBLE_VAULT;1.1;AES256")
    assert first == _read(tmp_path, loader)
    with pytest.raises(AnsibleLookupError, match="would lock the app out"):
        _read(tmp_path)
