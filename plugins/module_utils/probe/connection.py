# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One try of a probe: its time, its sockets, what it has learned, and answers of TCP and Unix sockets."""

from __future__ import annotations

import re
import socket
import time

BODY_LIMIT = 64 * 1024


class Failed(Exception):
    """This try failed: a reason in plain words and a word for machines."""

    def __init__(self, reason, cause):
        super().__init__(reason)
        self.reason = reason
        self.cause = cause


class Seen:
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


class Limit:
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
        return Failed(f"no {what} within {self}", "timeout")

    def __str__(self):
        return f"{round(self.seconds, 1):g} s"


def in_words(error, limit):
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


def resolve(host, port, limit):
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
        raise Failed(f"the name {host} was not resolved within {limit}", "dns")
    if not answer[0]:
        raise Failed(f"the name {host} does not resolve", "dns")
    return [(family, address) for family, _type, _protocol, _name, address in answer[0]]


def connect(limit, host=None, port=None, path=None):
    """A connected socket, over the first address that accepts."""
    targets = [(socket.AF_UNIX, path)] if path else resolve(host, port, limit)
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
            failure = Failed(*in_words(error, limit))
        if sock is not None:
            sock.close()
    raise failure


def send(sock, data, limit):
    sock.settimeout(limit.left())
    sock.sendall(data)


def receive(sock, limit, size=4096):
    sock.settimeout(limit.left())
    return sock.recv(size)


def receive_exactly(sock, limit, size):
    data = b""
    while len(data) < size:
        chunk = receive(sock, limit, size - len(data))
        if not chunk:
            raise Failed("connection closed without an answer", "closed")
        data += chunk
    return data


def try_stream(spec, limit, seen):
    """The port or socket accepts; with `send` or `body_regex` it also says what it should."""
    path = spec["path"] if spec["kind"] == "unix" else None
    sock = connect(limit, spec["host"], spec["port"], path)
    try:
        seen.answered = True
        seen.status = "open"
        if spec["send"]:
            send(sock, spec["send"].encode(), limit)
        if spec["body_regex"]:
            _read_until_match(sock, spec["body_regex"], limit, seen)
    finally:
        sock.close()


def _read_until_match(sock, pattern, limit, seen):
    data = b""
    late = None
    while len(data) < BODY_LIMIT:
        try:
            chunk = receive(sock, limit)
        except (TimeoutError, Failed):
            late = f" within {limit}"
            break
        data += chunk
        seen.body = data.decode("utf-8", "replace")
        if not chunk or re.search(pattern, seen.body):
            break
    if not re.search(pattern, seen.body):
        seen.object(f"what it says does not match {pattern!r}{late or ''}: {excerpt(seen.body) or 'nothing'}", "content")


class BoundedSocket:
    """What http.client needs of a socket, with one time limit for all of it."""

    def __init__(self, sock, limit):
        self.sock = sock
        self.limit = limit

    def sendall(self, data):
        send(self.sock, data, self.limit)

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


def excerpt(text, length=160):
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
