# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real sockets of this machine."""

from __future__ import annotations

import socket
import threading
from types import SimpleNamespace

import pytest
from ansible.playbook.task import Task
from ansible_collections.mainstay.vps.plugins.action.reachable import ActionModule


@pytest.fixture
def ask():
    def ask(**args):
        task = Task()
        task.args, task.check_mode, task.async_val = args, False, 0
        return ActionModule(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), SimpleNamespace(), None, None, None).run(
            task_vars={}
        )

    return ask


def test_what_can_be_connected_to_is_reachable(ask):
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = ask(address="127.0.0.1", ports=[server.getsockname()[1]])
    assert not found.get("failed") and found["unreachable_ports"] == []


def test_what_refuses_is_named_with_its_reason(ask):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        found = ask(address="127.0.0.1", ports=[server.getsockname()[1], port], timeout=1)
    assert found["failed"] and found["unreachable_ports"] == [port]
    assert f"127.0.0.1 {port}/tcp is open on the host and the control node cannot connect to it: connection refused" in found["msg"]


def test_what_is_to_be_closed_and_answers_is_named(ask):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        found = ask(address="127.0.0.1", ports=[], closed=[port, closed.getsockname()[1]])
    assert found["failed"] and found["open_ports"] == [port] and not found["unreachable_ports"]
    assert f"127.0.0.1 {port}/tcp answers the control node" in found["msg"] and "--tags firewall" in found["msg"]


@pytest.fixture
def udp():
    """A server of one answer, in place of nginx 1.26.3 with HTTP/3, whose own was recorded: a server sends the names of both sides back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer(tail):
            def serve():
                asked, client = server.recvfrom(2000)
                here, there = asked[6:14], asked[15:23]
                server.sendto(bytes.fromhex("c00000000008") + there + b"\x08" + here + tail, client)
                assert len(asked) == 1200

            threading.Thread(target=serve, daemon=True).start()
            return server.getsockname()[1]

        yield answer


def test_a_server_of_http3_names_its_versions(ask, udp):
    found = ask(address="127.0.0.1", ports=[], quic=[udp(bytes.fromhex("00000001"))])
    assert not found.get("failed") and found["unreachable_ports"] == []


def test_a_udp_port_from_which_nothing_comes_is_named(ask):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        found = ask(address="127.0.0.1", ports=[], quic=[port], timeout=1)
    assert found["failed"] and found["unreachable_ports"] == [port]
    assert f"127.0.0.1 {port}/udp is open on the host" in found["msg"] and "provider's firewall" in found["msg"]


def test_a_queue_that_takes_nobody_looks_like_something_that_drops(ask):
    """The kernel does not answer where the queue of a listener is full, as a firewall that drops does."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        found = ask(address="127.0.0.1", ports=[full.getsockname()[1]], timeout=1)
    assert found["failed"] and "provider's firewall" in found["msg"]
