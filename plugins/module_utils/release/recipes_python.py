# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python and which packages a release gets, and by which commands. Decisions, no effects."""

from __future__ import annotations

import hashlib
import re

from ..stack.refusal import ReleaseError
from .recipes import Step

# What holds the path of the environment that this one is a copy of gets a file of its own with the new one.
RELOCATE = """
grep --recursive --files-with-matches --null --binary-files=without-match --fixed-strings -- "$1" .venv/bin .venv/pyvenv.cfg |
  xargs --null --no-run-if-empty sed --in-place "s|$1|$PWD/.venv|g"
"""
COMPILE = "\"$VIRTUAL_ENV\"/bin/python -m compileall -q -x '(^|/)(\\.venv|node_modules)/' . || true"
# What a list of requirements may hold that its text alone does not tell: other files of the source.
UNSHAREABLE = re.compile(
    r"^[^\S\n]*(-r|-c|-e|--requirement|--constraint|--editable|\.|/|file:)|@[^\S\n]*file:"
    r"|\b(editable|directory|path) = \"(?!\.\")",
    re.MULTILINE,
)
WORKSPACE = "the workspace's uv.lock"
# Locks that neither pip nor uv reads, and how their own tool writes one that both do. Without them other versions would be installed.
FOREIGN_LOCKS = {
    "poetry.lock": "poetry export --output requirements.txt (poetry-plugin-export)",
    "pdm.lock": "pdm export --output requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "Pipfile": "pipenv requirements > requirements.txt",
    "environment.yml": "pip freeze > requirements.txt, where its packages are PyPI's",
}
# Tables of a pyproject.toml that is more than the settings of a linter.
PROJECT = re.compile(r"^\[(project|build-system|tool\.poetry)\]", re.MULTILINE)


def python_requirements(names, installer, above=(), project="[project]"):
    """Which file says what a Python release needs: the strictest one that is there and that the installer reads.

    ``above`` is what lies in the folders above the app's: a lock there is that of a workspace, and locks the app, too. ``project`` is
    the text of the app's pyproject.toml.
    """
    own = {"requirements.lock", "uv.lock", "requirements.txt"} & set(names)
    if not own and "uv.lock" in above and "pyproject.toml" in names:
        if installer != "uv":
            raise ReleaseError("uv.lock: the source is a workspace of uv, which pip cannot read. Set backend_python_installer to uv.")
        return WORKSPACE
    for name in ("requirements.lock", "uv.lock", "requirements.txt"):
        if name in names and (name != "uv.lock" or (installer == "uv" and "pyproject.toml" in names)):
            return name
    for name, export in FOREIGN_LOCKS.items():
        if name in names:
            raise ReleaseError(f"{name}: neither pip nor uv reads it. Put a requirements.txt beside it: {export}.")
    if "pyproject.toml" in names and PROJECT.search(project):
        return "pyproject.toml"
    if "setup.py" in names:
        return "setup.py"
    if "requirements" in names:
        raise ReleaseError(
            "requirements: a folder does not say which of its files is meant. Write a requirements.txt, such as with the one line "
            "-r requirements/production.txt."
        )
    return None


def environment_digest(content, interpreter, installer):
    """Names a Python environment by what makes it; None where it depends on other files of the one release."""
    if UNSHAREABLE.search(content):
        return None
    return hashlib.sha256(f"{content}\0{interpreter}\0{installer}".encode()).hexdigest()[:16]


def python_caches(cache, environment):
    """Where the installers keep what they have downloaded and built: what comes with other requirements cannot change it."""
    place = f"{cache}/python/{environment or 'unshared'}"
    return {"UV_CACHE_DIR": f"{place}/uv", "PIP_CACHE_DIR": f"{place}/pip"}


# The interpreter lies in the environment. Its link is relative, because a release has a copy of the environment in a place of its own;
# there nothing can be written, so its library is compiled here, or each start of a process would do that again.
INSTALL_PYTHON = """
rm -rf "$1"; mkdir -p "$1"
uv python install --no-bin --compile-bytecode --install-dir "$1/.python" "$2"
found=("$1"/.python/cpython-*.*.*/bin/python3)
find "$1/.python" -mindepth 1 -maxdepth 1 ! -path "${found[0]%/bin/*}" -exec rm -rf {} +
uv venv --quiet --no-project --allow-existing --python "${found[0]}" "$1"
ln -sfn "../${found[0]#"$1"/}" "$1/bin/python"
"$1/bin/python" --version
"""


def interpreter_name(python, uv_version, debian):
    """Names the interpreter of an environment: the declared version, which each uv knows the newest of, or Debian's."""
    return f"Python {python} of uv {uv_version}" if python else debian


def python_steps(requirements, content, environment, installer, python=None):
    """The steps that make a Python environment in its final place, with Debian's interpreter or with one of its own."""
    if python and installer != "uv":
        raise ReleaseError(f"python: only uv brings Python {python}. Set backend_python_installer to uv, or remove python.")
    hashes = ["--require-hashes"] if requirements == "uv.lock" or re.search(r"--hash[= ]", content) else []
    steps = []
    if installer == "uv":
        steps.append(
            Step(f"install Python {python}", INSTALL_PYTHON, environment, python, env={"UV_PYTHON_DOWNLOADS": "manual"})
            if python
            else Step(
                "create the environment",
                'rm -rf "$1"; mkdir -p "$(dirname "$1")"; uv venv --quiet --no-project --python /usr/bin/python3 "$1"',
                environment,
            )
        )
        install = 'uv pip install --python "$1/bin/python" --compile-bytecode "${@:2}"'
    else:
        steps.append(
            Step(
                "create the environment",
                'rm -rf "$1"; mkdir -p "$(dirname "$1")"; /usr/bin/python3 -m venv "$1"',
                environment,
            )
        )
        install = '"$1/bin/python" -m pip install "${@:2}"'
    if requirements == "uv.lock":
        export = 'uv export --frozen --no-dev --no-emit-project --format requirements-txt --quiet -o "$TMPDIR/uv.lock.txt"\n'
        steps.append(
            Step(
                "install uv.lock",
                export + install.replace('"${@:2}"', '--require-hashes --requirement "$TMPDIR/uv.lock.txt"'),
                environment,
            )
        )
    elif requirements == WORKSPACE:
        export = 'uv export --frozen --no-dev --no-emit-workspace --format requirements-txt --quiet -o "$TMPDIR/uv.lock.txt"\n'
        others = install.replace('"${@:2}"', '--require-hashes --requirement "$TMPDIR/uv.lock.txt"')
        steps.append(Step(f"install {WORKSPACE}", export + others, environment))
    elif requirements in ("requirements.lock", "requirements.txt"):
        steps.append(Step(f"install {requirements}", install, environment, *hashes, "--requirement", requirements))
    return steps


# uv names the members that the app needs relative to the workspace, whose lock file is at its top.
MEMBERS = """
members=$(uv export --frozen --no-dev --no-hashes --format requirements-txt --quiet | sed -n 's/^-e //p')
while [ ! -e uv.lock ]; do cd ..; done
[ -z "$members" ] || uv pip install --python "$VIRTUAL_ENV/bin/python" --compile-bytecode --no-deps $members
"""


def project_steps(requirements, content, installer, names=()):
    """Install the project itself where its own metadata says how and no list of requirements stands in its place.

    For uv a project without a build system is no package: its dependencies are installed, and its modules found where they lie.
    """
    if requirements == WORKSPACE:
        return [Step("install the app and its neighbours in the workspace", MEMBERS)]
    is_package = "[build-system]" in content or {"setup.py", "setup.cfg", "src"} & set(names)
    if requirements == "pyproject.toml" and installer == "uv" and not is_package:
        install = "uv pip install --python .venv/bin/python --compile-bytecode --requirement pyproject.toml"
        return [Step("install what the project depends on", install)]
    if requirements in ("pyproject.toml", "setup.py"):
        chosen = []
    elif requirements == "uv.lock" and "[build-system]" in content:
        chosen = ["--no-deps"]
    else:
        return []
    if installer == "uv":
        return [Step("install the project", 'uv pip install --python .venv/bin/python --compile-bytecode "$@" .', *chosen)]
    return [Step("install the project", '.venv/bin/python -m pip install "$@" .', *chosen)]
