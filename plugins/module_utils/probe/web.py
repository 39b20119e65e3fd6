# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes by HTTP and WebSocket."""

from __future__ import annotations

import os
import re

from ..text import MASK
from .connection import BODY_LIMIT, BoundedSocket, Failed, connect, excerpt, send
from .declared import SECRET_HEADERS, ProbeError, basic, split_address, split_url, status_range, without_login
from .tls import wrap

REDIRECTS = 5


def try_http(spec, limit, seen):
    url, headers = spec["url"], dict(spec["headers"])
    for _hop in range(REDIRECTS + 1):
        answer = _exchange(spec, url, headers, limit, seen)
        if not (spec["follow_redirects"] and answer["location"]):
            break
        url, headers = _next_hop(url, answer["location"], headers)
    else:
        raise Failed(f"more than {REDIRECTS} redirects", "status")
    _judge(spec, answer, seen)


def _next_hop(url, location, headers):
    """Where a redirect leads; credentials stay with the host they were meant for."""
    from urllib.parse import urljoin

    target = urljoin(url, location)
    try:
        same = split_url(target)[0].hostname == split_url(url)[0].hostname
    except ProbeError:
        raise Failed(f"redirected to {excerpt(without_login(target))}, which is no web address", "status") from None
    if not same:
        headers = {name: value for name, value in headers.items() if name.lower() not in SECRET_HEADERS | {"host"}}
    return target, headers


def _exchange(spec, url, headers, limit, seen):
    """One request and its answer."""
    import http.client

    parts, secure, port = split_url(url)
    same_host = parts.hostname == split_url(spec["url"])[0].hostname
    host = parts.hostname
    sock = None
    try:
        if spec["path"] and same_host:
            sock = connect(limit, path=spec["path"])
        elif spec["connect_to"] and same_host:
            first = url == spec["url"]
            address, its_port = split_address(spec["connect_to"], port)
            sock = connect(limit, address, its_port if first else port)
        else:
            sock = connect(limit, host, port)
        if secure:
            sock = wrap(sock, host, spec, limit, seen)
        connection = http.client.HTTPConnection(host, port)
        connection.auto_open = 0
        connection.sock = BoundedSocket(sock, limit)
        lines = _request_headers(spec, parts, headers, same_host)
        try:
            connection.putrequest(spec["method"], _request_path(parts), skip_host=True, skip_accept_encoding=True)
            for name, value in lines.items():
                connection.putheader(name, value)
        except (ValueError, http.client.HTTPException):
            raise Failed("the request cannot be built: method or headers contain characters HTTP does not allow", "request") from None
        try:
            connection.endheaders()
            response = connection.getresponse()
            seen.answered = True
            seen.status = response.status
            body = b"" if response.status == 101 else _read_body(response, limit)
        except http.client.RemoteDisconnected:
            raise Failed("connection closed without an answer", "closed") from None
        except http.client.IncompleteRead:
            raise Failed("connection closed in the middle of the answer", "closed") from None
        except (http.client.HTTPException, ValueError):
            raise Failed("the answer is not HTTP", "protocol") from None
        if response.status == 101:
            send(sock, b"\x88\x80\x00\x00\x00\x00", limit)
        seen.body = body[:BODY_LIMIT].decode("utf-8", "replace")
        redirect = response.status in (301, 302, 303, 307, 308)
        return {
            "headers": response.headers,
            "location": response.headers.get("Location") if redirect else None,
            "cut": len(body) > BODY_LIMIT,
            "key": lines.get("Sec-WebSocket-Key"),
        }
    finally:
        if sock is not None:
            sock.close()


def _request_path(parts):
    from urllib.parse import quote

    return quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe="/?%:@!$&'()*+,;=~[]|")


def _read_body(response, limit):
    import http.client

    try:
        body = response.read(BODY_LIMIT + 1)
    except (TimeoutError, Failed):
        raise Failed(f"status {response.status}, but the answer did not end within {limit}", "timeout") from None
    if len(body) <= BODY_LIMIT and response.length:
        raise http.client.IncompleteRead(body, response.length)
    return body


def _request_headers(spec, parts, headers, same_host):
    import base64

    lines = {
        "Host": parts.netloc.rpartition("@")[2],
        "User-Agent": "mainstay-probe",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if spec["host_header"] and same_host:
        lines["Host"] = spec["host_header"]
    if same_host and (credentials := basic(spec["url"])):
        lines["Authorization"] = f"Basic {credentials}"
    if spec["kind"] == "websocket":
        lines.update({"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
        lines["Sec-WebSocket-Key"] = base64.b64encode(os.urandom(16)).decode()
    given = {name.lower() for name in headers}
    return {
        **{name: value for name, value in lines.items() if name.lower() not in given},
        **{name: str(value) for name, value in headers.items()},
    }


def _judge(spec, answer, seen):
    """Hold the answer against what the specification expects."""
    if not status_matches(seen.status, spec["status"]):
        wanted = ", ".join(str(item) for item in spec["status"])
        more = f"moved to {without_login(answer['location'])}" if answer["location"] else excerpt(seen.body)
        seen.object(f"status {seen.status}, expected {wanted}" + (f": {more}" if more else ""), "status")
        return
    if answer["key"] and seen.status == 101 and answer["headers"].get("Sec-WebSocket-Accept") != _accept_key(answer["key"]):
        seen.object("the answer to the WebSocket handshake does not belong to the question (Sec-WebSocket-Accept)", "protocol")
    for name, pattern in spec["header_regex"].items():
        value = answer["headers"].get(name)
        if value is None:
            seen.object(f"header {name} is missing", "content")
        elif not re.search(str(pattern), value):
            shown = MASK if name.lower() in SECRET_HEADERS else repr(value[:100])
            seen.object(f"header {name} is {shown}, expected to match {pattern!r}", "content")
    if spec["body_regex"] and not re.search(spec["body_regex"], seen.body):
        seen.object(f"the body does not match {spec['body_regex']!r}: {excerpt(seen.body) or 'it is empty'}", "content")
    if spec["json"]:
        _judge_json(spec["json"], answer["cut"], seen)


def _accept_key(key):
    import base64
    import hashlib

    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _judge_json(wanted, cut, seen):
    import json

    if cut:
        seen.object(f"the body is longer than {BODY_LIMIT // 1024} KiB, too long to read its JSON", "content")
        return
    try:
        document = json.loads(seen.body)
    except (ValueError, RecursionError):  # of as many brackets as fit
        seen.object(f"the body is not JSON: {excerpt(seen.body) or 'it is empty'}", "content")
        return
    for path, expected in wanted.items():
        try:
            value = json_value(document, path)
        except KeyError:
            seen.object(f"json {path} is missing, expected {json.dumps(expected)}", "content")
            continue
        if not _same(value, expected):
            seen.object(f"json {path} is {excerpt(json.dumps(value))}, expected {json.dumps(expected)}", "content")


def json_value(document, path):
    r"""The value at a dotted path; `0` and `[0]` index lists, `\.` is a dot inside a key. KeyError if there is none."""
    words = re.findall(r"\[(-?\d+)\]|((?:\\.|[^.\[\\])+)", str(path))
    value = document
    for index, key in words:
        word = index or re.sub(r"\\(.)", r"\1", key)
        if isinstance(value, dict) and word in value:
            value = value[word]
        elif isinstance(value, list) and re.fullmatch(r"-?\d+", word) and -len(value) <= int(word) < len(value):
            value = value[int(word)]
        else:
            raise KeyError(path)
    return value


def _same(value, expected):
    """Equality as JSON sees it: true is not 1."""
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(_same, value, expected))
    if isinstance(value, dict) and isinstance(expected, dict):
        return value.keys() == expected.keys() and all(_same(value[key], expected[key]) for key in value)
    return value == expected


def status_matches(status, accepted):
    """Whether a status is in a list like [200, "3xx", "401-403"]."""
    return any(low <= status <= high for low, high in map(status_range, accepted))
