#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rotate_secret
short_description: Replace a secret on the control node by a new one, and keep the old one
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Makes a new secret in the place of one that P(mainstay.vps.secrets#lookup) keeps, in one step, and keeps the old one beside it
    as C(<NAME>.previous.txt), readable by the user who runs Ansible only.
  - No host changes by this. The next deploy brings the new secret; C(playbooks/rotate.yml) does both.
  - As long as O(state=completed) has not said that the new secret is deployed, no further one is made. A run that failed in between
    is taken up with the secret it has made, and what the hosts have is not lost.
notes:
  - This is an action plugin; the module of the same name holds its documentation. It runs on the control node.
options:
  apps:
    description: The declared apps, as in C(mainstay_apps).
    type: dict
    required: true
  secret:
    description: The secret, as C(<app>/<NAME>).
    type: str
    required: true
  state:
    description: V(begun) makes the new secret, V(completed) says that it serves.
    type: str
    choices: [begun, completed]
    default: begun
  directory:
    description: Where the secrets are kept. By default C(secrets) beside the inventory.
    type: path
attributes:
  check_mode:
    description: Makes nothing and says whether it would.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
seealso:
  - plugin: mainstay.vps.secrets
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Replace the key that signs the sessions
  mainstay.vps.rotate_secret:
    apps: "{{ mainstay_apps }}"
    secret: shop/SECRET_KEY
"""

RETURN = r"""
previous:
  description: The file of the secret before.
  returned: when O(state=begun)
  type: str
  sample: /home/ada/inventory/secrets/shop/SECRET_KEY.previous.txt
"""
