# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of the example shop that tests deploy, and the visitor who never stops while they do."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time

import yaml
from plays import ROOT, play

CLIENT = ROOT / "tests/load/steady.py"
DRAIN = 4
# Requests a second: of 50, as `make prove` sends them, the app alone takes half of what two cores can do.
RATE = os.environ.get("MAINSTAY_RATE", "15")


class Shop:
    """A copy of the example whose releases the tests change."""

    def __init__(self, folder):
        self.folder = folder / "shop"
        shutil.copytree(ROOT / "examples/shop", self.folder)
        self.declared = yaml.safe_load((ROOT / "inventory.example/group_vars/all.yml").read_text())["mainstay_apps"]
        self.declared["shop"]["source"] = {"path": str(self.folder)}
        self.declared["shop"]["processes"]["web"]["drain"] = DRAIN
        self.number = 0

    def change(self):
        """A new release: one file differs."""
        self.number += 1
        (self.folder / "shop/static/release.txt").write_text(f"{self.number} {time.time()}\n")

    def deploy(self, playbook="playbooks/deploy.yml", **variables):
        return play(playbook, variables={"mainstay_apps": self.declared, **variables})

    @contextlib.contextmanager
    def broken(self, file, text):
        """A release in which a file has another content, or more of it."""
        path = self.folder / file
        before = path.read_text() if path.exists() else None
        path.write_text(text if "…" not in text else before + text.replace("…", ""))
        try:
            yield
        finally:
            path.unlink() if before is None else path.write_text(before)


class Visit:
    """The visitor, from the first request to the end of the context."""

    def __init__(self, host):
        self.host, self.found = host, None
        encoded = CLIENT.read_bytes().hex()
        host.check_output(f"python3 -c \"open('/run/steady.py', 'wb').write(bytes.fromhex('{encoded}'))\"")

    def __enter__(self):
        self.host.check_output("rm -f /run/steady.json")
        self.host.check_output(
            "systemd-run --quiet --collect --unit=steady --property=StandardOutput=file:/run/steady.json "
            f"python3 /run/steady.py --rate {RATE} --seconds 3000 --sample 3000"
        )
        time.sleep(2)
        return self

    def __exit__(self, *_error):
        self.host.run("systemctl kill --signal=TERM steady.service")
        # It reads all its orders back, and is not to be found by the next visit.
        self.host.run(
            "timeout 240 sh -c 'while systemctl is-active --quiet steady.service; do sleep 0.2; done' || systemctl stop steady.service"
        )
        self.found = json.loads(self.host.file("/run/steady.json").content_string)


def assert_unharmed(found):
    assert (found["failed"], found["lost"]) == (0, []), found
    assert found["requests"] > 50, found
