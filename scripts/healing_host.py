# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that scripts/prove_healing breaks: scripts/faults.py on it, one question at a time, and somebody outside who visits its site."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time

from hosts import LAB, ROOT

VISIT_EVERY = 0.2


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Host:
    """scripts/faults.py on the host, one question at a time."""

    def __init__(self, name):
        self.name = name
        target = "/usr/local/lib/mainstay-faults.py"
        subprocess.run([*LAB, "ssh", name, f"cat > {target}"], input=(ROOT / "scripts/faults.py").read_text(), text=True, check=True)
        self.process = subprocess.Popen(
            [*LAB, "ssh", name, f"python3 -u {target}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def do(self, what, **arguments):
        self.process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} does not answer to {what} {arguments}")
        return json.loads(line)

    def sh(self, command, check=True):
        done = self.do("shell", command=command)
        if check and done["code"]:
            raise RuntimeError(f"{command}: {done['err'] or done['out']}")
        return done["out"].strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Site(http.client.HTTPSConnection):
    """The site at an address that is not in its name."""

    def connect(self):
        trusting = ssl._create_unverified_context()  # the certificate is its own
        self.sock = trusting.wrap_socket(socket.create_connection((self.host, 443), self.timeout), server_hostname="localhost")


class Visitor(threading.Thread):
    """Somebody outside who asks the site five times a second, by nginx."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.requests, self.failed, self.running = address, 0, [], True

    def run(self):
        while self.running:
            began = time.time()
            connection = Site(self.address, timeout=5)
            try:
                connection.request("GET", "/health", headers={"Host": "localhost"})
                well = connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                well = False
            finally:
                connection.close()
            self.requests += 1
            if not well:
                self.failed.append(began)
            time.sleep(max(0, VISIT_EVERY - (time.time() - began)))

    def between(self, start, end):
        return sum(start <= moment <= end for moment in self.failed)


def stamp(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
