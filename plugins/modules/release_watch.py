#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: release_watch
short_description: Watch a release that has just taken over
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Watches for a while whether the units of a release stay up and its probes pass, and how its real requests fare, as the
    proxy on the same host logs them.
  - Fails at the first thing that is wrong - a unit that systemd had to restart, a probe that failed twice in a row, or, among
    at least 20 requests, too many errors.
  - Fails at the end when answers took too long. What was slow is watched for as long again, at most twice, because a moment in
    which the machine was busy passes and a slow release does not.
  - A unit that systemd has yet to start or to restart is watched from then on.
options:
  probes:
    description:
      - What to ask, as for M(mainstay.vps.health_probe). The name of each is that of its unit. Probes of kind V(http) are sent
        each second, and the ports of their URLs tell which requests in the log are meant. The others must pass at the end.
    type: list
    elements: dict
    required: true
  begin:
    description:
      - Do not watch, but note, with one shell command, where the log ends and how often each unit has been restarted, and return
        that as RV(since).
    type: bool
    default: false
  since:
    description:
      - What RV(since) an earlier task with O(begin=true) has returned. What has happened since then, and the time, count as
        watched; the probes are asked once at the least.
    type: dict
    default: {}
  seconds:
    description: How long to watch; longer where answers were slow, and where systemd has yet to restart a unit, or has only
      just done so.
    type: float
    default: 3
  drains:
    description:
      - Probes of kind V(command) that pass when nobody is connected any more to what served before.
      - The watch lasts until all have passed, or the C(deadline) of each is over.
    type: list
    elements: dict
    default: []
  access_log:
    description: Log of nginx in the format of the role C(nginx), which ends each line with C($upstream_addr $upstream_status
      $upstream_response_time), as they are or as the last keys of JSON. Without such a file only units and probes count.
    type: path
  max_error_rate:
    description: Share of the requests that may get a status of 500 or more, of at least 20.
    type: float
    default: 0.05
  max_latency_ms:
    description: Time in ms within which 95 of 100 requests must be answered, of at least 20. Of 10 to 19 requests one must be; fewer say
      nothing.
    type: int
    default: 2000
notes:
  - This is an action plugin; the module of the same name holds its documentation.
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: Has no differences to show.
    support: none
"""

EXAMPLES = r"""
- name: Watch the new release under its load
  mainstay.vps.release_watch:
    seconds: 60
    probes:
      - {name: shop-web@8002.service, kind: http, url: "http://127.0.0.1:8002/health"}
    access_log: /var/log/nginx/access.log

- name: Begin, and do something else meanwhile
  mainstay.vps.release_watch:
    begin: true
    probes: "{{ probes }}"
    access_log: /var/log/nginx/access.log
  register: watched

- name: Watch the new release for what is left of a minute
  mainstay.vps.release_watch:
    since: "{{ watched.since }}"
    seconds: 60
    probes: "{{ probes }}"
    access_log: /var/log/nginx/access.log
"""

RETURN = r"""
since:
  description: What the watch is counted from, for O(since) of a later task.
  returned: with O(begin=true)
  type: dict
reasons:
  description: What was wrong.
  returned: when it was watched
  type: list
  elements: str
  sample: []
units:
  description: The units they concern.
  returned: when it was watched
  type: list
  elements: str
  sample: []
probes:
  description: Number of probes sent.
  returned: when it was watched
  type: int
  sample: 3
requests:
  description: Number of requests found in the log.
  returned: when it was watched
  type: int
  sample: 150
seconds:
  description: How long it was watched.
  returned: when it was watched
  type: float
  sample: 3.1
"""
