#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: reachable
short_description: Whether the control node can connect to ports of a host
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Opens a TCP connection from the control node to each port, all at the same time, and says why one cannot be had. A UDP port of HTTP/3
    is asked for its versions of QUIC.
  - A host cannot see what drops its visitors on their way, such as a provider's firewall; the control node is a visitor.
notes:
  - This is an action plugin; the module of the same name holds its documentation.
options:
  address:
    description: Name or address of the host, as the control node knows it.
    type: str
    required: true
  ports:
    description: TCP ports.
    type: list
    elements: int
    required: true
  quic:
    description: UDP ports on which a server of HTTP/3 has to answer.
    type: list
    elements: int
    default: []
  closed:
    description: TCP ports that must not answer, although something listens there.
    type: list
    elements: int
    default: []
  timeout:
    description: Seconds after which there is no answer.
    type: float
    default: 5
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Prove that visitors get in
  mainstay.vps.reachable:
    address: 203.0.113.5
    ports: [80, 443]
    quic: [443]
    closed: [8000]
"""

RETURN = r"""
unreachable_ports:
  description: The ports without a connection.
  returned: always
  type: list
  elements: int
  sample: []
open_ports:
  description: The ports in O(closed) that answer all the same.
  returned: always
  type: list
  elements: int
  sample: []
"""
