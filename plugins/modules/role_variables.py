#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: role_variables
short_description: Refuse variables that no role of this collection can use
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Validates what the inventory and the command line say of the variables of all roles of this collection against the roles' argument
    specifications, in one task instead of one for each role, and before anything has changed. The task fails with a sentence for each
    value that cannot be used. The role C(host), on which all others depend, does it for a role that is used alone.
  - Warns of a variable that begins like a role's and nearly has the name of one; it may be somebody's own.
notes:
  - This is an action plugin; the module of the same name holds its documentation. It runs on the control node, and changes nothing.
  - Roles whose variables have been validated in this way can be imported with C(rolespec_validate=false).
attributes:
  check_mode:
    description: Does the same.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Refuse role variables that no role can use
  mainstay.vps.role_variables:
"""

RETURN = r"""
"""
