#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: keep_secrets
short_description: Keep the secrets of the control node in a host's backup repository
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Sends the folder that P(mainstay.vps.secrets#lookup) keeps to a host of the role C(backup), which encrypts it and writes it into its
    repository as the file C(/secrets.tar) of a snapshot of its own, with the tag C(secrets).
  - On the host it is in memory only, in no file and on no command line. What arrives cut short is not kept.
  - Files that a vault has encrypted stay so.
notes:
  - This is an action plugin; the module of the same name holds its documentation.
  - The password of the repository is one of the secrets, so keep a copy of it elsewhere, or nobody can read this backup.
options:
  directory:
    description: Where the secrets are kept. By default C(secrets) beside the inventory.
    type: path
attributes:
  check_mode:
    description: Keeps nothing.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
seealso:
  - plugin: mainstay.vps.secrets
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Keep the secrets of the control node
  mainstay.vps.keep_secrets:
  become: true
"""

RETURN = r"""
snapshot:
  description: The snapshot that has them.
  returned: outside of check mode
  type: str
"""
