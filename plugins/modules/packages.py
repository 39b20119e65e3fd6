#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Debian packages that must be there
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Installs those of the packages that are missing, all in one transaction of C(apt-get). Configuration files that somebody
    has changed are kept.
  - Asks C(dpkg-query) first, in one shell command and without Python on the host, so a run that installs nothing costs
    next to nothing. Nothing has to be installed beforehand, as M(ansible.builtin.apt) does with its own Python library.
  - Predicts truthfully in check mode on a fresh host, where M(ansible.builtin.apt) fails because its own Python library
    or the package lists are not there yet.
notes:
  - This is an action plugin; the module of the same name holds its documentation.
options:
  name:
    description: Names of packages, without versions.
    type: list
    elements: str
    required: true
  install_recommends:
    description: Whether to install recommended packages, too.
    type: bool
    default: false
  cache_valid_time:
    description: Update the package lists when they are older than this number of seconds, or lack one of the packages.
    type: int
    default: 3600
  start_later:
    description:
      - Services, such as V(nginx), that their packages do not start while they are installed, so that they first run with their
        own configuration and not with their package's.
      - They are enabled all the same. What runs already is left to its package.
      - Has no effect where C(/usr/sbin/policy-rc.d) says already what may start.
    type: list
    elements: str
    default: []
  wait:
    description:
      - Whether to wait until the packages are installed.
      - Without it systemd installs them in C(mainstay-packages.service), whose journal tells what happens. The next task of this
        module that lacks a package waits until that has ended, and installs what is then still missing.
      - The environment of the task does not reach such an installation.
    type: bool
    default: true
attributes:
  check_mode:
    description: Can run in check mode and predict what would change.
    support: full
  diff_mode:
    description: Will return details on what would be installed.
    support: partial
    details: In check mode only.
  platform:
    description: The target must be a Debian or an Ubuntu.
    support: full
    platforms: debian
"""

EXAMPLES = r"""
- name: Install nginx
  mainstay.vps.packages:
    name: [nginx]
    start_later: [nginx]

- name: Install PostgreSQL while the next tasks do something else
  mainstay.vps.packages:
    name: [postgresql]
    wait: false
"""

RETURN = r"""
missing:
  description: The packages that were missing before.
  returned: success
  type: list
  elements: str
  sample: [nginx]
output:
  description: What C(apt-get) said last.
  returned: failure
  type: list
  elements: str
  sample: ["E: Unable to locate package nginy"]
"""
