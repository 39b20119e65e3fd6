# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real ansible prints of a report, by the result formats that people have."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

LINES = ["web1: 2048 MB", "  open      22/tcp sshd, " + "443/tcp nginx, " * 12, "  \"yes\": 'no'", "  ", "an app says \x1b[2J"]
ONE = "shop: 0c1d2e3f4a5b -> 3f9a1c20d4be succeeded in 14.2 s " + "(build 6.1, migrate 0.8) " * 4


@pytest.mark.parametrize(
    ("result_format", "lines", "printed"),
    [
        ("yaml", LINES, ["web1: 2048 MB", LINES[1].rstrip(), LINES[2], "", r"an app says \x1b[2J"]),
        ("yaml", [ONE], [ONE.rstrip()]),
        ("json", LINES, ['"web1: 2048 MB",', f'"{LINES[1].rstrip()}",', r""""  \"yes\": 'no'",""", '"",', r'"an app says \\x1b[2J"']),
    ],
)
def test_each_line_of_a_report_is_a_line_on_the_screen(result_format, lines, printed, tmp_path):
    play = tmp_path / "play.yml"
    play.write_text("- {hosts: localhost, gather_facts: false, tasks: [{debug: {msg: '{{ lines | mainstay.vps.as_printed }}'}}]}\n")
    run = subprocess.run(
        ["ansible-playbook", str(play), "-e", json.dumps({"lines": lines})],
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": result_format, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    message = run.stdout.splitlines()
    start = next(number for number, line in enumerate(message) if lines[0][:4] in line)
    margin = len(message[start]) - len(message[start].lstrip())
    assert [line[margin:] for line in message[start : start + len(printed)]] == printed
