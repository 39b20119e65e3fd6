# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError
from ansible_collections.mainstay.vps.plugins.plugin_utils import left_out, sources

VAULTED = "$ANSIBLE_VAULT;1.1;AES256\n6162\n"
CONFIDENTIAL = [
    # (name, content, as it is told)
    (".env", "SECRET=1", ".env"),
    ("api/.env", "SECRET=1", "api/.env"),
    (".env.production", "SECRET=1", ".env.production"),
    (".env.local", "SECRET=1", ".env.local"),
    ("group.yml", VAULTED, "group.yml"),
    ("conf/all/vault.yml", VAULTED, "conf/all/vault.yml"),
    ("secrets/shop/SECRET_KEY.txt", "x", "secrets/"),
    ("ops/secrets/shop/SECRET_KEY.previous.txt", "x", "ops/"),
    ("secrets/shop/auth-anna.txt", "x", "secrets/"),
    ("secrets/blog/DATABASE_PASSWORD.rotating.txt", "x", "secrets/"),
    (".vault_pass", "x", ".vault_pass"),
    ("ops/vault-password.txt", "x", "ops/vault-password.txt"),
    (".ssh/config", "x", ".ssh/"),
    (".docker/config.json", "{}", ".docker/config.json"),
    ("deploy/id_ed25519", "x", "deploy/id_ed25519"),
    (".netrc", "x", ".netrc"),
    ("terraform.tfstate.backup", "{}", "terraform.tfstate.backup"),
]
PUBLIC = [
    ".env.example", "env.py", "environment/.envoy", "secrets/__init__.py", "secrets/app/notes.txt", "app/secrets.py", "id_ed25519.pub",
    "vault.py", ".gitignore", ".dockerignore", ".docker/Dockerfile",
]  # fmt: skip


def _tree(root, names):
    for name, content in names.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(root)


@pytest.mark.parametrize(("name", "content", "told"), CONFIDENTIAL, ids=[row[0] for row in CONFIDENTIAL])
def test_what_is_confidential_stays_and_is_told(tmp_path, name, content, told):
    root = _tree(tmp_path, {"main.py": "", name: content})
    assert sources.listing(root) == (["main.py"], [told])


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_not_goes(tmp_path, name):
    root = _tree(tmp_path, {"main.py": "", name: "x"})
    assert sources.listing(root) == (sorted(["main.py", name]), [])


def test_what_its_owner_wants_goes_all_the_same(tmp_path):
    root = _tree(
        tmp_path,
        {"web/.env.production": "VITE_API=/api", ".env": "x", ".mainstayignore": "# of Vite\n!.env.production\n"},
    )
    assert sources.listing(root) == ([".mainstayignore", "web/.env.production"], [".env"])


@pytest.mark.parametrize(
    ("pattern", "stays"),
    [
        ("*.log", {"a.log", "deploy/b.log"}),
        ("deploy/", {"deploy/b.log", "deploy/hosts.yml"}),
        ("/deploy", {"deploy/b.log", "deploy/hosts.yml"}),
        ("deploy/*.yml", {"deploy/hosts.yml"}),
        ("hosts.yml", {"deploy/hosts.yml"}),
        ("/hosts.yml", set()),
        ("a.log/", set()),
    ],
)
def test_patterns_of_what_is_ignored(tmp_path, pattern, stays):
    names = {"main.py", "a.log", "deploy/b.log", "deploy/hosts.yml"}
    root = _tree(tmp_path, {**dict.fromkeys(names, ""), ".mainstayignore": pattern})
    assert set(sources.listing(root)[0]) == names - stays | {".mainstayignore"}


def test_a_pattern_that_means_something_else_elsewhere_is_refused(tmp_path):
    root = _tree(tmp_path, {"main.py": "", ".mainstayignore": "a/**/b\n"})
    with pytest.raises(ReleaseError, match=r"\.mainstayignore: 'a/\*\*/b' cannot be used"):
        sources.listing(root)


LAYOUTS = [
    # (of the inventory below the app's folder, what is named to Ansible, the file that is told)
    ("ops/", ["ops/hosts.yml"], "ops/group_vars/all.yml"),
    ("ops/", ["ops"], "ops/group_vars/all.yml"),
    ("", ["hosts.yml"], "group_vars/all.yml"),
]


@pytest.mark.parametrize(("folder", "named", "told"), LAYOUTS)
def test_the_inventory_of_the_run_is_refused_unless_it_is_ignored(tmp_path, folder, named, told):
    root = _tree(tmp_path, {"main.py": "", f"{folder}hosts.yml": "", f"{folder}group_vars/all.yml": ""})
    variables = {
        "inventory_dir": str(tmp_path / folder),
        "ansible_inventory_sources": [str(tmp_path / name) for name in named],
    }
    places = sources.control_node(variables)["inventory"]
    with pytest.raises(ReleaseError, match="contains the inventory of this run") as caught:
        sources.listing(root, places)
    assert told in str(caught.value) and ".mainstayignore" in str(caught.value)
    _tree(tmp_path, {".mainstayignore": "/ops/\n/hosts.yml\n/group_vars/\n"})
    assert sources.listing(root, places) == ([".mainstayignore", "main.py"], [])


def test_an_inventory_elsewhere_is_of_no_concern(tmp_path):
    root = _tree(tmp_path / "app", {"main.py": "", "group_vars/all.yml": ""})
    _tree(tmp_path / "ops", {"hosts.yml": "", "group_vars/all.yml": ""})
    variables = {
        "inventory_dir": str(tmp_path / "ops"),
        "ansible_inventory_sources": [str(tmp_path / "ops/hosts.yml"), "web1,"],
    }
    assert sources.listing(root, left_out.inventory_places(variables))[0] == ["group_vars/all.yml", "main.py"]


def test_an_inventory_behind_a_link_is_the_same(tmp_path):
    root = _tree(tmp_path / "app", {"main.py": "", "ops/hosts.yml": "", "ops/group_vars/all.yml": ""})
    (tmp_path / "inventory").symlink_to("app/ops")
    variables = {
        "inventory_dir": str(tmp_path / "inventory"),
        "ansible_inventory_sources": [str(tmp_path / "inventory")],
    }
    with pytest.raises(ReleaseError, match="contains the inventory"):
        sources.listing(root, left_out.inventory_places(variables))


@pytest.mark.parametrize(
    ("target", "text"),
    [("/dev/zero", ""), ("../secret", ""), ("real.toml", "[project]"), ("absent", ""), (".", "")],
    ids=["without an end", "out of the source", "in the source", "to nothing", "to a folder"],
)
def test_what_a_source_says_is_read_in_the_source_alone(tmp_path, target, text):
    (tmp_path / "secret").write_text("[project]")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/real.toml").write_text("[project]")
    (tmp_path / "source/pyproject.toml").symlink_to(target)
    assert left_out.said(str(tmp_path / "source"), "pyproject.toml") == text
