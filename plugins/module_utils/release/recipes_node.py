# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Node and which packages a release gets, and by which commands. Decisions, no effects."""

from __future__ import annotations

from ..stack.refusal import ReleaseError
from .recipes import Step

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
# Yarn from 2 on is another program, of which each version reads the files of its own alone: the one that the source names, else the one of its lock.
# Its settings have names of their own. Plug'n'Play finds packages by a loader that `node server.js` has not, so they go where Node looks for them.
YARN = r"""
while [ ! -e yarn.lock ]; do cd ..; done
yarn_1() { grep --quiet '^# yarn lockfile v1' yarn.lock; }
if yarn_1; then
  yarn() { npx --yes yarn@1.22.22 "$@"; }
else
  version=$(sed -n 's/.*"packageManager" *: *"yarn@\([0-9]\{1,\}\.[0-9]\{1,\}\.[0-9]\{1,\}\)["+].*/\1/p' package.json | head -n 1)
  if [ -z "$version" ]; then version=4.9.2; if grep --quiet '^  version: [4-6]$' yarn.lock; then version=3.8.7; fi; fi
  export CI=true YARN_NODE_LINKER=node-modules
  [ -z "${npm_config_registry:-}" ] || export YARN_NPM_REGISTRY_SERVER=$npm_config_registry
  [ -z "${http_proxy:-}" ] || export YARN_HTTP_PROXY=$http_proxy
  [ -z "${https_proxy:-}" ] || export YARN_HTTPS_PROXY=$https_proxy
  yarn() { npx --yes "@yarnpkg/cli-dist@$version" "$@"; }
fi
"""
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


YARN_INSTALL = f"""{YARN}
if yarn_1; then yarn install --frozen-lockfile --production=false --non-interactive; else yarn install --immutable; fi
"""
# Before 4 it has no command for that which is not a plugin of its own.
PRUNE_YARN = f"""{YARN}
if yarn_1; then
  yarn install --frozen-lockfile --production=true --ignore-scripts --non-interactive
elif [ "${{version%%.*}}" -ge 4 ]; then
  YARN_ENABLE_SCRIPTS=false yarn workspaces focus --all --production
fi
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
            return [Step(install, YARN_INSTALL)], [Step(remove, PRUNE_YARN)]
    for name in () if locked else ("bun.lock", "bun.lockb", "deno.lock"):
        if name in {*names, *above}:
            raise ReleaseError(f"{name}: npm does not read it. Put a package-lock.json beside it: npm install --package-lock-only.")
    command = f"npm {'ci' if locked else 'install'} --include=dev --no-audit --no-fund"
    return [Step(install, command)], [Step(remove, "npm prune --omit=dev --no-audit --no-fund")]
