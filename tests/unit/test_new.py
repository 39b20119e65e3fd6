# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/new.yml as it is called, without a host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def new(tmp_path):
    """Run the playbook in an empty folder, where there is no inventory."""

    def run(**variables):
        play = Path(sys.executable).with_name("ansible-playbook")
        extra = [word for name, value in variables.items() for word in ("-e", f"mainstay_{name}={value}")]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"}
        argv = [str(play), str(ROOT / "playbooks/new.yml"), *extra]
        done = subprocess.run(argv, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_without_a_file_it_is_printed_and_nothing_is_written(new, tmp_path):
    status, output = new(source=ROOT / "examples/guestbook", app="guests")
    assert status == 0 and "changed=0" in output
    printed = re.search(r"msg: \|-\n(.*?)\n\n", output, re.DOTALL)[1]
    assert yaml.safe_load(textwrap.dedent(printed))["mainstay_apps"]["guests"]["database"] == "mariadb"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_once_and_never_over_another(new, tmp_path):
    (tmp_path / "group_vars").mkdir()
    file, call = tmp_path / "group_vars/all.yml", {"source": ROOT / "examples/chat", "app_file": "group_vars/all.yml"}
    status, output = new(**call)
    assert status == 0 and "changed=1" in output
    written = file.read_text()
    assert yaml.safe_load(written)["mainstay_apps"]["chat"]["migrate"] == "node migrate.js"
    status, output = new(**call)
    assert status == 0 and "changed=0" in output
    file.write_text("mine: true\n")
    status, output = new(**call)
    assert status != 0 and "nothing is written over it" in " ".join(output.split()) and file.read_text() == "mine: true\n"
