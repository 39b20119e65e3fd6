# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What turns a source into something that runs: where its files come from, what is shared, and how it ends. Decisions, no effects."""

from __future__ import annotations

import json

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
UV_HOME = "/opt/mainstay/uv"


class Step(dict):
    """A step of a build: ``name``, ``script`` for bash, its ``arguments``, and the variables of ``env`` beside the common ones.

    It runs in the app's folder of the source, or at the top of it where it is about the ``whole``. ``unpacks`` says that tar makes files.
    """

    def __init__(self, name, script, *arguments, env=None, whole=False, unpacks=False):
        super().__init__(name=name, script=script, arguments=list(arguments), env=env or {}, whole=whole or unpacks, unpacks=unpacks)


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
        # Or what is said on standard output comes after the error that ended the command, and the error in none of the lines that are shown.
        "PYTHONUNBUFFERED": "1",
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


def package_step(packages, runtime):
    """What makes a release of published packages: the same list of requirements that a source would bring."""
    name = f"ask for {' and '.join(packages)}"
    if runtime == "python":
        return Step(name, 'printf "%s\n" "$@" >requirements.txt', *packages, whole=True)
    manifest = json.dumps({"private": True, "dependencies": dict(package.rsplit("@", 1) for package in packages)})
    return Step(name, 'printf "%s\n" "$1" >package.json', manifest, whole=True)
