# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sites of this host, asked as a visitor does: prints {url: what was found} as JSON. A program of its own, as what speaks TLS is larger
than the agent."""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

# What an app answers is its own affair. These two are nginx's words.
NOBODY = {502: "nginx answers 502: it reaches no process behind it", 504: "nginx answers 504: no process behind it has ended its answer"}
ANY = ["100-599"]
PORTS = {"http": 80, "https": 443}
TIMEOUT = 10
AT_ONCE = 8


def visit(url):
    """Of ``https://NAME`` the certificate that is served there, of a page of it what keeps visitors out."""
    name, slash, _path = url.partition("://")[2].partition("/")
    return _wrong(url) if slash else _certificate(name)


def _wrong(url):
    """In words; nothing where the page answers.

    Who waits for an answer is not kept out: how long nginx and the processes take is what they are asked for themselves.
    """
    from .core.probe.once import check_once

    seen = check_once(
        {
            "url": url,
            "headers": {"User-Agent": "mainstay"},
            "connect_to": f"127.0.0.1:{PORTS[url.partition('://')[0]]}",
            "validate_certs": False,
            "status": ANY,
            "timeout": TIMEOUT,
        }
    )
    return NOBODY.get(seen["status"]) or ("" if seen["cause"] == "timeout" else "; ".join(seen["reasons"]))


def _certificate(name):
    """[from, until, whether it is for the name], or None."""
    from .core.probe.tls import is_for, served, validity

    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        found = served(name)[0]
        return [*validity(found), is_for(found, name)]
    return None


def main(argv=()):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        print(json.dumps(dict(zip(argv, pool.map(visit, argv)))))
    return 0
