# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where alerts go: each channel checked and completed, before a host is touched. Their URLs hold tokens, so no refusal shows one."""

from __future__ import annotations

import re

from ..text import MASK
from .refusal import integer, mapping, one_of, refuse, text_of, texts_of, unlike

KINDS = {
    "webhook": ("webhook",),
    "ntfy": ("ntfy", "token"),
    "email": ("email", "from", "host", "port", "tls", "username", "password"),
    "apprise": ("apprise",),
}
# What a URL may consist of: a client refuses the rest with an error that shows the whole.
URL = re.compile(r"https?://[!-.0-~][!-~]*")
# Of any service that apprise knows; a line of its configuration that is none would be an order to it, such as "include".
SERVICE = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+")
ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
HOST = re.compile(r"[A-Za-z0-9.:-]+")
TLS = ("starttls", "tls", "none")


def alert_channels(value, where="monitoring_alerts"):
    """The channels in their normal form: ``[{kind, …}, …]``.

    :raises DeclarationError: the first thing that cannot work.
    """
    if isinstance(value, (str, dict)) or not hasattr(value, "__iter__"):
        refuse(where, MASK, "write a list such as [{webhook: https://…}]")
    return [_channel(item, f"{where}[{index}]") for index, item in enumerate(value)]


def ping_settings(url, interval=300, where="monitoring_ping_url"):
    """Where the dead man's switch calls, ``{url, interval}``; empty where nobody waits for it.

    :raises DeclarationError: the first thing that cannot work.
    """
    if url in (None, ""):
        return {}
    if not isinstance(url, str) or not URL.fullmatch(url) or "#" in url:
        refuse(where, MASK, "write a URL such as https://hc-ping.com/… as the service shows it")
    return {"url": url, "interval": integer(interval, "monitoring_ping_interval", 60, 86400)}


def _channel(item, where):
    kinds = [kind for kind in KINDS if isinstance(item, dict) and kind in item]
    if len(kinds) != 1:
        refuse(where, MASK, f"name exactly one of {', '.join(KINDS)}")
    kind = kinds[0]
    for key in item:
        if key not in KINDS[kind]:
            known = f"known keys are {', '.join(KINDS[kind])}"
            refuse(f"{where}.{key}", MASK, unlike(key, KINDS[kind], f"there is no such key; {known}"))
    if kind == "email":
        return _email(item, where)
    if kind == "apprise":
        return _apprise(item["apprise"], f"{where}.apprise")
    if not isinstance(item[kind], str) or not URL.fullmatch(item[kind]):
        refuse(f"{where}.{kind}", MASK, "write a URL that begins with https:// or http://")
    return {"kind": kind, "url": item[kind], **({"token": _secret(item["token"], f"{where}.token")} if item.get("token") else {})}


def _email(item, where):
    mapping({key: item[key] for key in item if key != "password"}, where, required=("email", "from", "host"))
    if bool(item.get("username")) != bool(item.get("password")):
        refuse(f"{where}.username", item.get("username"), "give username and password, or neither")
    addresses = texts_of(item["email"], f"{where}.email")
    remedy = "write an address such as ops@example.com"
    return {
        "kind": "email",
        "to": [text_of(address, f"{where}.email[{index}]", ADDRESS, remedy) for index, address in enumerate(addresses)],
        "from": text_of(item["from"], f"{where}.from", ADDRESS, remedy),
        "host": text_of(item["host"], f"{where}.host", HOST, "name the mail server, such as smtp.example.com"),
        "port": integer(item.get("port", 587), f"{where}.port", 1, 65535),
        "tls": one_of(item.get("tls", "starttls"), f"{where}.tls", TLS),
        **({"username": item["username"], "password": _secret(item["password"], f"{where}.password")} if item.get("username") else {}),
    }


def _apprise(value, where):
    urls = [value] if isinstance(value, str) else value
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) and SERVICE.fullmatch(url) for url in urls):
        refuse(where, MASK, "write the URL of a service as apprise's documentation shows it, such as tgram://TOKEN/CHAT, or a list of them")
    return {"kind": "apprise", "urls": urls}


def _secret(value, where):
    if not isinstance(value, str) or not value or "\n" in value:
        refuse(where, MASK, "write one line")
    return value
