# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe as it is declared: its keys, their defaults, what is refused, and what of it is secret."""

from __future__ import annotations

import re

from ..text import MASK, printable, without

KINDS = ("http", "websocket", "tcp", "unix", "quic", "redis", "postgresql", "mysql", "command")
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
    "unit": None,
    "any_address": False,
}
DEFAULT_STATUS = {"http": ["2xx"], "websocket": [101], "command": [0]}
DEFAULT_PORT = {"redis": 6379, "postgresql": 5432, "mysql": 3306}
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"}


class ProbeError(ValueError):
    """The specification cannot be used; the message says what to change."""


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
            full["url"] = f"http://{bracketed(full['host'])}:{full['port']}/"
        split_url(full["url"])
        if full["connect_to"]:
            split_address(full["connect_to"], 0)
    if kind in ("tcp", "quic") and full["port"] is None:
        raise ProbeError(f"kind {kind} needs port")
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
        status_range(item)
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
        full["name"] = target(full)
    return full


def target(spec):
    """What is asked, without anything secret in it."""
    kind = spec["kind"]
    if kind in ("http", "websocket"):
        return re.sub(
            r"([?&][^=&#]*(?:pass|token|key|secret|sig)[^=&#]*=)[^&#]*",
            r"\1" + MASK,
            without_login(spec["url"]),
            flags=re.IGNORECASE,
        )
    if kind == "command":
        return spec["command"][0]
    return spec["path"] or f"{bracketed(spec['host'])}:{spec['port']}"


def secrets(spec):
    """The values in a specification that must not be shown: password, credentials in headers and in the URL."""
    headers = spec.get("headers") or {}
    values = [str(value).strip() for name, value in headers.items() if name.lower() in SECRET_HEADERS]
    values += [value.split(None, 1)[1] for value in values if " " in value]
    url = spec.get("url") or ""
    values += [spec.get("password") or "", login(url)[1], basic(url)]
    return {value for value in values if len(value) >= 3}


def masker(spec):
    """A function that makes any text fit to be shown: without the secrets of this specification, and without what a terminal obeys."""
    hidden = secrets(spec)
    return lambda text: printable(without(hidden, text))


# --- connecting --------------------------------------------------------------------------------------------------


def bracketed(host):
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def split_address(text, default_port):
    """`127.0.0.1:443`, `[::1]:443`, `::1` or `localhost` as (host, port)."""
    match = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+)(?::(\d+))?|(.*:.*:.*)", text)
    if not match:
        raise ProbeError(f"connect_to is {text!r}; use address, address:port or [IPv6 address]:port")
    host = match[1] or match[3] or match[5]
    return host, int(match[2] or match[4] or default_port)


# --- http, websocket ---------------------------------------------------------------------------------------------


def split_url(url):
    from urllib.parse import urlsplit

    if re.search(r"[\x00-\x20\x7f]", url):
        raise ProbeError(f"url {without_login(url)!r} contains a blank or control character; encode it, a blank is %20")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ProbeError(f"url {url!r} cannot be read: {error}") from None
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ProbeError(f"url {without_login(url)!r} cannot be used; it begins with http://, https://, ws:// or wss:// and a host")
    secure = parts.scheme in ("https", "wss")
    return parts, secure, port or (443 if secure else 80)


def without_login(url):
    return re.sub(r"(?<=//)[^/?#]*@", "", url)


def login(url):
    """User and password in a URL, or two empty texts."""
    match = re.match(r"[a-z]+://([^/@?#:]*)(?::([^/?#]*))?@", url)
    return (match[1], match[2] or "") if match else ("", "")


def basic(url):
    """The user and password in a URL as HTTP sends them, or an empty text."""
    user, password = login(url)
    if not user:
        return ""
    import base64
    from urllib.parse import unquote

    return base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


def status_range(item):
    """`200`, "2xx" or "301-302" as lowest and highest status."""
    text = str(item).strip().lower()
    match = re.fullmatch(r"(\d)xx|(\d{1,3})(?:-(\d{1,3}))?", text)
    if not match:
        raise ProbeError(f"status {item!r} cannot be read; use 200, 2xx or 301-302")
    if match[1]:
        return int(match[1]) * 100, int(match[1]) * 100 + 99
    return int(match[2]), int(match[3] or match[2])
