# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stranger on the network: a network namespace of its own on the host, over a pair of interfaces."""

from __future__ import annotations

import contextlib

NAME = "mainstay-stranger"
HOST, HOST_IPV6 = "198.51.100.1", "2001:db8:f::1"


@contextlib.contextmanager
def stranger(host):
    """The host's side is HOST, the stranger's 198.51.100.2 and 2001:db8:f::2; gives a function that runs a command there."""
    host.check_output(
        f"ip netns add {NAME} && ip link add mainstay-in type veth peer name mainstay-out netns {NAME}"
        " && sysctl --quiet --write net.ipv6.conf.mainstay-in.disable_ipv6=0"
        f" && ip address add {HOST}/24 dev mainstay-in && ip address add {HOST_IPV6}/64 dev mainstay-in nodad"
        f" && ip link set mainstay-in up && ip -n {NAME} address add 198.51.100.2/24 dev mainstay-out"
        f" && ip netns exec {NAME} sysctl --quiet --write net.ipv6.conf.mainstay-out.disable_ipv6=0"
        f" && ip -n {NAME} address add 2001:db8:f::2/64 dev mainstay-out nodad && ip -n {NAME} link set mainstay-out up"
    )
    try:
        yield lambda command: host.run(f"ip netns exec {NAME} {command}")
    finally:
        host.check_output(f"ip link delete mainstay-in; ip netns delete {NAME}")
