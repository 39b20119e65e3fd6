# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import tracemalloc

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError
from ansible_collections.mainstay.vps.plugins.plugin_utils import sources


@pytest.fixture(autouse=True)
def run_of_ansible(monkeypatch, tmp_path):
    """Each test is a run of its own."""
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(sources.constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "run"))


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "shop"
    for name, content in {
        "app/main.py": "print()",
        "run.sh": "#!/bin/sh",
        ".venv/bin/python": "x",
        "app/__pycache__/main.pyc": "x",
        "node_modules/a/b.js": "x",
        "notes.log": "x",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "run.sh").chmod(0o755)
    (root / "latest").symlink_to("run.sh")
    return root


def _git(root, *arguments):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=root, check=True, capture_output=True)


def _digest(tree):
    return sources.read_tree(str(tree), sources.listing(str(tree))[0])


def test_what_belongs_to_a_release(tree):
    assert sources.listing(str(tree))[0] == ["app/main.py", "latest", "notes.log", "run.sh"]
    _git(tree, "init")
    (tree / ".gitignore").write_text("*.log\n")
    assert sources.listing(str(tree))[0] == [".gitignore", "app/main.py", "latest", "run.sh"], "what git ignores stays behind"
    (tree / "app/main.py").unlink()
    (tree / "new.py").write_text("")
    _git(tree, "add", "run.sh")
    (tree / "run.sh").unlink()
    assert sources.listing(str(tree))[0] == [".gitignore", "latest", "new.py"], "what is there counts, not what is committed"


def test_a_folder_that_an_outer_repository_ignores_is_taken_as_it_is(tree):
    _git(tree.parent, "init")
    (tree.parent / ".gitignore").write_text("shop/\n")
    assert sources.listing(str(tree))[0] == ["app/main.py", "latest", "notes.log", "run.sh"]


def test_a_source_runs_nothing_on_the_control_node(tree, tmp_path):
    """Neither by its repository's own settings, nor by a folder of a clean clone that poses as a repository."""
    told = tmp_path / "ran"
    _git(tree, "init")
    _git(tree, "config", "core.fsmonitor", f"touch {told}; false")
    posing = tree / "posing"
    _git(tree, "init", "--bare", str(posing))
    for name, value in {"core.bare": "false", "core.worktree": ".", "core.fsmonitor": f"touch {told}; false"}.items():
        _git(posing, "--git-dir=.", "config", name, value)
    (posing / "main.py").write_text("print()")
    assert "run.sh" in sources.listing(str(tree))[0] and "main.py" in sources.listing(str(posing))[0]
    assert not told.exists()


def test_a_folder_that_became_a_link_leads_to_nothing_of_the_operator_s(tree, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/main.py").write_text("of the operator")
    _git(tree, "init")
    _git(tree, "add", "app/main.py")
    (tree / "app").rename(tmp_path / "app")
    (tree / "app").symlink_to(tmp_path / "home")
    assert "app/main.py" not in sources.listing(str(tree))[0] and "app" in sources.listing(str(tree))[0]


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReleaseError, match="holds no file"):
        sources.listing(str(tmp_path / "empty"))


def test_the_digest_follows_the_content_alone(tree, tmp_path):
    before = _digest(tree)
    (tree / "app/main.py").touch()
    (tree / "app/main.py").chmod(0o600)
    (tree / "app/__pycache__/x.pyc").write_text("y")
    assert _digest(tree) == before
    (tree / "app/main.py").chmod(0o755)
    assert _digest(tree) != before


def test_packing_is_reproducible_and_complete(tree, tmp_path):
    digest = _digest(tree)
    packed = []
    for name in ("a", "b"):
        sources.pack(str(tree), sources.listing(str(tree))[0], tmp_path / name, digest)
        packed.append((tmp_path / name).read_bytes())
        (tree / "run.sh").touch()
    assert packed[0] == packed[1]
    with tarfile.open(tmp_path / "a") as archive:
        entries = {entry.name: entry for entry in archive}
    assert sorted(entries) == ["app", "app/main.py", "latest", "notes.log", "run.sh"]
    assert [oct(entries[name].mode) for name in ("app", "app/main.py", "run.sh")] == ["0o755", "0o644", "0o755"]
    assert entries["latest"].linkname == "run.sh"
    assert len({entry.mtime for entry in entries.values()}) == 1


def test_a_file_of_any_size_takes_no_memory(tree, tmp_path):
    with open(tree / "run.sh", "r+b") as file:
        file.truncate(64 << 20)
    checksum = hashlib.sha256(bytes(64 << 20)).hexdigest()
    (tmp_path / "a.tar.gz").write_bytes(bytes(64 << 20))
    tracemalloc.start()
    try:
        digest = _digest(tree)
        sources.pack(str(tree), sources.listing(str(tree))[0], tmp_path / "a", digest)
        assert sources.resolve({"archive": "a.tar.gz", "checksum": f"sha256:{checksum}"}, [str(tmp_path)])["digest"] == checksum
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_source_that_changes_while_it_is_packed_is_refused(tree, tmp_path):
    digest = _digest(tree)
    (tree / "run.sh").write_text("other")
    with pytest.raises(ReleaseError, match="changed while"):
        sources.pack(str(tree), sources.listing(str(tree))[0], tmp_path / "a", digest)


def test_one_run_has_one_answer(tree):
    first = sources.resolve({"path": "shop"}, [str(tree.parent)])
    (tree / "run.sh").write_text("other")
    assert sources.resolve({"path": "shop"}, [str(tree.parent)]) == first


def test_a_relative_path_is_beside_the_inventory_or_the_playbook(tree, tmp_path):
    assert sources.locate("../shop", [str(tmp_path / "nowhere"), str(tree.parent / "run")]) == str(tree)
    with pytest.raises(ReleaseError, match=r"no .*/run/shop on the control node"):
        sources.locate("shop", [str(tree.parent / "run")])


def test_git_is_asked_for_a_name_and_not_for_a_commit(tree, monkeypatch):
    _git(tree, "init", "--initial-branch=main")
    _git(tree, "add", "run.sh")
    _git(tree, "commit", "-m", "1")
    _git(tree, "tag", "-a", "v1", "-m", "v1")
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tree, text=True).strip()
    for version in ("main", "v1", commit):
        assert sources.resolve({"git": f"file://{tree}", "version": version}, [])["commit"] == commit
    with pytest.raises(ReleaseError, match="no tag and no branch"):
        sources.resolve({"git": f"file://{tree}", "version": "v2"}, [])
    with pytest.raises(ReleaseError, match="cannot be read from the control node"):
        sources.resolve({"git": f"file://{tree}/nowhere", "version": "v2"}, [])
    monkeypatch.setattr(sources.subprocess, "run", lambda *args, **kwargs: pytest.fail("git was started"))
    assert sources.resolve({"git": "https://example.com/a.git", "version": "a" * 40}, [])["digest"] == "a" * 40


def test_an_archive_is_its_checksum(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    resolved = sources.resolve({"archive": "a.tar.gz", "checksum": f"sha256:{digest}"}, [str(tmp_path)])
    assert (resolved["digest"], sources.archive_for(resolved)) == (digest, str(tmp_path / "a.tar.gz"))
    remote = sources.resolve({"archive": "https://example.com/a.zip", "checksum": f"sha256:{digest}"}, [])
    assert sources.archive_for(remote) is None, "the host fetches it"
    with pytest.raises(ReleaseError, match=rf"a.tar.gz has sha256:{digest}"):
        sources.resolve({"archive": "a.tar.gz", "checksum": f"sha256:{'0' * 64}"}, [str(tmp_path)])


def test_a_folder_is_packed_once(tree):
    resolved = sources.resolve({"path": str(tree)}, ["/"])
    archive = sources.archive_for(resolved)
    (tree / "run.sh").write_text("other")
    assert sources.archive_for(resolved) == archive
    assert os.stat(archive).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("files", "app", "refused"),
    [
        (["Pipfile", "main.py"], {}, "Pipfile"),
        (["Pipfile", "requirements.txt"], {}, None),
        (["backend/poetry.lock", "backend/pyproject.toml"], {"directory": "backend"}, "poetry.lock"),
        (["Pipfile", "backend/requirements.txt"], {"directory": "backend"}, None),
        (["uv.lock", "pdm.lock", "a/b/pyproject.toml"], {"directory": "a/b"}, None),
        (["package.json", "bun.lock"], {"runtime": "node"}, "bun.lock"),
        (["package-lock.json", "a/package.json", "a/bun.lock"], {"runtime": "node", "directory": "a"}, None),
        (["Pipfile"], {"runtime": "command"}, None),
    ],
)
def test_a_lock_that_no_host_reads_is_refused_before_a_host_is_asked(tmp_path, files, app, refused):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    source = {"path": str(tmp_path), **({"directory": app["directory"]} if "directory" in app else {})}
    declared = {"shop": {"runtime": app.get("runtime", "python"), "source": source, "processes": {"job": {"command": "run"}}}}
    if refused is None:
        assert set(sources.releases(declared, {})) == {"shop"}
    else:
        with pytest.raises(ReleaseError, match=rf"^mainstay_apps\.shop\.source: {refused}: .*beside it"):
            sources.releases(declared, {})
