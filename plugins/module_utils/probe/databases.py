# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of Redis, PostgreSQL and MySQL in their own protocols."""

from __future__ import annotations

import os
import re
import struct

from .connection import BODY_LIMIT, Failed, connect, excerpt, receive, receive_exactly, send

_REDIS = {
    "LOADING": ("it is still loading its data", "starting"),
    "NOAUTH": ("it wants a password and none was given", "auth"),
    "WRONGPASS": ("it refuses the password", "auth"),
    "MASTERDOWN": ("it has lost its primary", "degraded"),
    "BUSY": ("a script keeps it busy, and it refuses all else; SCRIPT KILL or a restart ends that", "degraded"),
    "MISCONF": ("it cannot save to disk and refuses writes", "degraded"),
}


def try_redis(spec, limit, seen):
    sock = connect(limit, spec["host"], spec["port"], spec["path"])
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
    data = b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(w), w) for w in (word.encode() for word in words))])
    send(sock, data, limit)
    reply = b""
    while not reply.endswith(b"\r\n"):
        chunk = receive(sock, limit)
        if not chunk:
            raise Failed("connection closed without an answer", "closed")
        reply += chunk
        if len(reply) > 4096 or reply[:1] not in (b"+", b"-", b":"):
            raise Failed("the answer is not Redis", "protocol")
    seen.answered = True
    return reply.decode("utf-8", "replace").strip()


def _redis_refused(reply, seen):
    text = reply[1:]
    seen.status = text.split(" ", 1)[0]
    reason, cause = _REDIS.get(seen.status, (f"it answers: {excerpt(text)}", "status"))
    raise Failed(reason, cause)


# --- postgresql --------------------------------------------------------------------------------------------------


def try_postgresql(spec, limit, seen):
    """Start a session as far as the server allows without a password: it accepts connections, or says why not.

    Where it lets us in (peer or trust), it must also answer a query.
    """
    path = spec["path"]
    if path and os.path.isdir(path):
        path = os.path.join(path, f".s.PGSQL.{spec['port']}")
    sock = connect(limit, spec["host"], spec["port"], path)
    try:
        user = spec["username"] or "postgres"
        words = ["user", user, "database", spec["database"] or user, "application_name", "mainstay-probe"]
        body = struct.pack("!i", 196608) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
        send(sock, struct.pack("!i", len(body) + 4) + body, limit)
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
                    send(sock, b"X\0\0\0\4", limit)
                    return
                send(sock, b"Q\0\0\0\x0dSELECT 1\0", limit)
                asked = True
    finally:
        sock.close()


def _postgresql_message(sock, limit):
    kind, length = struct.unpack("!ci", receive_exactly(sock, limit, 5))
    if kind not in b"RSKZENTDCIAv" or not 4 <= length <= BODY_LIMIT:
        raise Failed("the answer is not PostgreSQL", "protocol")
    return kind, receive_exactly(sock, limit, length - 4)


def _postgresql_refused(payload, spec, seen):
    fields = {field[:1]: field[1:].decode("utf-8", "replace") for field in payload.split(b"\0") if field}
    code, text = fields.get(b"C", ""), fields.get(b"M", "it refuses the connection")
    seen.status = code
    if code == "57P03":
        raise Failed(f"it does not accept connections yet: {text}", "starting")
    if code == "53300":
        raise Failed(f"all its connections are in use: {text}", "exhausted")
    if code[:2] == "28" or (code == "3D000" and not spec["database"]):
        seen.status = "accepting"
        return
    raise Failed(excerpt(text), "status")


# --- mysql -------------------------------------------------------------------------------------------------------

# Too many connections; the host has no account; the server is going down.
_MYSQL_EXHAUSTED, _MYSQL_NO_ACCOUNT, _MYSQL_STOPPING = 1040, 1130, 1053


def try_mysql(spec, limit, seen):
    """Read the greeting of a MariaDB or MySQL server: it accepts connections, or says why not."""
    sock = connect(limit, spec["host"], spec["port"], spec["path"])
    try:
        length = int.from_bytes(receive_exactly(sock, limit, 4)[:3], "little")
        if not 1 <= length <= BODY_LIMIT:
            raise Failed("the answer is not MariaDB or MySQL", "protocol")
        greeting = receive_exactly(sock, limit, length)
        if greeting[0] not in (10, 255):
            raise Failed("the answer is not MariaDB or MySQL", "protocol")
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
        raise Failed(f"all its connections are in use: {excerpt(text)}", "exhausted")
    if code == _MYSQL_STOPPING:
        raise Failed(f"it does not accept connections: {excerpt(text)}", "starting")
    if code != _MYSQL_NO_ACCOUNT:
        raise Failed(excerpt(text), "status")
