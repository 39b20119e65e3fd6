# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The password is made on the control node where a way back is asked for, and nowhere else: who reads the defaults of the role asks for none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

DEFAULTS = Path(__file__).parents[3] / "roles/postgresql/defaults/main.yml"


@pytest.mark.parametrize(("repository", "made"), [("", []), ("/mnt/pitr", ["PITR_PASSWORD.txt"])])
def test_it_is_made_where_somebody_asks_for_it(repository, made, tmp_path):
    (tmp_path / "hosts").write_text("localhost ansible_connection=local\n")
    task = {"debug": {"msg": "{{ postgresql_pitr_password | length }}"}}
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": [str(DEFAULTS)], "tasks": [task]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    subprocess.run(
        ["ansible-playbook", "-i", tmp_path / "hosts", tmp_path / "play.yml", "-e", f"postgresql_pitr_repository={repository}"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert [path.name for path in tmp_path.rglob("PITR_*")] == made
