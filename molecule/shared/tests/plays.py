# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook against the scenario's host from within a test, as a user would at the prompt."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]

# molecule asks for colours where it is called at a prompt.
PLAIN = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"}


def only_on(scenario, reason):
    """Mark what one release of Debian is enough for in `make test`; with MAINSTAY_PROVE all of them run it."""
    elsewhere = os.environ.get("MOLECULE_SCENARIO_NAME", scenario) != scenario and not os.environ.get("MAINSTAY_PROVE")
    return pytest.mark.skipif(elsewhere, reason=f"{reason}; it runs in molecule-{scenario}")


def play(playbook, *arguments, variables=None):
    """The finished ``ansible-playbook`` run; ``variables`` go in as extra variables."""
    extra = ["-e", json.dumps(variables)] if variables is not None else []
    return subprocess.run(
        ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(ROOT / playbook), *arguments, *extra],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **PLAIN},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def declared(scenario="node"):
    """The apps of a scenario, to be changed and given to :func:`play` as a variable."""
    apps = yaml.safe_load((ROOT / f"molecule/{scenario}/group_vars/all/stack.yml").read_text())["mainstay_apps"]
    for app in apps.values():
        app["source"]["path"] = str(ROOT / app["source"]["path"].removeprefix("../"))
    return apps


def words(run):
    """What a run printed, with every run of white space as one blank, so that line breaks do not matter."""
    return " ".join((run.stdout + run.stderr).split())


def changes(run):
    """How many tasks the recap counts as changed, over all hosts."""
    return sum(int(count) for count in re.findall(r"changed=(\d+)", run.stdout))
