#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: http_load
short_description: Bounded load on one of the host's own sites, compared with limits
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Sends requests to a site of the host it runs on with ApacheBench (C(ab) of the Debian package C(apache2-utils)), and compares the
    share of successes, the mean and the 99th percentile with limits.
  - An answer with another status than 2xx is a failure, and so is a connection that is closed without one; a length that differs from
    the first answer's is none.
  - Whatever address the name in O(url) has, it is 127.0.0.1 for this module, so no other host is ever asked.
  - On an address of the host itself the role nginx limits neither requests nor connections. ApacheBench takes a part of the CPUs that
    the site has to do without, and speaks HTTP/1.0 with or without kept connections, no HTTP/2.
options:
  url:
    description: What is asked for, with the name of a site of this host.
    type: str
    required: true
  requests:
    description: Requests to send, at most 1000000.
    type: int
    default: 10000
  concurrency:
    description: Requests under way at once, at most 1000.
    type: int
    default: 100
  warmup:
    description: Requests that are sent before and do not count.
    type: int
    default: 200
  keep_alive:
    description: Whether a connection serves many requests. Without it each request over HTTPS costs a handshake.
    type: bool
    default: true
  timeout:
    description: Seconds after which a request without an answer has failed.
    type: int
    default: 10
  deadline:
    description: Seconds after which all of it is ended and counts as failed.
    type: int
    default: 300
  headers:
    description: Headers to send. Their values are kept out of the log, but other users of the host see them in its list of processes
      meanwhile.
    type: dict
    default: {}
  success_percent:
    description: More than this share of the requests has to succeed.
    type: float
    default: 99
  mean_ms:
    description: The mean has to be less, in milliseconds.
    type: float
    default: 100
  p99_ms:
    description: 99 % of the requests have to take less, in milliseconds.
    type: float
    default: 500
  fail:
    description: Whether a limit that is not held fails the task.
    type: bool
    default: true
requirements:
  - ab of apache2-utils on the host
  - root, and unshare of util-linux, where the name does not lead to 127.0.0.1 anyway
attributes:
  check_mode:
    description: Sends nothing in check mode, and is skipped.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to compare.
    support: none
  platform:
    description: The target is Linux.
    support: full
    platforms: posix
seealso:
  - module: mainstay.vps.health_probe
  - module: mainstay.vps.host_checklist
"""

EXAMPLES = r"""
- name: Ten thousand requests, a hundred at a time
  mainstay.vps.http_load:
    url: https://shop.example.com/health

- name: An endpoint that asks the database may take longer
  mainstay.vps.http_load:
    url: https://shop.example.com/orders
    requests: 2000
    concurrency: 20
    mean_ms: 200
"""

RETURN = r"""
url:
  description: What was asked for.
  returned: success or failure of a limit
  type: str
  sample: https://shop.example.com/health
requests:
  description: Requests that came to an end.
  returned: success or failure of a limit
  type: int
  sample: 10000
succeeded:
  description: Requests with an answer of status 2xx.
  returned: success or failure of a limit
  type: int
  sample: 10000
success_percent:
  description: Their share.
  returned: success or failure of a limit
  type: float
  sample: 100.0
failures:
  description:
    - Failures by class. V(no_answer) are connections that ended before an answer began, V(non_2xx) answers of another status, V(connect)
      and V(receive) what ApacheBench itself counts.
  returned: success or failure of a limit
  type: dict
  sample: {connect: 0, no_answer: 0, non_2xx: 0, receive: 0}
statuses:
  description: How many answers had which status.
  returned: success or failure of a limit
  type: dict
  sample: {"200": 10000}
seconds:
  description: How long it took.
  returned: success or failure of a limit
  type: float
  sample: 9.8
requests_per_second:
  description: Requests per second.
  returned: success or failure of a limit
  type: float
  sample: 1020.4
mean_ms:
  description: The mean time of a request.
  returned: success or failure of a limit
  type: float
  sample: 97.9
p50_ms:
  description: Half of the requests took no longer. RV(p95_ms), RV(p99_ms) and RV(max_ms) are the same for 95 %, 99 % and all of them.
  returned: success or failure of a limit
  type: float
  sample: 91
p95_ms:
  description: See RV(p50_ms).
  returned: success or failure of a limit
  type: float
  sample: 130
p99_ms:
  description: See RV(p50_ms).
  returned: success or failure of a limit
  type: float
  sample: 180
max_ms:
  description: See RV(p50_ms).
  returned: success or failure of a limit
  type: float
  sample: 250
keep_alive:
  description: Whether connections were kept.
  returned: success or failure of a limit
  type: bool
  sample: true
keep_alive_requests:
  description: Requests for which the server kept the connection.
  returned: success or failure of a limit
  type: int
  sample: 9900
cpu_percent:
  description: How busy the machine's CPUs were meanwhile, ApacheBench included.
  returned: success or failure of a limit
  type: float
  sample: 93.5
missed:
  description: The limits that were not held.
  returned: success or failure of a limit
  type: list
  elements: str
  sample: []
bound:
  description: What gave way - a rate V(limit), the V(app), V(connections), the V(cpu), the V(pool), or V(none).
  returned: success or failure of a limit
  type: str
  sample: none
advice:
  description: What would change it.
  returned: success or failure of a limit
  type: str
  sample: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host import limits as host_limits
from ..module_utils.verify import apachebench, load


def main():
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "requests": {"type": "int", "default": 10000},
            "concurrency": {"type": "int", "default": 100},
            "warmup": {"type": "int", "default": 200},
            "keep_alive": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 10},
            "deadline": {"type": "int", "default": 300},
            "headers": {"type": "dict", "default": {}, "no_log": True},
            "success_percent": {"type": "float", "default": 99},
            "mean_ms": {"type": "float", "default": 100},
            "p99_ms": {"type": "float", "default": 500},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    cpus = host_limits.cpu()["cpus"]
    load.perform(
        module,
        check=lambda options: load.check(options["url"], options["requests"], options["concurrency"], options["headers"]),
        lacking="" if module.get_bin_path("ab") else "ab is not installed: install the package apache2-utils.",
        run=apachebench.run,
        missed=load.missed,
        bound=lambda result, lines, options: load.bound(result, lines, result["cpu_percent"], cpus, options["concurrency"]),
    )


if __name__ == "__main__":
    main()
