#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: health_probe
short_description: Wait until services are healthy, and say why they are not
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Asks one service, or many at the same time, until each was healthy often enough in a row, failed too often in a row,
    or its time is up.
  - Speaks HTTP, WebSocket, plain TCP and Unix sockets, QUIC, Redis, PostgreSQL and MySQL without any client library on the target,
    or runs a command.
  - Every key is returned after a failure, too, with the reasons in plain words and the last attempts.
options:
  <<: &probe
    kind:
      description:
        - What to ask.
        - V(http) sends a request and judges the answer. V(websocket) does so with a WebSocket handshake, which a server
          answers with 101.
        - V(tcp) and V(unix) connect, and read what is said if O(body_regex) is set.
        - V(quic) asks the UDP port of a server of HTTP/3 for its versions of QUIC. No connection begins.
        - V(redis) logs in where O(password) is set, and sends PING.
        - V(postgresql) starts a session as far as the server lets it without a password. It tells a server that accepts
          connections
          from one that is starting or has none left. Where the server lets it in, a query has to work, too.
        - V(mysql) reads the greeting of a MariaDB or MySQL server. It tells a server that accepts connections from one
          that is stopping or has none left.
        - V(command) runs a program without a shell.
      type: str
      choices: [http, websocket, tcp, unix, quic, redis, postgresql, mysql, command]
      default: http
    name:
      description: A name for messages. What is asked, by default.
      type: str
    url:
      description: Address for O(kind=http) and O(kind=websocket), with C(http), C(https), C(ws) or C(wss). Proxies are
        never used.
      type: str
    host:
      description: Host for kinds without a URL.
      type: str
      default: 127.0.0.1
    port:
      description: Port for kinds without a URL. For V(redis) 6379, for V(postgresql) 5432 and for V(mysql) 3306 by default.
      type: int
    path:
      description:
        - Path of a Unix socket to connect to in place of host and port. Any kind but V(tcp), V(quic) and V(command) can use one.
        - For V(postgresql) also the directory that holds the socket.
      type: str
    method:
      description: HTTP method.
      type: str
      default: GET
    headers:
      description: HTTP headers to send. Those that carry credentials are masked wherever they would show.
      type: dict
      default: {}
    host_header:
      description: Value for the C(Host) header in place of the URL's.
      type: str
    connect_to:
      description:
        - Address, or address and port, to connect to in place of the URL's host. C(Host) and TLS server name stay those
          of the URL.
        - For example V(127.0.0.1:443) to ask the local nginx for a site whose name leads elsewhere.
      type: str
    follow_redirects:
      description: Whether to follow redirects. Credentials are not sent on to another host.
      type: bool
      default: false
    validate_certs:
      description: Whether a TLS certificate must be trusted and fit the host name.
      type: bool
      default: true
    ca_path:
      description: File or directory of certificates to trust in place of the system's.
      type: str
    status:
      description:
        - What counts as good, as a list of V(200), V(2xx) or V(301-302). The exit status for O(kind=command).
        - V(2xx) for V(http), V(101) for V(websocket) and V(0) for V(command) by default.
      type: list
      elements: str
    json:
      description:
        - Values that the JSON in the body must hold, by dotted path, where numbers index lists. For example
          V(checks.0.status).
        - A dot inside a key is written as C(\.).
      type: dict
      default: {}
    header_regex:
      description: Regular expressions that headers of the answer must match, by header.
      type: dict
      default: {}
    body_regex:
      description: Regular expression that must match somewhere in the first 64 KiB of the answer, or of the command's
        output.
      type: str
    send:
      description: Text to send after connecting, for O(kind=tcp) and O(kind=unix).
      type: str
    max_latency_ms:
      description: Slowest answer that counts as healthy, in milliseconds from connecting to the end of the answer.
      type: float
    timeout:
      description: Seconds one attempt may take.
      type: float
      default: 5
    interval:
      description: Seconds between two attempts.
      type: float
      default: 1
    healthy_threshold:
      description: Successes in a row that are needed.
      type: int
      default: 1
    unhealthy_threshold:
      description: Failures in a row after which to give up before the deadline, V(0) to never do so.
      type: int
      default: 0
    deadline:
      description: Seconds after which to give up, counted from the end of O(start_delay). At least one attempt is made.
      type: float
      default: 30
    start_delay:
      description: Seconds to wait before the first attempt.
      type: float
      default: 0
    username:
      description: User for V(redis), or role for V(postgresql), V(postgres) by default.
      type: str
    password:
      description: Password for V(redis).
      type: str
    database:
      description: Database for V(postgresql). The name of the role by default.
      type: str
    command:
      description: The program and its arguments for O(kind=command). Do not put secrets into them, every user of the
        host can see them.
      type: list
      elements: str
    tls_expiry_days:
      description: Days for which the served TLS certificate must still be valid. Works without O(validate_certs), too.
      type: int
    unit:
      description:
        - The systemd unit that is asked. The wait ends as soon as the unit has failed, or its main process has ended twice.
        - An answer of a process that is not the unit's does not count where O(url) has a port of this host.
        - A unit that is asked on the loopback and listens on every address is refused, see O(any_address).
      type: str
    any_address:
      description: Whether O(unit) may listen on every address of the host.
      type: bool
      default: false
  probes:
    description:
      - Several probes, run at the same time. Each takes the options of this module except O(probes) and O(fail).
      - Not together with options of a single probe.
    type: list
    elements: dict
    suboptions: *probe
  fail:
    description: Whether the module fails when something is not healthy.
    type: bool
    default: true
notes:
  - Runs in check mode as well, since it changes nothing. A play that stops at an unhealthy service does so in check
    mode, too.
  - It runs on the target. Delegate it to ask from somewhere else.
attributes:
  check_mode:
    description: Can run in check mode and only reads anyway, apart from what O(kind=command) runs.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to compare.
    support: none
  platform:
    description: The target needs no libraries beyond Python.
    support: full
    platforms: posix
seealso:
  - module: mainstay.vps.port_free
  - module: ansible.builtin.uri
  - module: ansible.builtin.wait_for
  - module: community.postgresql.postgresql_ping
"""

EXAMPLES = r"""
- name: Wait until the application is ready
  mainstay.vps.health_probe:
    url: http://127.0.0.1:8000/health
    json:
      status: healthy
      checks.database.ok: true
    healthy_threshold: 2
    deadline: 60

- name: Prove that nginx serves the site and its certificate lasts
  mainstay.vps.health_probe:
    url: https://shop.example.com/
    connect_to: 127.0.0.1:443
    tls_expiry_days: 14
    max_latency_ms: 500

- name: Prove everything at once
  mainstay.vps.health_probe:
    probes:
      - {name: database, kind: postgresql}
      - {name: queue, kind: redis, port: 6380, password: "{{ queue_password }}"}
      - {name: chat, kind: websocket, url: ws://127.0.0.1:8000/ws}
      - {name: units, kind: command, command: [systemctl, is-active, shop.target]}

- name: Ask without failing
  mainstay.vps.health_probe:
    kind: tcp
    port: 25
    deadline: 0
    fail: false
  register: mail
"""

RETURN = r"""
healthy:
  description: Whether it is healthy. With O(probes), whether all are.
  returned: always
  type: bool
seconds:
  description: Seconds until all was known.
  returned: always
  type: float
  sample: 2.1
results:
  description: One entry for each of O(probes), in their order, with RV(healthy) and all keys below.
  returned: with O(probes)
  type: list
  elements: dict
name:
  description: Name of the probe.
  returned: without O(probes)
  type: str
  sample: http://127.0.0.1:8000/health
kind:
  description: Kind of the probe.
  returned: without O(probes)
  type: str
  sample: http
target:
  description: What was asked, without credentials.
  returned: without O(probes)
  type: str
  sample: http://127.0.0.1:8000/health
status:
  description:
    - Last status. HTTP status, exit status, V(open) for sockets, V(PONG) or Redis' error, V(ready), V(accepting) or
      PostgreSQL's error code.
    - Null if there was no answer.
  returned: without O(probes)
  type: raw
  sample: 200
cause:
  description:
    - The last attempt's outcome in one word, for conditions.
    - One of V(ok), V(refused), V(timeout), V(closed), V(dns), V(network), V(permission), V(tls), V(protocol),
      V(request), V(status), V(content),
      V(slow), V(auth), V(starting), V(exhausted), V(degraded) and V(missing).
  returned: without O(probes)
  type: str
  sample: ok
attempts:
  description: Number of attempts.
  returned: without O(probes)
  type: int
  sample: 3
consecutive:
  description: How many attempts up to the last had the same result as the last.
  returned: without O(probes)
  type: int
  sample: 2
latency_ms:
  description: Milliseconds that answers took, null where there was none.
  returned: without O(probes)
  type: dict
  contains:
    min:
      description: The quickest.
      type: float
      returned: always
    p50:
      description: The median.
      type: float
      returned: always
    max:
      description: The slowest.
      type: float
      returned: always
    last:
      description: The last attempt's.
      type: float
      returned: always
  sample: {min: 3.1, p50: 3.4, max: 12.0, last: 3.4}
reasons:
  description: Why it is not healthy, in plain words, each reason once. Empty if it is healthy.
  returned: without O(probes)
  type: list
  elements: str
  sample: [connection refused]
history:
  description: The last five attempts.
  returned: without O(probes)
  type: list
  elements: dict
  contains:
    at_ms:
      description: Milliseconds after the first attempt began.
      type: int
      returned: always
    healthy:
      description: Whether it was a success.
      type: bool
      returned: always
    status:
      description: As RV(status).
      type: raw
      returned: always
    latency_ms:
      description: Milliseconds the answer took.
      type: float
      returned: always
    reason:
      description: Why it was no success.
      type: str
      returned: always
  sample:
    - at_ms: 0
      healthy: false
      status: null
      latency_ms: null
      reason: connection refused
body:
  description: Beginning of the last answer or output, at most 512 characters.
  returned: without O(probes)
  type: str
  sample: '{"status": "healthy"}'
tls_days_left:
  description: Whole days until the served certificate expires, null without TLS.
  returned: without O(probes)
  type: int
  sample: 61
"""
