# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from ansible_collections.mainstay.vps.plugins.plugin_utils import sources

PROCESSES = {"web": {"command": "run", "port": 8000}}


@pytest.fixture
def ids(monkeypatch, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_text("print()")
    monkeypatch.setattr(sources.constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "run"))
    lookup = lookup_loader.get("mainstay.vps.release_id")
    return lambda apps: lookup.run([apps], {"inventory_dir": str(tmp_path / "inventory"), "playbook_dir": str(tmp_path)})[0]


def test_every_app_has_an_id(ids):
    apps = {
        "one": {"source": {"path": "app"}, "processes": PROCESSES},
        "two": {
            "source": {"git": "https://example.com/a.git", "version": "a" * 40},
            "processes": {"job": {"command": "x"}},
        },
        "three": {"source": {"path": "app"}, "build": ["make"], "processes": {"job": {"command": "x"}}},
    }
    found = ids(apps)
    assert found["two"] == "a" * 12
    assert len(found["one"]) == 12 and found["three"].startswith(found["one"] + "-")
    assert found == ids(apps)


def test_a_refusal_names_the_app(ids):
    with pytest.raises(AnsibleLookupError, match=r"mainstay_apps\.one\.source\.path: 'gone'"):
        ids({"one": {"source": {"path": "gone"}, "processes": PROCESSES}})
    with pytest.raises(AnsibleLookupError, match=r"mainstay_apps\.one\.sorce"):
        ids({"one": {"sorce": {}}})
