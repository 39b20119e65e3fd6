# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ApacheBench, run on the host it asks."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from urllib.parse import urlsplit

from ..text import printable, read
from . import load


def run(options):
    """What the load on a site has shown; ValueError where it came to no end.

    :param options: those of the module http_load.
    """
    with own_names(urlsplit(options["url"]).hostname) as beginning:
        return _run(beginning, options)


def _run(beginning, options):
    asked = {key: options[key] for key in ("keep_alive", "timeout", "headers")}
    if options["warmup"] > 0:
        _ab(
            [*beginning, *load.command(options["url"], options["warmup"], min(options["warmup"], options["concurrency"]), **asked)], options
        )
    before = read("/proc/stat")
    statuses, text = _ab([*beginning, *load.command(options["url"], options["requests"], options["concurrency"], **asked)], options)
    busy = load.busy(before, read("/proc/stat"))
    return {**load.parse(text, statuses), "keep_alive": options["keep_alive"], "cpu_percent": busy}


def _ab(words, options):
    """What ApacheBench has told; of the answers that it shows on its way nothing is kept but their statuses."""
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=complaints, env={**os.environ, "LC_ALL": "C"})
        late = threading.Timer(options["deadline"], process.kill)
        late.start()
        try:
            found = load.read_output(iter(lambda: process.stdout.readline(65536), b""))
            status = process.wait()
        finally:
            is_late = not late.is_alive()
            late.cancel()
            process.stdout.close()
        if status != 0:
            if is_late:
                raise ValueError(f"the load did not come to its end within {options['deadline']} s; send fewer requests, or raise deadline")
            complaints.seek(0)
            said = complaints.read(4096).decode("utf-8", "replace").strip().splitlines()
            raise ValueError(f"ab failed: {printable(said[0])[:200] if said else f'exit status {status}'}")
    return found


def _leads_here(name):
    with contextlib.suppress(OSError):
        # ab takes the first address; every one of them has to be the host's own.
        return all(item[4][0].startswith("127.") or item[4][0] == "::1" for item in socket.getaddrinfo(name, None))
    return False


@contextlib.contextmanager
def own_names(name):
    """The beginning of a command for which a name leads to 127.0.0.1: it sees a file of hosts of its own, and no other host is asked."""
    if _leads_here(name):
        yield []
        return
    if os.geteuid() != 0:
        raise ValueError(f"{name} does not lead to 127.0.0.1; only root can ask this host under that name. Run the task with become: true")
    with tempfile.NamedTemporaryFile("w", prefix="hosts-") as hosts:
        hosts.write(f"127.0.0.1 localhost {name}\n")
        hosts.flush()
        os.chmod(hosts.name, 0o644)
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        yield ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, hosts.name]
