#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: websocket_load
short_description: Many websockets of one of the host's own sites at once, compared with limits
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Opens websockets of a site of the host it runs on, holds them, and sends each a ping a second, which the protocol wants answered by a
    pong. Compares the share of those that were kept and the 99th percentile of the pongs with limits.
  - No message of the app's own is sent, so an app that closes a connection which says nothing does not keep these.
  - Whatever address the name in O(url) has, 127.0.0.1 is asked, and no certificate is verified.
  - Of an address of the host itself nginx takes as many connections as come; all together have the C(max_connections) of the route. The
    visitors take a part of the CPUs that the site has to do without.
options:
  url:
    description: The websocket, with the name of a site of this host.
    type: str
    required: true
  connections:
    description: Websockets at once, at most 1000.
    type: int
    default: 100
  seconds:
    description: Seconds for which each is held, at most 600.
    type: int
    default: 10
  timeout:
    description: Seconds after which a handshake or a ping without an answer has failed.
    type: int
    default: 10
  headers:
    description: Headers of the handshake, such as a C(Cookie) of somebody who is logged in. Their values are kept out of the log.
    type: dict
    default: {}
  success_percent:
    description: More than this share of the websockets has to be opened and kept to the end.
    type: float
    default: 99
  p99_ms:
    description: 99 % of the pongs have to take less, in milliseconds.
    type: float
    default: 500
  fail:
    description: Whether a limit that is not held fails the task.
    type: bool
    default: true
requirements:
  - python3-websockets on the host
attributes:
  check_mode:
    description: Opens nothing in check mode, and is skipped.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to compare.
    support: none
  platform:
    description: The target is Linux.
    support: full
    platforms: posix
seealso:
  - module: mainstay.vps.http_load
"""

EXAMPLES = r"""
- name: A hundred visitors who stay for ten seconds
  mainstay.vps.websocket_load:
    url: wss://shop.example.com/ws

- name: More of them, as somebody who is logged in
  mainstay.vps.websocket_load:
    url: wss://shop.example.com/ws
    connections: 500
    seconds: 30
    headers:
      Cookie: "session={{ session }}"
"""

RETURN = r"""
url:
  description: What was asked for.
  returned: success or failure of a limit
  type: str
  sample: wss://shop.example.com/ws
connections:
  description: Websockets that were tried.
  returned: success or failure of a limit
  type: int
  sample: 100
kept:
  description: Those that were opened and kept to the end.
  returned: success or failure of a limit
  type: int
  sample: 100
success_percent:
  description: Their share.
  returned: success or failure of a limit
  type: float
  sample: 100.0
refused:
  description: How many handshakes were answered with which other status.
  returned: success or failure of a limit
  type: dict
  sample: {"503": 4}
ended:
  description: How many of the others ended in which way - without an answer, V(silent) after a ping, or closed with a code.
  returned: success or failure of a limit
  type: dict
  sample: {"closed with 1013": 2}
wants_login:
  description: Whether every handshake was refused with 400, 401 or 403, so that nothing was tried. No limit counts then.
  returned: success or failure of a limit
  type: bool
  sample: false
handshake_p50_ms:
  description: Half of the handshakes took no longer, in milliseconds. RV(handshake_p99_ms) is the same for 99 % of them.
  returned: success or failure of a limit
  type: float
  sample: 12.5
handshake_p99_ms:
  description: See RV(handshake_p50_ms).
  returned: success or failure of a limit
  type: float
  sample: 80.1
pongs:
  description: Pongs that came.
  returned: success or failure of a limit
  type: int
  sample: 1000
mean_ms:
  description: The mean time of a pong.
  returned: success or failure of a limit
  type: float
  sample: 2.1
p50_ms:
  description: Half of the pongs took no longer. RV(p95_ms), RV(p99_ms) and RV(max_ms) are the same for 95 %, 99 % and all of them.
  returned: success or failure of a limit
  type: float
  sample: 1.4
p95_ms:
  description: See RV(p50_ms).
  returned: success or failure of a limit
  type: float
  sample: 5.3
p99_ms:
  description: See RV(p50_ms).
  returned: success or failure of a limit
  type: float
  sample: 9.9
max_ms:
  description: See RV(p50_ms).
  returned: success or failure of a limit
  type: float
  sample: 14.2
seconds:
  description: How long it took.
  returned: success or failure of a limit
  type: float
  sample: 10.4
cpu_percent:
  description: How busy the machine's CPUs were meanwhile, the visitors included.
  returned: success or failure of a limit
  type: float
  sample: 13.5
missed:
  description: The limits that were not held.
  returned: success or failure of a limit
  type: list
  elements: str
  sample: []
bound:
  description: What gave way - a V(limit) of connections, the V(app), V(connections), the V(cpu), a V(login) that was missing, or V(none).
  returned: success or failure of a limit
  type: str
  sample: none
advice:
  description: What would change it.
  returned: success or failure of a limit
  type: str
  sample: ""
"""

import importlib.util

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host import limits as host_limits
from ..module_utils.verify import load, websocket_load


def main():
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "connections": {"type": "int", "default": 100},
            "seconds": {"type": "int", "default": 10},
            "timeout": {"type": "int", "default": 10},
            "headers": {"type": "dict", "default": {}, "no_log": True},
            "success_percent": {"type": "float", "default": 99},
            "p99_ms": {"type": "float", "default": 500},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    is_there = importlib.util.find_spec("websockets") is not None
    load.perform(
        module,
        check=lambda options: websocket_load.check(options["url"], options["connections"], options["seconds"], options["headers"]),
        lacking="" if is_there else "websockets of Python is not installed: install the package python3-websockets.",
        run=websocket_load.run,
        missed=websocket_load.missed,
        bound=lambda result, lines, _options: websocket_load.bound(result, lines, host_limits.cpu()["cpus"]),
    )


if __name__ == "__main__":
    main()
