# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the lab that site.yml has made, for the scripts that measure and prove; and the circumstances that a result is worth nothing without."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAB = [sys.executable, str(ROOT / "scripts/lab")]
TIERS = ("proxy", "backend", "database", "cache")
EXAMPLE = ROOT / "molecule/shared/group_vars"


def lab(*arguments):
    """What scripts/lab prints."""
    return subprocess.run([*LAB, *arguments], check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def provision(name, folder, *, user="root", tiers=TIERS, group_vars=EXAMPLE, variables=None):
    """Run site.yml on a host that is up, with an inventory of its own in ``folder``; returns that inventory.

    :param group_vars: folder of variables, the example's by default; None where ``folder`` has its own.
    :param variables: what goes before all of them. It is kept in a file, for later runs against the same inventory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inventory, log, extra = folder / "hosts.yml", folder / "site.log", folder / "extra.json"
    inventory.write_text(lab("inventory", name, "--user", user, *(f"--child={tier}" for tier in tiers)))
    if group_vars:
        (folder / "group_vars").unlink(missing_ok=True)
        (folder / "group_vars").symlink_to(group_vars)
    extra.write_text(json.dumps(variables or {}))
    with log.open("w") as output:
        command = ["ansible-playbook", "-i", str(inventory), "playbooks/site.yml", "-e", f"@{extra}"]
        if subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False).returncode:
            raise SystemExit(f"site.yml failed on {name}, see {log}")
    return inventory


def circumstances(**machine):
    """When, at which commit and on what something was measured."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip(),
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), **machine},
    }
