# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What turns a source into something that runs: environments, packages, scripts. Decisions, no effects."""

from __future__ import annotations

import hashlib
import json
import re

from ..stack.refusal import ReleaseError

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
UV_HOME = "/opt/mainstay/uv"
# Node's own package manager fetches the others: of pnpm the version that the source names, else one that runs on Debian 12's Node 18 and
# reads its files. A workspace without packages is a file of settings, of which 9 knows nothing; 10 builds only what the settings name.
PNPM = r"""
pnpm() {
  local top=$PWD version
  while [ ! -e "$top/pnpm-lock.yaml" ]; do top=$(dirname "$top"); done
  version=$(sed -n 's/.*"packageManager" *: *"pnpm@\([0-9]\{1,\}\.[0-9]\{1,\}\.[0-9]\{1,\}\)["+].*/\1/p' "$top/package.json" | head -n 1)
  if [ -z "$version" ] && [ -e "$top/pnpm-workspace.yaml" ] && ! grep --quiet '^packages:' "$top/pnpm-workspace.yaml"; then version=10.20.0; fi
  npx --yes "pnpm@${version:-9.15.9}" "$@"
}
"""
# Of a workspace the packages for development stay: pnpm would remove all that its members need to run, too.
PRUNE_PNPM = "grep --quiet --no-messages '^packages:' pnpm-workspace.yaml || CI=true pnpm prune --prod"
YARN = "npx --yes yarn@1.22.22"


class Step(dict):
    """A step of a build: ``name``, ``script`` for bash, its ``arguments``, and the variables of ``env`` beside the common ones.

    It runs in the app's folder of the source, or at the top of it where it is about the ``whole``.
    """

    def __init__(self, name, script, *arguments, env=None, whole=False):
        super().__init__(name=name, script=script, arguments=list(arguments), env=env or {}, whole=whole)


def build_environment(cache, release, environment):
    """What every command of a build finds: caches that outlive it, a place for temporary files, certificates."""
    base = {
        "HOME": cache,
        "LANG": "C.UTF-8",
        "PATH": f"{release}/.venv/bin:{release}/.node/bin:{release}/node_modules/.bin:{UV_HOME}/bin:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": "/var/tmp",
        "XDG_CACHE_HOME": cache,
        "VIRTUAL_ENV": f"{release}/.venv",
        "PYTHONPATH": release,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "npm_config_cache": f"{cache}/npm",
        "npm_config_update_notifier": "false",
        "GIT_TERMINAL_PROMPT": "0",
    }
    # Debian's own bundle knows the authorities that the administrator added; the tools' bundles do not.
    base.update(dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"), CERTIFICATES))
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        # Some tools read the one spelling, some the other.
        proxy = environment.get(name) or environment.get(name.upper())
        base.update({name: proxy, name.upper(): proxy} if proxy else {})
    if "PIP_INDEX_URL" in environment:
        base["UV_DEFAULT_INDEX"] = environment["PIP_INDEX_URL"]
    if "PIP_EXTRA_INDEX_URL" in environment:
        base["UV_INDEX"] = environment["PIP_EXTRA_INDEX_URL"]
    return {**base, **environment}


UNPACK = "tar --extract --gzip --no-same-owner --file -"

# The archive is standard input, and by this name tar can look what it is and zipfile can seek in it.
UNPACK_ARCHIVE = """
mkdir .unpack
case "$1" in
  *.zip) /usr/bin/python3 -m zipfile -e /proc/self/fd/0 .unpack ;;
  *) tar --extract --no-same-owner --file /proc/self/fd/0 --directory .unpack ;;
esac
shopt -s dotglob nullglob
entries=(.unpack/*)
if [ ${#entries[@]} -eq 1 ] && [ -d "${entries[0]}" ]; then mv "${entries[0]}" .top; rmdir .unpack; mv .top .unpack; fi
mv .unpack/* .
rmdir .unpack
"""

# A commit is asked for by itself first; a server that only gives branches and tags is asked for those.
FETCH_GIT = """
[ -f "$1/HEAD" ] || git init --quiet --bare "$1"
if ! git -C "$1" cat-file -e "$3^{commit}" 2>/dev/null; then
  git -C "$1" fetch --quiet --no-tags --depth=1 "$2" "$3" ||
    git -C "$1" fetch --quiet --force --no-tags "$2" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*'
fi
git -C "$1" update-ref "refs/mainstay/$3" "$3"
git -C "$1" archive --format=tar "$3" | tar --extract --file -
"""

# While it is built, a release has empty folders in place of the shared ones: who builds may not write into those, and a command that
# opens a database there, as Django's often do, would fail.
EMPTY_SHARED = """
for folder in "$@"; do
  rm -f "$folder/.gitkeep" "$folder/.keep" "$folder/.gitignore"
  if [ -L "$folder" ]; then rm "$folder"; fi
  if [ -d "$folder" ] && ! rmdir "$folder" 2>/dev/null; then
    echo "$folder holds files of the source, and what is shared would be in their place; move them" >&2
    exit 1
  fi
  mkdir -p "$folder"
done
"""

LINK_SHARED = """
shared=$1; shift
for folder in "$@"; do
  if [ -d "$folder" ] && [ ! -L "$folder" ] && ! rmdir "$folder" 2>/dev/null; then
    echo "the build has left files in $folder, which is shared, and they would not be seen: $(ls -A "$folder" | head -n 5 | tr '\\n' ' ')" >&2
    echo "have it write them elsewhere, or end it with: rm -r $folder" >&2
    exit 1
  fi
  mkdir -p "$(dirname "$folder")"
  ln -sfn "$shared/$folder" "$folder"
done
"""

# Before the first migration there is no process yet that would make them.
MAKE_SHARED = """\
[ $# -eq 0 ] || mkdir -p -- "$@"
set --
"""

# What holds the path of the environment that this one is a copy of gets a file of its own with the new one.
RELOCATE = """
grep --recursive --files-with-matches --null --binary-files=without-match --fixed-strings -- "$1" .venv/bin .venv/pyvenv.cfg |
  xargs --null --no-run-if-empty sed --in-place "s|$1|$PWD/.venv|g"
"""

COMPILE = "\"$VIRTUAL_ENV\"/bin/python -m compileall -q -x '(^|/)(\\.venv|node_modules)/' . || true"
# What marks a release is root's to write. What the package managers keep only saves downloads; npx runs what it has kept without
# looking at it again, so it keeps nothing, and Python's caches serve the same requirements only.
FINISH = """
rm -rf .complete .migrated .built-on container.env
cd "$XDG_CACHE_HOME"
rm -rf npm/_npx
mkdir -p python
find python -mindepth 1 -maxdepth 1 ! -name "$2" -exec rm -rf {} +
[ "$(du --summarize --block-size=1M . | cut -f1)" -le "$1" ] || rm -rf -- *
"""

# What a list of requirements may hold that its text alone does not tell: other files of the source.
UNSHAREABLE = re.compile(
    r"^\s*(-r|-c|-e|--requirement|--constraint|--editable|\.|/|file:)|@\s*file:"
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


def package_step(packages, runtime):
    """What makes a release of published packages: the same list of requirements that a source would bring."""
    name = f"ask for {' and '.join(packages)}"
    if runtime == "python":
        return Step(name, 'printf "%s\n" "$@" >requirements.txt', *packages, whole=True)
    manifest = json.dumps({"private": True, "dependencies": dict(package.rsplit("@", 1) for package in packages)})
    return Step(name, 'printf "%s\n" "$1" >package.json', manifest, whole=True)


# The registry's own packages of Node hold its program alone, and Debian's npm does not run on it: it looks for its parts where Debian's
# Node does. The registry says what their digests are, and npm compares.
INSTALL_NODE = """
case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) echo "Node has no package for $(uname -m)" >&2; exit 1 ;; esac
rm -rf .node
/usr/bin/npm install --prefix .node --ignore-scripts --no-audit --no-fund --no-save --no-package-lock "node-linux-$arch@$1" "$2"
mkdir .node/bin
ln -s "../node_modules/node-linux-$arch/bin/node" ../node_modules/.bin/npm ../node_modules/.bin/npx .node/bin/
mv ".node/node_modules/node-linux-$arch/include" .node/
rm -rf ".node/node_modules/node-linux-$arch/share"
.node/bin/node --version
"""


def node_runtime_steps(node):
    """What gives a release a Node of its own, before anything else is built with it."""
    if node is None:
        return []
    line = int(node.partition(".")[0])
    # The one that comes with that Node: a lock file that a newer one has written is none for an older one.
    npm = "npm@11" if line >= 24 else "npm@10" if line >= 20 else "npm@9"
    return [Step(f"install Node {node}", INSTALL_NODE, node, npm)]


def node_headers(release, node):
    """What tells node-gyp where the headers of the release's own Node are; else it downloads them from nodejs.org for each package."""
    return {"npm_config_nodedir": f"{release}/.node"} if node else {}


def node_cleanup_steps(node):
    """What leaves a release no more of its own Node than it needs to run: its headers, for OpenSSL's of all machines, are 65 MB."""
    return [Step("remove Node's headers", "rm -rf .node/include")] if node else []


YARN_TOP = "while [ ! -e yarn.lock ]; do cd ..; done"
YARN_INSTALL = f"""
{YARN_TOP}
if ! grep --quiet "^# yarn lockfile v1" yarn.lock; then
  echo "yarn.lock is one of Yarn 2 or later; the lock files of Yarn 1, npm and pnpm are understood." >&2
  echo "Put a package-lock.json beside it: npm install --package-lock-only" >&2
  exit 1
fi
{YARN} install --frozen-lockfile --production=false --non-interactive
"""


def node_steps(names, above=()):
    """The steps before and after an own build of a Node release: by the lock in the app's folder, else by that of a workspace ``above``."""
    if "package.json" not in names:
        return [], []
    install, remove = "install the packages", "remove the build's packages"
    locked = False
    for place in (names, above):
        if {"package-lock.json", "npm-shrinkwrap.json"} & set(place):
            locked = True  # npm finds by itself that a folder is part of a workspace
            break
        if "pnpm-lock.yaml" in place:
            before = [Step(install, f"{PNPM}pnpm install --frozen-lockfile --prod=false")]
            return before, [Step(remove, f"{PNPM}{PRUNE_PNPM}")] if place is names else []
        if "yarn.lock" in place:
            production = f"{YARN} install --frozen-lockfile --production=true --ignore-scripts --non-interactive"
            return [Step(install, YARN_INSTALL)], [Step(remove, f"{YARN_TOP}\n{production}")]
    for name in () if locked else ("bun.lock", "bun.lockb", "deno.lock"):
        if name in {*names, *above}:
            raise ReleaseError(f"{name}: npm does not read it. Put a package-lock.json beside it: npm install --package-lock-only.")
    command = f"npm {'ci' if locked else 'install'} --include=dev --no-audit --no-fund"
    return [Step(install, command)], [Step(remove, "npm prune --omit=dev --no-audit --no-fund")]
