# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: A complete release of an app on the host
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Makes C(/srv/<app>/releases/<id>) exist, whole, built and sealed - it is owned by root, the app may read it and nobody may write it.
    Nothing that runs is touched; to switch to the release is another step.
  - The id is computed on the control node from the source, so it is the same for all hosts; see
    P(mainstay.vps.release_id#lookup). Where the host has the release already, one shell command finds that out and no
    Python starts there.
  - Every command of the build runs as O(build_user) in a transient unit with a memory limit, a time limit and a read-only system, in which
    it sees the release and its own caches and nothing of any app, not even of its own. The environment reaches it through a file only root can read.
  - A release counts only once its marker is written, which happens last and after everything is on the disk. One that
    fails is removed.
  - Releases beyond O(keep) are removed, but never the current, the previous or the new one.
options:
  app:
    description: Name of the app.
    type: str
    required: true
  user:
    description: User who runs the release and migrates its database. By default the name of the app.
    type: str
  build_user:
    description: User who builds the release and does nothing else. By default the name of O(user) with C(-build) behind it.
    type: str
  root:
    description: Folder of the app. By default C(/srv/<app>).
    type: str
  source:
    description:
      - Where the release comes from. Exactly one of C(path) (a folder on the control node, relative to the inventory or
        the playbook), C(git) (a URL, with C(version)), C(archive) (a URL or a file on the control node, with
        C(checksum)), C(package) (one version of a package of PyPI or npm, such as C(datasette==1.0)) or C(image) (an image of a
        registry, or a file on the control node as C(docker save) writes it).
    type: dict
    required: true
  id:
    description: Id of the release. By default computed from O(source), O(runtime) and O(build).
    type: str
  runtime:
    description: What runs the app.
    type: str
    choices: [python, node, command, container]
    default: python
  python:
    description:
      - Version of Python that the release is built and run with, such as V(3.14) for the newest of that line that O(uv_version) knows, or
        V(3.14.2). uv brings it, from where C(UV_PYTHON_INSTALL_MIRROR) of O(environment) says, and it stays in the release. By default
        the one that Debian has.
    type: str
  node:
    description:
      - Version of Node that the release is built and run with, such as V(22) for the newest of that line, or V(22.11.0). It comes from
        the npm registry and stays in the release. By default the one that Debian has.
    type: str
  build:
    description:
      - Commands to run in the new release, after its packages are installed. Each is a text, or a mapping with C(command) and C(env).
      - A command sees none of O(app_environment) but what its C(env) refers to, as in C({SENTRY_TOKEN{:} $SENTRY_TOKEN}).
    type: list
    elements: raw
    default: []
  public:
    description: Folders of the release that C(www-data), the user of nginx, may read, too.
    type: list
    elements: str
    default: []
  migrate:
    description:
      - A command to run once in the complete release, such as C(alembic upgrade head). A release remembers that it ran.
    type: str
  shared:
    description:
      - Folders of the release that are links to folders in C(/srv/<app>/shared), which all releases share. O(migrate) finds them there.
      - A build finds empty folders in their place, and has to leave them empty.
    type: list
    elements: str
    default: []
  environment:
    description: Variables for every command, such as proxies and mirrors.
    type: dict
    default: {}
  app_environment:
    description: Variables for O(migrate), such as the app's own configuration, and for O(build) to refer to.
    type: dict
    default: {}
  secrets:
    description: Names of the variables in O(app_environment) whose values are masked wherever they are printed.
    type: list
    elements: str
    default: []
  python_installer:
    description: What installs Python packages. V(uv) comes from PyPI into an environment of its own.
    type: str
    choices: [uv, pip]
    default: uv
  uv_version:
    description: Version of uv.
    type: str
    default: 0.13.9
  uv_hashes:
    description: SHA-256 of the packages of that version that may be installed, as PyPI lists them. Needed where uv is not there yet.
    type: list
    elements: str
    default: []
  memory_max_mb:
    description: Memory a command may use, in MB.
    type: int
    default: 1024
  timeout:
    description: Time a command may take, in seconds.
    type: int
    default: 900
  minimum_free_mb:
    description: Free disk space to begin with, in MB. Four times the size of the archive, if that is more.
    type: int
    default: 512
  keep:
    description: Number of releases to keep.
    type: int
    default: 5
  volumes:
    description: Folders in C(/srv/<app>/volumes), each with the path at which a container finds it.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Predicts whether a release would be built, and checks the free disk space.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Build the release
  mainstay.vps.release:
    app: shop
    source: {git: "https://example.com/shop.git", version: v1.4.2}
    build: [npm ci, {command: npm run build, env: {SENTRY_TOKEN: $SENTRY_TOKEN}}]
    app_environment: {SENTRY_TOKEN: "{{ sentry_token }}", DATABASE_URL: "{{ database_url }}"}
    secrets: [SENTRY_TOKEN, DATABASE_URL]

- name: Migrate the database once
  mainstay.vps.release:
    app: shop
    source: {git: "https://example.com/shop.git", version: v1.4.2}
    build: [npm ci, npm run build]
    migrate: alembic upgrade head
    app_environment: {DATABASE_URL: "{{ database_url }}"}
    secrets: [DATABASE_URL]
  run_once: true
"""

RETURN = r"""
id:
  description: Id of the release.
  type: str
  returned: always
  sample: 3f9a1c20d4be
folder:
  description: Folder of the release.
  type: str
  returned: always
  sample: /srv/shop/releases/3f9a1c20d4be
steps:
  description: What was done, in order, with the time it took.
  type: list
  elements: dict
  returned: always
  sample: [{"name": "install requirements.lock", "seconds": 2.1}]
removed:
  description: Releases that were removed.
  type: list
  elements: str
  returned: always
  sample: []
"""
