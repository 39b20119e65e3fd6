# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a service whether it is healthy: HTTP, WebSocket, TCP, Unix socket, Redis, PostgreSQL, MySQL or a command.

`check_once(spec)` is one try, `run(spec)` repeats it until thresholds or the deadline decide, `run_all(specs)` does
that for many at once. All return the same keys, whatever happened. Standard library only, and heavy parts are imported
when needed: the agent on the host keeps this module in memory and calls `check_once` every few seconds.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time

from .text import printable

BODY_LIMIT = 64 * 1024
EXCERPT = 512
HISTORY = 5
REDIRECTS = 5

KINDS = ("http", "websocket", "tcp", "unix", "redis", "postgresql", "mysql", "command")
DEFAULTS = {
    "kind": "http",
    "name": None,
    "url": None,
    "host": "127.0.0.1",
    "port": None,
    "path": None,
    "method": "GET",
    "headers": {},
    "host_header": None,
    "connect_to": None,
    "follow_redirects": False,
    "validate_certs": True,
    "ca_path": None,
    "status": None,
    "json": {},
    "header_regex": {},
    "body_regex": None,
    "send": None,
    "max_latency_ms": None,
    "timeout": 5,
    "interval": 1,
    "healthy_threshold": 1,
    "unhealthy_threshold": 0,
    "deadline": 30,
    "start_delay": 0,
    "username": None,
    "password": None,
    "database": None,
    "command": None,
    "tls_expiry_days": None,
}
DEFAULT_STATUS = {"http": ["2xx"], "websocket": [101], "command": [0]}
DEFAULT_PORT = {"redis": 6379, "postgresql": 5432, "mysql": 3306}
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"}
MASK = "********"


class ProbeError(ValueError):
    """The specification cannot be used; the message says what to change."""


class _Failed(Exception):
    """This try failed: a reason in plain words and a word for machines."""

    def __init__(self, reason, cause):
        super().__init__(reason)
        self.reason = reason
        self.cause = cause


class _Seen:
    """What one try learned."""

    def __init__(self):
        self.status = None
        self.body = ""
        self.tls_days_left = None
        self.answered = False
        self.reasons = []
        self.cause = "ok"

    def object(self, reason, cause):
        self.reasons.append(reason)
        if self.cause == "ok":
            self.cause = cause


class _Limit:
    """The time one try may take, whatever number of socket operations it needs."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def left(self):
        left = self.end - time.monotonic()
        if left <= 0:
            raise self.late()
        return left

    def late(self, what="answer"):
        return _Failed(f"no {what} within {self}", "timeout")

    def __str__(self):
        return f"{round(self.seconds, 1):g} s"


# --- one try -----------------------------------------------------------------------------------------------------


def check_once(spec):
    """One try. `spec` as in DEFAULTS (missing keys take these values, unknown keys are ignored)."""
    spec = normalise(spec)
    seen = _Seen()
    limit = _Limit(spec["timeout"])
    started = time.monotonic()
    try:
        _TRIES[spec["kind"]](spec, limit, seen)
    except _Failed as failure:
        seen.object(failure.reason, failure.cause)
    except OSError as error:
        seen.object(*_words(error, limit))
    latency = round((time.monotonic() - started) * 1000, 1) if seen.answered else None
    if latency is not None and spec["max_latency_ms"] is not None and latency > spec["max_latency_ms"]:
        seen.object(f"answered in {latency:.0f} ms, allowed are {spec['max_latency_ms']:g} ms", "slow")
    hide = _masker(spec)
    reasons = [hide(reason) for reason in seen.reasons]
    healthy = not reasons
    return {
        "healthy": healthy,
        "name": spec["name"],
        "kind": spec["kind"],
        "target": _target(spec),
        "status": seen.status,
        "cause": seen.cause,
        "attempts": 1,
        "consecutive": 1,
        "latency_ms": {"min": latency, "p50": latency, "max": latency, "last": latency},
        "reasons": reasons,
        "history": [_event(0, healthy, seen.status, latency, reasons)],
        "body": hide(seen.body)[:EXCERPT],
        "tls_days_left": seen.tls_days_left,
    }


def normalise(spec):
    """The specification with every key present; raises ProbeError for what can never work."""
    known = {key: spec[key] for key in DEFAULTS if spec.get(key) is not None}
    full = {**DEFAULTS, **known}
    kind = full["kind"]
    if kind not in KINDS:
        raise ProbeError(f"kind is {kind!r}; use one of {', '.join(KINDS)}")
    if kind in ("http", "websocket"):
        if not full["url"]:
            if full["port"] is None:
                raise ProbeError(f"kind {kind} needs url, for example http://127.0.0.1:8000/health")
            full["url"] = f"http://{_bracketed(full['host'])}:{full['port']}/"
        _split_url(full["url"])
        if full["connect_to"]:
            _split_address(full["connect_to"], 0)
    if kind == "tcp" and full["port"] is None:
        raise ProbeError("kind tcp needs port")
    if kind == "unix" and not full["path"]:
        raise ProbeError("kind unix needs path, the path of the socket")
    if kind == "command":
        if not full["command"] or isinstance(full["command"], str):
            raise ProbeError("kind command needs command, a list: the program and its arguments")
        full["command"] = [str(word) for word in full["command"]]
    full["port"] = int(full["port"]) if full["port"] is not None else DEFAULT_PORT.get(kind)
    wanted = full["status"]
    if wanted is None or wanted == []:
        wanted = DEFAULT_STATUS.get(kind, [])
    full["status"] = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    for item in full["status"]:
        _status_range(item)
    for key in ("timeout", "deadline", "interval", "start_delay"):
        full[key] = float(full[key])
        if full[key] < 0 or (key == "timeout" and full[key] == 0):
            raise ProbeError(f"{key} is {full[key]:g}; it is a number of seconds greater than 0")
    for key in ("healthy_threshold", "unhealthy_threshold"):
        full[key] = int(full[key])
    full["healthy_threshold"] = max(1, full["healthy_threshold"])
    for key, pattern in (("body_regex", full["body_regex"]), *full["header_regex"].items()):
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ProbeError(f"{key}: {pattern!r} is not a regular expression: {error}") from None
    if full["name"] is None:
        full["name"] = _target(full)
    return full


def _event(at_ms, healthy, status, latency, reasons):
    return {"at_ms": at_ms, "healthy": healthy, "status": status, "latency_ms": latency, "reason": "; ".join(reasons)}


def _words(error, limit):
    """An operating system error in plain words."""
    if isinstance(error, TimeoutError):
        failure = limit.late()
        return failure.reason, failure.cause
    if isinstance(error, ConnectionRefusedError):
        return "connection refused", "refused"
    if isinstance(error, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return "connection closed without an answer", "closed"
    if isinstance(error, FileNotFoundError):
        return "socket does not exist", "refused"
    if isinstance(error, PermissionError):
        return "permission denied", "permission"
    text = (error.strerror or str(error) or type(error).__name__).strip()
    return text[:1].lower() + text[1:], "network"


def _target(spec):
    """What is asked, without anything secret in it."""
    kind = spec["kind"]
    if kind in ("http", "websocket"):
        return re.sub(
            r"([?&][^=&#]*(?:pass|token|key|secret|sig)[^=&#]*=)[^&#]*",
            r"\1" + MASK,
            _without_login(spec["url"]),
            flags=re.IGNORECASE,
        )
    if kind == "command":
        return spec["command"][0]
    return spec["path"] or f"{_bracketed(spec['host'])}:{spec['port']}"


def secrets(spec):
    """The values in a specification that must not be shown: password, credentials in headers and in the URL."""
    headers = spec.get("headers") or {}
    values = [str(value).strip() for name, value in headers.items() if name.lower() in SECRET_HEADERS]
    values += [value.split(None, 1)[1] for value in values if " " in value]
    values += [spec.get("password") or "", _login(spec.get("url") or "")[1]]
    return {value for value in values if len(value) >= 3}


def _masker(spec):
    """A function that makes any text fit to be shown: without the secrets of this specification, and without what a terminal obeys."""
    hidden = sorted(secrets(spec), key=len, reverse=True)

    def hide(text):
        for secret in hidden:
            text = text.replace(secret, MASK)
        return printable(text)

    return hide


# --- connecting --------------------------------------------------------------------------------------------------


def _bracketed(host):
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _split_address(text, default_port):
    """`127.0.0.1:443`, `[::1]:443`, `::1` or `localhost` as (host, port)."""
    match = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+)(?::(\d+))?|(.*:.*:.*)", text)
    if not match:
        raise ProbeError(f"connect_to is {text!r}; use address, address:port or [IPv6 address]:port")
    host = match[1] or match[3] or match[5]
    return host, int(match[2] or match[4] or default_port)


def _resolve(host, port, limit):
    """Socket addresses of a host. The system's resolver knows no time limit, hence the thread."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port))]
    import threading

    answer = []

    def ask():
        try:
            answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            answer.append([])

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(limit.left())
    if not answer:
        raise _Failed(f"the name {host} was not resolved within {limit}", "dns")
    if not answer[0]:
        raise _Failed(f"the name {host} does not resolve", "dns")
    return [(family, address) for family, _type, _protocol, _name, address in answer[0]]


def _connect(limit, host=None, port=None, path=None):
    """A connected socket, over the first address that accepts."""
    targets = [(socket.AF_UNIX, path)] if path else _resolve(host, port, limit)
    failure = None
    for index, (family, address) in enumerate(targets):
        share = limit.left() / (len(targets) - index)
        sock = None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(share)
            sock.connect(address)
            return sock
        except TimeoutError:
            failure = limit.late("connection")
        except OSError as error:
            failure = _Failed(*_words(error, limit))
        if sock is not None:
            sock.close()
    raise failure


def _send(sock, data, limit):
    sock.settimeout(limit.left())
    sock.sendall(data)


def _receive(sock, limit, size=4096):
    sock.settimeout(limit.left())
    return sock.recv(size)


def _receive_exactly(sock, limit, size):
    data = b""
    while len(data) < size:
        chunk = _receive(sock, limit, size - len(data))
        if not chunk:
            raise _Failed("connection closed without an answer", "closed")
        data += chunk
    return data


# --- tcp, unix ---------------------------------------------------------------------------------------------------


def _try_stream(spec, limit, seen):
    """The port or socket accepts; with `send` or `body_regex` it also says what it should."""
    path = spec["path"] if spec["kind"] == "unix" else None
    sock = _connect(limit, spec["host"], spec["port"], path)
    try:
        seen.answered = True
        seen.status = "open"
        if spec["send"]:
            _send(sock, spec["send"].encode(), limit)
        if spec["body_regex"]:
            _read_until_match(sock, spec["body_regex"], limit, seen)
    finally:
        sock.close()


def _read_until_match(sock, pattern, limit, seen):
    data = b""
    late = None
    while len(data) < BODY_LIMIT:
        try:
            chunk = _receive(sock, limit)
        except (TimeoutError, _Failed):
            late = f" within {limit}"
            break
        data += chunk
        seen.body = data.decode("utf-8", "replace")
        if not chunk or re.search(pattern, seen.body):
            break
    if not re.search(pattern, seen.body):
        seen.object(
            f"what it says does not match {pattern!r}{late or ''}: {_excerpt(seen.body) or 'nothing'}", "content"
        )


# --- http, websocket ---------------------------------------------------------------------------------------------


def _split_url(url):
    from urllib.parse import urlsplit

    if re.search(r"[\x00-\x20\x7f]", url):
        raise ProbeError(
            f"url {_without_login(url)!r} contains a blank or control character; encode it, a blank is %20"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ProbeError(f"url {url!r} cannot be read: {error}") from None
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ProbeError(
            f"url {_without_login(url)!r} cannot be used; it begins with http://, https://, ws:// or wss:// and a host"
        )
    secure = parts.scheme in ("https", "wss")
    return parts, secure, port or (443 if secure else 80)


def _without_login(url):
    return re.sub(r"(?<=//)[^/?#]*@", "", url)


def _login(url):
    """User and password in a URL, or two empty texts."""
    match = re.match(r"[a-z]+://([^/@?#:]*)(?::([^/?#]*))?@", url)
    return (match[1], match[2] or "") if match else ("", "")


def _try_http(spec, limit, seen):
    url, headers = spec["url"], dict(spec["headers"])
    for _hop in range(REDIRECTS + 1):
        answer = _exchange(spec, url, headers, limit, seen)
        if not (spec["follow_redirects"] and answer["location"]):
            break
        url, headers = _next_hop(url, answer["location"], headers)
    else:
        raise _Failed(f"more than {REDIRECTS} redirects", "status")
    _judge(spec, answer, seen)


def _next_hop(url, location, headers):
    """Where a redirect leads; credentials stay with the host they were meant for."""
    from urllib.parse import urljoin

    target = urljoin(url, location)
    try:
        same = _split_url(target)[0].hostname == _split_url(url)[0].hostname
    except ProbeError:
        raise _Failed(f"redirected to {_excerpt(_without_login(target))}, which is no web address", "status") from None
    if not same:
        headers = {name: value for name, value in headers.items() if name.lower() not in SECRET_HEADERS | {"host"}}
    return target, headers


def _exchange(spec, url, headers, limit, seen):
    """One request and its answer."""
    import http.client

    parts, secure, port = _split_url(url)
    same_host = parts.hostname == _split_url(spec["url"])[0].hostname
    host = parts.hostname
    sock = None
    try:
        if spec["path"] and same_host:
            sock = _connect(limit, path=spec["path"])
        elif spec["connect_to"] and same_host:
            first = url == spec["url"]
            address, its_port = _split_address(spec["connect_to"], port)
            sock = _connect(limit, address, its_port if first else port)
        else:
            sock = _connect(limit, host, port)
        if secure:
            sock = _wrap(sock, host, spec, limit, seen)
        connection = http.client.HTTPConnection(host, port)
        connection.auto_open = 0
        connection.sock = _BoundedSocket(sock, limit)
        lines = _request_headers(spec, parts, headers, same_host)
        try:
            connection.putrequest(spec["method"], _request_path(parts), skip_host=True, skip_accept_encoding=True)
            for name, value in lines.items():
                connection.putheader(name, value)
        except (ValueError, http.client.HTTPException):
            raise _Failed(
                "the request cannot be built: method or headers contain characters HTTP does not allow", "request"
            ) from None
        try:
            connection.endheaders()
            response = connection.getresponse()
            seen.answered = True
            seen.status = response.status
            body = b"" if response.status == 101 else _read_body(response, limit)
        except http.client.RemoteDisconnected:
            raise _Failed("connection closed without an answer", "closed") from None
        except http.client.IncompleteRead:
            raise _Failed("connection closed in the middle of the answer", "closed") from None
        except (http.client.HTTPException, ValueError):
            raise _Failed("the answer is not HTTP", "protocol") from None
        if response.status == 101:
            _send(sock, b"\x88\x80\x00\x00\x00\x00", limit)
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
    except (TimeoutError, _Failed):
        raise _Failed(f"status {response.status}, but the answer did not end within {limit}", "timeout") from None
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
    user, password = _login(spec["url"]) if same_host else ("", "")
    if user:
        from urllib.parse import unquote

        lines["Authorization"] = "Basic " + base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    if spec["kind"] == "websocket":
        lines.update({"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
        lines["Sec-WebSocket-Key"] = base64.b64encode(os.urandom(16)).decode()
    given = {name.lower() for name in headers}
    return {
        **{name: value for name, value in lines.items() if name.lower() not in given},
        **{name: str(value) for name, value in headers.items()},
    }


class _BoundedSocket:
    """What http.client needs of a socket, with one time limit for all of it."""

    def __init__(self, sock, limit):
        self.sock = sock
        self.limit = limit

    def sendall(self, data):
        _send(self.sock, data, self.limit)

    def makefile(self, _mode):
        import io

        outer = self

        class Reader(io.RawIOBase):
            def readable(self):
                return True

            def readinto(self, buffer):
                outer.sock.settimeout(outer.limit.left())
                return outer.sock.recv_into(buffer)

        return io.BufferedReader(Reader())

    def close(self):
        """The owner of the socket closes it."""


def _judge(spec, answer, seen):
    """Hold the answer against what the specification expects."""
    if not status_matches(seen.status, spec["status"]):
        wanted = ", ".join(str(item) for item in spec["status"])
        more = f"moved to {_without_login(answer['location'])}" if answer["location"] else _excerpt(seen.body)
        seen.object(f"status {seen.status}, expected {wanted}" + (f": {more}" if more else ""), "status")
        return
    if (
        answer["key"]
        and seen.status == 101
        and answer["headers"].get("Sec-WebSocket-Accept") != _accept_key(answer["key"])
    ):
        seen.object(
            "the answer to the WebSocket handshake does not belong to the question (Sec-WebSocket-Accept)", "protocol"
        )
    for name, pattern in spec["header_regex"].items():
        value = answer["headers"].get(name)
        if value is None:
            seen.object(f"header {name} is missing", "content")
        elif not re.search(str(pattern), value):
            shown = MASK if name.lower() in SECRET_HEADERS else repr(value[:100])
            seen.object(f"header {name} is {shown}, expected to match {pattern!r}", "content")
    if spec["body_regex"] and not re.search(spec["body_regex"], seen.body):
        seen.object(
            f"the body does not match {spec['body_regex']!r}: {_excerpt(seen.body) or 'it is empty'}", "content"
        )
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
    except ValueError:
        seen.object(f"the body is not JSON: {_excerpt(seen.body) or 'it is empty'}", "content")
        return
    for path, expected in wanted.items():
        try:
            value = json_value(document, path)
        except KeyError:
            seen.object(f"json {path} is missing, expected {json.dumps(expected)}", "content")
            continue
        if not _same(value, expected):
            seen.object(f"json {path} is {_excerpt(json.dumps(value))}, expected {json.dumps(expected)}", "content")


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


def _status_range(item):
    """`200`, "2xx" or "301-302" as lowest and highest status."""
    text = str(item).strip().lower()
    match = re.fullmatch(r"(\d)xx|(\d{1,3})(?:-(\d{1,3}))?", text)
    if not match:
        raise ProbeError(f"status {item!r} cannot be read; use 200, 2xx or 301-302")
    if match[1]:
        return int(match[1]) * 100, int(match[1]) * 100 + 99
    return int(match[2]), int(match[3] or match[2])


def status_matches(status, accepted):
    """Whether a status is in a list like [200, "3xx", "401-403"]."""
    return any(low <= status <= high for low, high in map(_status_range, accepted))


def _excerpt(text, length=160):
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


# --- TLS ---------------------------------------------------------------------------------------------------------

_contexts = {}


def _wrap(sock, host, spec, limit, seen):
    import ssl

    key = (bool(spec["validate_certs"]), spec["ca_path"])
    if key not in _contexts:
        _contexts[key] = _context(*key)
    sock.settimeout(limit.left())
    try:
        secure = _contexts[key].wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _Failed(f"the certificate is not trusted: {error.verify_message}", "tls") from None
    except ssl.SSLError as error:
        detail = str(error.reason or error).replace("_", " ").lower()
        raise _Failed(f"the TLS handshake failed: {detail}", "tls") from None
    days = days_left(secure.getpeercert(binary_form=True), time.time())
    seen.tls_days_left = days
    if spec["tls_expiry_days"] is not None and days is not None and days < spec["tls_expiry_days"]:
        seen.object(f"the certificate expires in {days} days, at least {spec['tls_expiry_days']} are wanted", "tls")
    return secure


def _context(validate, ca_path):
    import ssl

    if not validate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if not ca_path:
        return ssl.create_default_context()
    try:
        return (
            ssl.create_default_context(capath=ca_path)
            if os.path.isdir(ca_path)
            else ssl.create_default_context(cafile=ca_path)
        )
    except OSError as error:
        raise _Failed(f"ca_path {ca_path} cannot be used: {error.strerror or error}", "tls") from None


def days_left(certificate, now):
    """Whole days until a DER certificate expires (negative: it has), or None if it cannot be read."""
    try:
        return int((not_after(certificate) - now) // 86400)
    except (ValueError, IndexError, TypeError):
        return None


def not_after(certificate):
    """Seconds since the epoch at which a DER certificate expires.

    ssl.getpeercert() gives the date for validated certificates only, so this walks the few fields that come before it:
    Certificate { tbsCertificate { [0] version?, serial, signature, issuer, validity { notBefore, notAfter } } }.
    """
    import calendar

    position = _enter(certificate, _enter(certificate, 0, 0x30), 0x30)
    if certificate[position] == 0xA0:
        position = _field(certificate, position)[2]
    for _skipped in ("serial", "signature", "issuer"):
        position = _field(certificate, position)[2]
    position = _enter(certificate, position, 0x30)
    position = _field(certificate, position)[2]
    start, tag, end = _field(certificate, position)
    text = certificate[start:end].decode("ascii")
    if tag == 0x17:  # UTCTime: two digits of the year, 50 and above are 19xx
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != 0x18:  # GeneralizedTime
        raise ValueError("no date where notAfter should be")
    return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ"))


def _field(data, position):
    """(start of the content, tag, end of the content) of the DER field at a position."""
    tag, length, start = data[position], data[position + 1], position + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    if start + length > len(data):
        raise ValueError("the field is longer than the data")
    return start, tag, start + length


def _enter(data, position, tag):
    start, found, _end = _field(data, position)
    if found != tag:
        raise ValueError(f"tag {found:#x} where {tag:#x} should be")
    return start


# --- redis -------------------------------------------------------------------------------------------------------

_REDIS = {
    "LOADING": ("it is still loading its data", "starting"),
    "NOAUTH": ("it wants a password and none was given", "auth"),
    "WRONGPASS": ("it refuses the password", "auth"),
    "MASTERDOWN": ("it has lost its primary", "degraded"),
    "MISCONF": ("it cannot save to disk and refuses writes", "degraded"),
}


def _try_redis(spec, limit, seen):
    sock = _connect(limit, spec["host"], spec["port"], spec["path"])
    try:
        if spec["password"]:
            words = ["AUTH", spec["username"], spec["password"]] if spec["username"] else ["AUTH", spec["password"]]
            reply = _redis_call(sock, words, limit, seen)
            if not reply.startswith("+"):
                _redis_refused(reply, seen)
        reply = _redis_call(sock, ["PING"], limit, seen)
        if reply != "+PONG":
            _redis_refused(reply, seen)
        seen.status = "PONG"
    finally:
        sock.close()


def _redis_call(sock, words, limit, seen):
    """One command, one line of answer."""
    data = b"".join(
        [b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(w), w) for w in (word.encode() for word in words))]
    )
    _send(sock, data, limit)
    reply = b""
    while not reply.endswith(b"\r\n"):
        chunk = _receive(sock, limit)
        if not chunk:
            raise _Failed("connection closed without an answer", "closed")
        reply += chunk
        if len(reply) > 4096 or reply[:1] not in (b"+", b"-", b":"):
            raise _Failed("the answer is not Redis", "protocol")
    seen.answered = True
    return reply.decode("utf-8", "replace").strip()


def _redis_refused(reply, seen):
    text = reply[1:]
    seen.status = text.split(" ", 1)[0]
    reason, cause = _REDIS.get(seen.status, (f"it answers: {_excerpt(text)}", "status"))
    raise _Failed(reason, cause)


# --- postgresql --------------------------------------------------------------------------------------------------


def _try_postgresql(spec, limit, seen):
    """Start a session as far as the server allows without a password: it accepts connections, or says why not.

    Where it lets us in (peer or trust), it must also answer a query.
    """
    path = spec["path"]
    if path and os.path.isdir(path):
        path = os.path.join(path, f".s.PGSQL.{spec['port']}")
    sock = _connect(limit, spec["host"], spec["port"], path)
    try:
        user = spec["username"] or "postgres"
        words = ["user", user, "database", spec["database"] or user, "application_name", "mainstay-probe"]
        body = struct.pack("!i", 196608) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
        _send(sock, struct.pack("!i", len(body) + 4) + body, limit)
        asked = False
        while True:
            kind, payload = _postgresql_message(sock, limit)
            seen.answered = True
            if kind == b"E":
                _postgresql_refused(payload, spec, seen)
                return
            if kind == b"R" and payload[:4] != b"\0\0\0\0":
                seen.status = "accepting"
                return
            if kind == b"Z":
                if asked:
                    seen.status = "ready"
                    _send(sock, b"X\0\0\0\4", limit)
                    return
                _send(sock, b"Q\0\0\0\x0dSELECT 1\0", limit)
                asked = True
    finally:
        sock.close()


def _postgresql_message(sock, limit):
    kind, length = struct.unpack("!ci", _receive_exactly(sock, limit, 5))
    if kind not in b"RSKZENTDCIAv" or not 4 <= length <= BODY_LIMIT:
        raise _Failed("the answer is not PostgreSQL", "protocol")
    return kind, _receive_exactly(sock, limit, length - 4)


def _postgresql_refused(payload, spec, seen):
    fields = {field[:1]: field[1:].decode("utf-8", "replace") for field in payload.split(b"\0") if field}
    code, text = fields.get(b"C", ""), fields.get(b"M", "it refuses the connection")
    seen.status = code
    if code == "57P03":
        raise _Failed(f"it does not accept connections yet: {text}", "starting")
    if code == "53300":
        raise _Failed(f"all its connections are in use: {text}", "exhausted")
    if code[:2] == "28" or (code == "3D000" and not spec["database"]):
        seen.status = "accepting"
        return
    raise _Failed(_excerpt(text), "status")


# --- mysql -------------------------------------------------------------------------------------------------------

# Too many connections; the host has no account; the server is going down.
_MYSQL_EXHAUSTED, _MYSQL_NO_ACCOUNT, _MYSQL_STOPPING = 1040, 1130, 1053


def _try_mysql(spec, limit, seen):
    """Read the greeting of a MariaDB or MySQL server: it accepts connections, or says why not."""
    sock = _connect(limit, spec["host"], spec["port"], spec["path"])
    try:
        length = int.from_bytes(_receive_exactly(sock, limit, 4)[:3], "little")
        if not 1 <= length <= BODY_LIMIT:
            raise _Failed("the answer is not MariaDB or MySQL", "protocol")
        greeting = _receive_exactly(sock, limit, length)
        if greeting[0] not in (10, 255):
            raise _Failed("the answer is not MariaDB or MySQL", "protocol")
        seen.answered = True
        if greeting[0] == 255:
            _mysql_refused(greeting[1:], seen)
        seen.status = "accepting"
    finally:
        sock.close()


def _mysql_refused(payload, seen):
    seen.status = code = int.from_bytes(payload[:2], "little")
    text = re.sub(r"^#.{5}", "", payload[2:].decode("utf-8", "replace"))
    if code == _MYSQL_EXHAUSTED:
        raise _Failed(f"all its connections are in use: {_excerpt(text)}", "exhausted")
    if code == _MYSQL_STOPPING:
        raise _Failed(f"it does not accept connections: {_excerpt(text)}", "starting")
    if code != _MYSQL_NO_ACCOUNT:
        raise _Failed(_excerpt(text), "status")


# --- command -----------------------------------------------------------------------------------------------------


def _try_command(spec, limit, seen):
    import select
    import signal
    import subprocess

    try:
        process = subprocess.Popen(
            spec["command"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise _Failed(
            f"{spec['command'][0]}: " + ("no such program" if missing else _words(error, limit)[0]), "missing"
        ) from None
    output = b""
    pipe = process.stdout.fileno()
    try:
        while True:
            ended = process.poll() is not None
            if select.select([pipe], [], [], 0 if ended else min(0.1, limit.left()))[0]:
                chunk = os.read(pipe, 65536)
                output = (output + chunk)[:BODY_LIMIT]
                if chunk:
                    continue
                process.wait(limit.left())
                ended = True
            if ended:
                break
    except (_Failed, subprocess.TimeoutExpired):
        raise limit.late("end") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        seen.body = output.decode("utf-8", "replace")
    seen.answered = True
    seen.status = process.returncode
    if process.returncode < 0:
        raise _Failed(f"ended by signal {-process.returncode}: {_excerpt(seen.body)}".rstrip(": "), "status")
    if not status_matches(process.returncode, spec["status"]):
        wanted = ", ".join(str(item) for item in spec["status"])
        raise _Failed(
            f"exit status {process.returncode}, expected {wanted}: {_excerpt(seen.body)}".rstrip(": "), "status"
        )
    if spec["body_regex"] and not re.search(spec["body_regex"], seen.body):
        raise _Failed(
            f"its output does not match {spec['body_regex']!r}: {_excerpt(seen.body) or 'it is empty'}", "content"
        )


_TRIES = {
    "http": _try_http,
    "websocket": _try_http,
    "tcp": _try_stream,
    "unix": _try_stream,
    "redis": _try_redis,
    "postgresql": _try_postgresql,
    "mysql": _try_mysql,
    "command": _try_command,
}


# --- many tries --------------------------------------------------------------------------------------------------


def run(spec, clock=time, check=check_once):
    """Try until `healthy_threshold` successes in a row, `unhealthy_threshold` failures in a row, or the deadline.

    `deadline` counts from the end of `start_delay`; at least one try is made. `clock` has monotonic() and sleep().
    """
    spec = normalise(spec)
    if spec["start_delay"]:
        clock.sleep(spec["start_delay"])
    started = clock.monotonic()
    results, reasons = [], []
    consecutive = 0
    while True:
        at = clock.monotonic() - started
        left = max(spec["deadline"] - at, 0.25)
        result = check({**spec, "timeout": min(spec["timeout"], left)})
        consecutive = consecutive + 1 if results and results[-1]["healthy"] == result["healthy"] else 1
        event = _event(
            round(at * 1000), result["healthy"], result["status"], result["latency_ms"]["last"], result["reasons"]
        )
        results.append({**result, "event": event})
        reasons += [reason for reason in result["reasons"] if reason not in reasons]
        if result["healthy"] and consecutive >= spec["healthy_threshold"]:
            break
        if not result["healthy"] and 0 < spec["unhealthy_threshold"] <= consecutive:
            break
        if clock.monotonic() - started + spec["interval"] >= spec["deadline"]:
            break
        clock.sleep(spec["interval"])
    last = results[-1]
    healthy = last["healthy"] and consecutive >= spec["healthy_threshold"]
    if last["healthy"] and not healthy:
        reasons.append(f"{consecutive} of {spec['healthy_threshold']} successes in a row when the time was up")
    latencies = sorted(result["latency_ms"]["last"] for result in results if result["latency_ms"]["last"] is not None)
    summary = {key: value for key, value in last.items() if key != "event"}
    summary.update(
        healthy=healthy,
        attempts=len(results),
        consecutive=consecutive,
        latency_ms={
            "min": latencies[0] if latencies else None,
            "p50": latencies[len(latencies) // 2] if latencies else None,
            "max": latencies[-1] if latencies else None,
            "last": last["latency_ms"]["last"],
        },
        reasons=[] if healthy else reasons[-HISTORY:],
        history=[result["event"] for result in results[-HISTORY:]],
    )
    return summary


def explain(result):
    """Why a result is not healthy, in one line."""
    target = "" if result["name"] == result["target"] else f" ({result['target']})"
    tries = f"{result['attempts']} attempt{'s' if result['attempts'] > 1 else ''}"
    return f"{result['name']}{target} is not healthy after {tries}: {'; '.join(result['reasons'])}"


def run_all(specs, clock=time, workers=64):
    """`run` for every specification, at the same time; results in the order given."""
    specs = [normalise(spec) for spec in specs]
    if len(specs) < 2:
        return [run(spec, clock) for spec in specs]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(workers, len(specs))) as pool:
        return list(pool.map(lambda spec: run(spec, clock), specs))
