# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of nginx, and the memory it may take with them."""

from __future__ import annotations

from .figures import Figure, clamp, divide_up, least, power_of_two, steps
from .rules_host import WORKER_CONNECTIONS_GUIDE, WORKER_CONNECTIONS_SHARE_MB
from .rules_processes import CONNECTIONS_PER_USER, in_flight, max_websockets

# Measured on nginx 1.22: 5 MB private for master and two workers with 4096 connections each, before anybody comes.
NGINX_MASTER_MB = 3
NGINX_WORKER_MB = 2
NGINX_WORKERS = 16
# The share each worker beyond the first is worth.
NGINX_SHARE_MB = 128
# One connection and its two events (ngx_connection_t, ngx_event_t).
NGINX_CONNECTION_BYTES = 424
# A client's connection with its TLS state, 14 kB idle and 26 with 8 kB of headers (measured on nginx 1.22, private memory of the
# workers); its socket comes on top.
NGINX_CLIENT_KB = 24
# The same where it asks for much and reads nothing, or sends nothing more: buffers of headers and answers, and the kernel's (measured with
# 1340 such clients: 115 MB, which the unit is charged with). Nobody holds that for long, so it is not in the sum: see nginx_limit.
NGINX_HELD_KB = 88
# A reload's new workers run beside those that still serve.
NGINX_SETS = 2
# What is held beyond all people's connections, twice: by monitors, crawlers, and those who mean harm.
NGINX_STRANGERS = 1024
# The guide's 4096 is the floor from a share on for which the memory of as many clients is small.
WORKER_CONNECTIONS = (2048, 65536)
# One address, or one IPv6 network of a customer, has this part of the connections: twenty of them together do not close a site.
# With HTTP/2 a browser holds one or two, so an office behind one address has room for some dozens of people.
NGINX_SOURCES = 20
CONNECTIONS_PER_SOURCE = (64, 4096)
# A proxied client is two connections: its own and the one to the app.
CONNECTIONS_PER_CLIENT = 2
# Logs, temporary and static files, and two descriptors for a proxied request.
RLIMIT_PER_CONNECTION = 2
RLIMIT_BASE = 1024
KEEPALIVE = (16, 64)


def nginx(users, cpus, share):
    wanted = power_of_two(users * CONNECTIONS_PER_USER * CONNECTIONS_PER_CLIENT)
    least_connections, most_connections = WORKER_CONNECTIONS
    if share >= WORKER_CONNECTIONS_SHARE_MB:
        least_connections = WORKER_CONNECTIONS_GUIDE
    connections = clamp(
        wanted,
        least_connections,
        most_connections,
        f"users {users} x {CONNECTIONS_PER_USER} x {CONNECTIONS_PER_CLIENT}, next power of two",
    )
    workers = least(
        cpus=(cpus, "{}", cpus),
        nginx=(NGINX_WORKERS, "at most {}", NGINX_WORKERS),
        memory=steps(share, NGINX_SHARE_MB),
    )
    people = 2 * users * CONNECTIONS_PER_USER
    clients = least(
        slots=(
            workers * connections // CONNECTIONS_PER_CLIENT,
            "workers {} x worker_connections {} / {}",
            int(workers),
            int(connections),
            CONNECTIONS_PER_CLIENT,
        ),
        people=(people + NGINX_STRANGERS, "2 x users {} x {} + {}", users, CONNECTIONS_PER_USER, NGINX_STRANGERS),
    )
    return {
        "connections_per_source": clamp(clients // NGINX_SOURCES, *CONNECTIONS_PER_SOURCE, f"max_clients {int(clients)} / {NGINX_SOURCES}"),
        "keepalive_connections": clamp(
            divide_up(in_flight(users), workers),
            *KEEPALIVE,
            f"requests at once {in_flight(users)} / workers {int(workers)}",
        ),
        "keepalive_requests": Figure(1000, "nginx' default"),
        "keepalive_timeout_s": Figure(20, "idle clients give their slot back (h5bp)"),
        "max_clients": clients,
        "max_websockets": max_websockets(users),
        "worker_connections": connections,
        "worker_processes": workers,
        "worker_rlimit_nofile": Figure(
            RLIMIT_PER_CONNECTION * connections + RLIMIT_BASE,
            "{} x worker_connections {} + {}",
            RLIMIT_PER_CONNECTION,
            int(connections),
            RLIMIT_BASE,
        ),
    }


def nginx_memory(settings):
    slots = divide_up(settings["worker_connections"] * NGINX_CONNECTION_BYTES, 1024 * 1024)
    clients = divide_up(settings["max_clients"] * NGINX_CLIENT_KB, 1024)
    return Figure(
        NGINX_MASTER_MB + NGINX_SETS * settings["worker_processes"] * (NGINX_WORKER_MB + slots) + clients,
        "master {} + {} x workers {} x ({} + connection slots {}) + clients {} x {} kB",
        NGINX_MASTER_MB,
        NGINX_SETS,
        int(settings["worker_processes"]),
        NGINX_WORKER_MB,
        slots,
        int(settings["max_clients"]),
        NGINX_CLIENT_KB,
    )


def nginx_limit(settings, part):
    """MemoryMax of its unit: more than its part by what clients who mean harm hold for a while, out of the host's reserve. Workers that the
    kernel kills take other people's connections with them, and leave theirs counted where connections are limited."""
    held = divide_up(settings["max_clients"] * (NGINX_HELD_KB - NGINX_CLIENT_KB), 1024)
    return Figure(
        part + held,
        "its part {} + clients {} x {} kB that slow ones hold, out of the reserve",
        int(part),
        int(settings["max_clients"]),
        NGINX_HELD_KB - NGINX_CLIENT_KB,
    )
