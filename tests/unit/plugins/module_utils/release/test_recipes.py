# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re
import subprocess
import time

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.release import recipes, recipes_node, recipes_python
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError


@pytest.mark.parametrize(
    ("names", "installer", "expected"),
    [
        (["requirements.lock", "requirements.txt", "uv.lock", "pyproject.toml"], "uv", "requirements.lock"),
        (["requirements.txt", "uv.lock", "pyproject.toml"], "uv", "uv.lock"),
        (["requirements.txt", "uv.lock", "pyproject.toml"], "pip", "requirements.txt"),
        (["uv.lock"], "uv", None),
        (["pyproject.toml", "uv.lock"], "pip", "pyproject.toml"),
        (["setup.py", "pyproject.toml"], "uv", "pyproject.toml"),
        (["setup.py"], "uv", "setup.py"),
        (["poetry.lock", "pyproject.toml", "requirements.txt"], "uv", "requirements.txt"),
        (["main.py"], "uv", None),
    ],
)
def test_the_strictest_requirements_win(names, installer, expected):
    assert recipes_python.python_requirements(names, installer) == expected


@pytest.mark.parametrize("project", ["[tool.ruff]\nline-length = 100\n", ""])
def test_a_linter_s_settings_are_no_project(project):
    assert recipes_python.python_requirements(["pyproject.toml"], "uv", (), project) is None
    assert recipes_python.python_requirements(["pyproject.toml", "setup.py"], "uv", (), project) == "setup.py"
    assert recipes_python.python_requirements(["pyproject.toml"], "uv", (), project + "[tool.poetry]\n") == "pyproject.toml"


@pytest.mark.parametrize("name", [*recipes_python.FOREIGN_LOCKS, "requirements"])
def test_what_would_be_ignored_without_a_word_is_refused(name):
    with pytest.raises(ReleaseError, match=rf"^{re.escape(name)}: .*requirements\.txt"):
        recipes_python.python_requirements(
            [name, "pyproject.toml", "main.py"], "uv", (), "[tool.poetry]" if name != "requirements" else "[tool.x]"
        )


def test_an_environment_is_shared_only_when_its_text_says_all():
    name = recipes_python.environment_digest("fastapi==1\n", "3.11", "uv")
    assert name == recipes_python.environment_digest("fastapi==1\n", "3.11", "uv")
    assert (
        len(
            {
                name,
                recipes_python.environment_digest("fastapi==2\n", "3.11", "uv"),
                recipes_python.environment_digest("fastapi==1\n", "3.13", "uv"),
                recipes_python.environment_digest("fastapi==1\n", "3.11", "pip"),
            }
        )
        == 4
    )
    for content in (
        "-r base.txt\n",
        "fastapi\n -e .\n",
        "./wheels/x.whl\n",
        "x @ file:///srv/x\n",
        "--constraint c.txt",
        'source = { path = "lib/x" }',
        'source = { editable = "../x" }',
    ):
        assert recipes_python.environment_digest(content, "3.11", "uv") is None, content
    assert recipes_python.environment_digest('source = { editable = "." }\nx @ https://example.com/x.whl\n', "3.11", "uv")


@pytest.mark.parametrize("text", ["\n", " ", "\t\n", "@", "@ ", "-r", "\x0b"])
def test_a_list_of_requirements_of_any_text_is_read_at_once(text):
    began = time.monotonic()
    recipes_python.environment_digest(text * (2 << 20), "3.11", "uv")
    assert time.monotonic() - began < 5, "root reads it, and waits for no build's end"


@pytest.mark.parametrize(
    ("requirements", "content", "installer", "hashes"),
    [
        ("requirements.lock", "a==1 --hash=sha256:1", "uv", True),
        ("requirements.lock", "a==1", "uv", False),
        ("requirements.txt", "a==1 \\\n --hash=sha256:1", "pip", True),
        ("requirements.txt", "a", "pip", False),
    ],
)
def test_hashes_are_required_where_they_are_given(requirements, content, installer, hashes):
    steps = recipes_python.python_steps(requirements, content, "/env", installer)
    assert steps[-1]["name"] == f"install {requirements}"
    assert ("--require-hashes" in steps[-1]["arguments"]) is hashes
    assert not any(step["env"] for step in steps), "what installs packages sees no secret"


def test_an_interpreter_of_its_own_comes_first_and_by_uv_alone():
    first, *others = recipes_python.python_steps("requirements.txt", "a", "/env", "uv", "3.14")
    assert first["arguments"] == ["/env", "3.14"] and first["env"] == {"UV_PYTHON_DOWNLOADS": "manual"}
    assert others == recipes_python.python_steps("requirements.txt", "a", "/env", "uv")[1:], "no later step fetches an interpreter"
    with pytest.raises(ReleaseError, match="Set backend_python_installer to uv"):
        recipes_python.python_steps("requirements.txt", "a", "/env", "pip", "3.14")
    names = {recipes_python.interpreter_name(*given, "Python 3.11.2") for given in ((None, "1"), (None, "2"), ("3.14", "1"), ("3.14", "2"))}
    assert len(names) == 3, "each uv knows another newest version of a line"


def test_uv_lock_is_installed_with_hashes():
    steps = recipes_python.python_steps("uv.lock", "", "/env", "uv")
    assert "--require-hashes" in steps[-1]["script"] and "--frozen" in steps[-1]["script"]


@pytest.mark.parametrize(
    ("requirements", "content", "count"),
    [
        ("requirements.lock", "[build-system]", 0),
        ("pyproject.toml", "", 1),
        ("setup.py", "", 1),
        ("uv.lock", "[build-system]", 1),
        ("uv.lock", "", 0),
        (None, "", 0),
    ],
)
def test_the_project_is_installed_where_its_metadata_is_all_there_is(requirements, content, count):
    assert (
        len(recipes_python.project_steps(requirements, content, "uv"))
        == len(recipes_python.project_steps(requirements, content, "pip"))
        == count
    )


def test_node():
    before, after = recipes_node.node_steps(["package.json", "package-lock.json"])
    assert before[0]["script"].startswith("npm ci --include=dev") and "prune --omit=dev" in after[0]["script"]
    assert recipes_node.node_steps(["package.json"])[0][0]["script"].startswith("npm install")
    assert recipes_node.node_steps(["index.js"]) == ([], [])
    with pytest.raises(ReleaseError, match=r"^bun\.lock: .*package-lock\.json"):
        recipes_node.node_steps(["package.json", "bun.lock"])
    assert recipes_node.node_steps(["package.json", "bun.lock", "package-lock.json"])[0][0]["script"].startswith("npm ci")


@pytest.mark.parametrize(
    ("project", "names", "installer", "installed"),
    [
        ("[project]", ["app", "worker"], "uv", "--requirement pyproject.toml"),
        ("[project]", ["src"], "uv", "$@"),
        ("[project]", ["setup.cfg"], "uv", "$@"),
        ("[project]\n[build-system]", ["app"], "uv", "$@"),
        ("[project]", ["app"], "pip", "$@"),
    ],
)
def test_a_project_without_a_build_system_is_no_package(project, names, installer, installed):
    (step,) = recipes_python.project_steps("pyproject.toml", project, installer, names)
    assert installed in step["script"]


YARN_4 = "install --immutable", "workspaces focus --all --production"


@pytest.mark.parametrize(
    ("lock", "manager", "package", "says", "prunes"),
    [
        (
            "# yarn lockfile v1",
            "yarn@1.22.19",
            "yarn@1.22.22",
            "install --frozen-lockfile --production=false",
            "install --frozen-lockfile --production=true",
        ),
        ("__metadata:\n  version: 8", "yarn@4.5.3+sha512.ab==", "@yarnpkg/cli-dist@4.5.3", *YARN_4),
        ("__metadata:\n  version: 8", "", "@yarnpkg/cli-dist@4.9.2", *YARN_4),
        ("__metadata:\n  version: 8", "yarn@4$(id)", "@yarnpkg/cli-dist@4.9.2", *YARN_4),
        ("__metadata:\n  version: 6", "yarn@3.6.4", "@yarnpkg/cli-dist@3.6.4", "install --immutable", ""),
        ("__metadata:\n  version: 6", "", "@yarnpkg/cli-dist@3.8.7", "install --immutable", ""),
    ],
)
@pytest.mark.parametrize("folder", ["", "apps/site"])
def test_yarn_is_the_one_that_wrote_the_lock(tmp_path, lock, manager, package, says, prunes, folder):
    (before,), (after,) = recipes_node.node_steps(["package.json"], {"yarn.lock"})
    files = {"yarn.lock": f"{lock}\n", "package.json": f'{{"packageManager": "{manager}"}}'}
    for name in "ab":
        (tmp_path / name).mkdir()
    assert run_with_npx(tmp_path / "a", before, files, folder).startswith(f"{tmp_path}/a/top: --yes {package} {says}")
    told = run_with_npx(tmp_path / "b", after, files, folder)
    assert told.startswith(f"{tmp_path}/b/top: --yes {package} {prunes}") if prunes else told == ""


def test_pnpm_installs_what_its_lock_file_says():
    (before,), (after,) = recipes_node.node_steps(["package.json", "pnpm-lock.yaml"])
    assert before["script"].endswith("install --frozen-lockfile --prod=false") and after["script"].endswith("prune --prod")
    (before,), _after = recipes_node.node_steps(["package.json", "pnpm-lock.yaml", "package-lock.json"])
    assert before["script"].startswith("npm ci")


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"package.json": '{"packageManager": "pnpm@10.20.0"}'}, "10.20.0"),
        ({"package.json": '{\n\t"packageManager" : "pnpm@8.15.1+sha512.ab==",\n}'}, "8.15.1"),
        ({"package.json": '{"packageManager": "yarn@4.1.0"}'}, "9.15.9"),
        ({"package.json": '{"packageManager": "pnpm@9$(id)"}'}, "9.15.9"),
        ({"package.json": "{}"}, "9.15.9"),
        # Recorded: pnpm 9 says "packages field missing or empty" of a file that pnpm 10 writes
        ({"package.json": "{}", "pnpm-workspace.yaml": "onlyBuiltDependencies:\n  - esbuild\n"}, "10.20.0"),
        ({"package.json": "{}", "pnpm-workspace.yaml": "packages:\n  - apps/*\n"}, "9.15.9"),
    ],
)
@pytest.mark.parametrize("folder", ["", "apps/site"])
def test_pnpm_is_the_one_that_the_source_names(tmp_path, files, version, folder):
    (before,), _after = recipes_node.node_steps(["package.json"], {"pnpm-lock.yaml"})
    place = tmp_path / "top" / folder
    told = run_with_npx(tmp_path, before, files, folder)
    assert told == f"{place}: --yes pnpm@{version} install --frozen-lockfile --prod=false\n"


@pytest.mark.parametrize(
    ("settings", "prunes"),
    [(None, True), ("onlyBuiltDependencies:\n  - esbuild\n", True), ("packages:\n  - apps/*\n", False)],
)
def test_pnpm_removes_packages_of_no_workspace(tmp_path, settings, prunes):
    """Recorded: pnpm 10.20.0 removes all packages of the members, what they need to run, too."""
    _before, (after,) = recipes_node.node_steps(["package.json", "pnpm-lock.yaml"])
    files = {"package.json": "{}", **({"pnpm-workspace.yaml": settings} if settings else {})}
    assert ("prune --prod" in run_with_npx(tmp_path, after, files)) is prunes


def run_with_npx(tmp_path, step, files, folder=""):
    """What a step asks npx for, in a folder of a source."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/npx").write_text('#!/bin/sh\necho "$PWD: $*"\n')
    (tmp_path / "bin/npx").chmod(0o755)
    (tmp_path / "top" / folder).mkdir(parents=True)
    for name, text in {**files, "pnpm-lock.yaml": ""}.items():
        (tmp_path / "top" / name).write_text(text)
    command = ["bash", "-euo", "pipefail", "-c", step["script"]]
    env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    return subprocess.run(command, cwd=tmp_path / "top" / folder, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("names", "above", "installs"),
    [
        (["pnpm-lock.yaml"], {"package-lock.json"}, "pnpm install"),
        (["package-lock.json"], {"pnpm-lock.yaml"}, "npm ci"),
        ([], {"pnpm-lock.yaml"}, "pnpm install"),
        ([], {"yarn.lock"}, "yarn install"),
        ([], {"README.md"}, "npm install"),
    ],
)
def test_the_nearest_lock_decides_who_installs(names, above, installs):
    (before,), _after = recipes_node.node_steps(["package.json", *names], above)
    assert installs in before["script"]


def test_a_lock_of_a_workspace_that_npm_does_not_read_is_refused():
    with pytest.raises(ReleaseError, match=r"^bun\.lock: "):
        recipes_node.node_steps(["package.json"], {"bun.lock"})


@pytest.mark.parametrize(("node", "npm"), [("18", "npm@9"), ("20.1.0", "npm@10"), ("22", "npm@10"), ("24", "npm@11")])
def test_npm_is_the_one_of_that_node(node, npm):
    (step,) = recipes_node.node_runtime_steps(node)
    assert step["arguments"] == [node, npm]


def test_the_headers_of_a_release_s_own_node_are_there_while_it_is_built():
    (install,), (cleanup,) = recipes_node.node_runtime_steps("22"), recipes_node.node_cleanup_steps("22")
    assert 'include" .node/\n' in install["script"] and cleanup["script"] == "rm -rf .node/include"
    assert recipes_node.node_headers("/srv/shop/releases/1", "22") == {"npm_config_nodedir": "/srv/shop/releases/1/.node"}
    assert (recipes_node.node_headers("/srv/shop/releases/1", None), recipes_node.node_cleanup_steps(None)) == ({}, [])


@pytest.mark.parametrize(
    ("packages", "runtime", "file", "contents"),
    [
        (["datasette==1.0"], "python", "requirements.txt", ["datasette==1.0"]),
        (["wiki==1.0", "gunicorn==23.0.0"], "python", "requirements.txt", ["wiki==1.0", "gunicorn==23.0.0"]),
        (["http-server@14.1.1"], "node", "package.json", ['{"private": true, "dependencies": {"http-server": "14.1.1"}}']),
        (["@a/b@1.0.0", "c@2.0.0"], "node", "package.json", ['{"private": true, "dependencies": {"@a/b": "1.0.0", "c": "2.0.0"}}']),
    ],
)
def test_packages_are_a_source_with_a_requirement_each(packages, runtime, file, contents):
    step = recipes.package_step(packages, runtime)
    assert step["arguments"] == contents and step["script"].endswith(f">{file}")


def test_mirrors_for_pip_are_mirrors_for_uv():
    environment = recipes.build_environment(
        "/srv/shop", "/srv/shop/releases/1", {"PIP_INDEX_URL": "https://mirror/simple", "SSL_CERT_FILE": "/own"}
    )
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert environment["SSL_CERT_FILE"] == "/own" and environment["PIP_CERT"] == recipes.CERTIFICATES
    assert environment["PATH"].startswith("/srv/shop/releases/1/.venv/bin:")
    assert environment["PYTHONUNBUFFERED"]  # or the last lines of a failed build are those before the error


@pytest.mark.parametrize(
    ("names", "above", "expected"),
    [
        (["pyproject.toml"], {"uv.lock"}, recipes_python.WORKSPACE),
        (["pyproject.toml", "uv.lock"], {"uv.lock"}, "uv.lock"),
        (["pyproject.toml", "requirements.txt"], {"uv.lock"}, "requirements.txt"),
        (["pyproject.toml"], {"README.md"}, "pyproject.toml"),
        ([], {"uv.lock"}, None),
    ],
)
def test_a_lock_above_the_app_s_folder_is_its_workspace_s(names, above, expected):
    assert recipes_python.python_requirements(names, "uv", above) == expected


def test_a_workspace_is_installed_as_it_is_locked():
    (_create, locked), (members,) = (
        recipes_python.python_steps(recipes_python.WORKSPACE, "", "/srv/x/.venv", "uv"),
        recipes_python.project_steps(recipes_python.WORKSPACE, "", "uv"),
    )
    assert "--require-hashes" in locked["script"] and "--no-emit-workspace" in locked["script"]
    assert "--no-deps" in members["script"]
    with pytest.raises(ValueError, match="backend_python_installer"):
        recipes_python.python_requirements(["pyproject.toml"], "pip", {"uv.lock"})


def test_a_folder_of_an_npm_workspace_is_installed_as_it_is_locked():
    assert recipes_node.node_steps(["package.json"], {"package-lock.json"})[0][0]["script"].startswith("npm ci ")


@pytest.mark.parametrize(
    ("source", "build", "refusal"),
    [
        ("true", "true", ""),
        ("mkdir media; touch media/.gitkeep", "true", ""),
        ("mkdir media; touch media/.keep", "true", ""),
        ("ln -s /etc media", "test ! -e media/passwd", ""),
        ("true", "touch media/x && rm media/x", ""),
        ("true", "rmdir media && ln -s /etc media", ""),
        ("mkdir media; touch media/logo.png", "true", "media holds files of the source"),
        ("true", "touch media/db.sqlite3", "left files in media, which is shared, and they would not be seen: db.sqlite3"),
    ],
    ids=[
        "missing",
        "kept by git",
        "kept as Rails does",
        "a link",
        "a scratch file",
        "built as a link",
        "in the source",
        "left by the build",
    ],
)
def test_a_shared_folder_is_empty_while_it_is_built_and_a_link_afterwards(tmp_path, source, build, refusal):
    script = f"set -e\n{source}\nset -- media a/b\n{recipes.EMPTY_SHARED}\n{build}\nset -- /srv/x/shared media a/b\n{recipes.LINK_SHARED}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0, refusal in done.stderr) == (not refusal, True), done.stderr
    if not refusal:
        assert [os.readlink(tmp_path / folder) for folder in ("media", "a/b")] == ["/srv/x/shared/media", "/srv/x/shared/a/b"]
