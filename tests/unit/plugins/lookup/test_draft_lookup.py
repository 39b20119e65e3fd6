# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import lookup_loader
from ansible_collections.mainstay.vps.plugins.lookup import draft as plugin


@pytest.fixture
def draft(monkeypatch, tmp_path):
    (tmp_path / "My Shop").mkdir()
    (tmp_path / "My Shop/requirements.txt").write_text("flask\ngunicorn\n")
    (tmp_path / "My Shop/app.py").write_text("app = Flask(__name__)\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def asked(source, **options):
        found = lookup_loader.get("mainstay.vps.draft").run([source], {}, **options)[0]
        return found["refused"] or found["text"]

    return asked


def test_the_source_is_relative_to_the_inventory(draft, tmp_path):
    declared = yaml.safe_load(draft("../My Shop"))["mainstay_apps"]
    assert declared["my-shop"]["source"] == {"path": "../../My Shop"}  # of work/inventory
    text = draft("../My Shop", app="shop", file=str(tmp_path / "inventory/group_vars/vps/shop.yml"))
    assert yaml.safe_load(text)["mainstay_apps"]["shop"]["source"] == {"path": "../My Shop"}
    assert "relative to ../inventory/" in text and not text.startswith("# yaml-language-server")


def test_a_file_near_the_schema_names_it(draft):
    folder = Path(plugin.SCHEMA).parents[1]
    text = draft("../My Shop", app="shop", file=str(folder / "inventory/group_vars/never-written.yml"))
    assert text.startswith("# yaml-language-server: $schema=../../docs/variables.schema.json\n---\n")


def test_nothing_is_written_over_a_file(draft, tmp_path):
    file = tmp_path / "all.yml"
    file.write_text(draft("../My Shop", app="shop", file=str(file)))
    assert draft("../My Shop", app="shop", file=str(file)) == file.read_text()
    file.write_text("mine: true\n")
    said = draft("../My Shop", app="shop", file=str(file))
    assert said.startswith("mainstay_app_file: ") and "It is there already, and nothing is written over it" in said


@pytest.mark.parametrize(
    ("source", "app", "message"),
    [
        ("", "shop", "mainstay_source: '' cannot be used. Name a folder"),
        ("gone", "shop", "mainstay_source: 'gone'"),
        ("../My Shop", "Shop", "mainstay_apps.Shop"),
        ("../My Shop", "redis", "name of the system's own"),
    ],
)
def test_what_cannot_be_drafted_is_refused(draft, source, app, message):
    assert message in draft(source, app=app)
