# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that an app says moves a terminal, wherever it is told."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import processes
from ansible_collections.mainstay.vps.plugins.module_utils.probe import declared
from ansible_collections.mainstay.vps.plugins.module_utils.text import mask, printable
from fixture_host import Host

TITLE = "\x1b]0;owned\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ümläut, 日本\tand\nlines", "plain, ümläut, 日本\tand\nlines"),
        (TITLE, "\\x1b]0;owned\\x07"),
        ("100 %\rdone", "100 %\\x0ddone"),
        ("\x9b2J\x7f\x00", "\\x9b2J\\x7f\\x00"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "say",
    [
        declared.masker({"headers": {"Authorization": "Bearer abcdef"}}),
        lambda text: processes.mask_command(["python3", text]),
        lambda text: mask(text, ["secret"]),
    ],
    ids=["of a probe", "of a process", "of a build and of a journal"],
)
def test_every_way_of_an_app_s_words_is_closed(say):
    assert "\\x1b" in say(TITLE) and "\x1b" not in say(TITLE)


def test_the_name_of_a_process_is_its_own_choice_too(tmp_path):
    host = Host(str(tmp_path))
    host.process(7, "a\x1b[2J")
    assert processes.process(7, host.proc).name == "a\\x1b[2J"
