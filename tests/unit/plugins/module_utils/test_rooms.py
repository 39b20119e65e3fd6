# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of ``module_utils`` stand on floors, as docs/architecture.md draws them: what imports, stands above what it imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils import text

ROOMS = Path(text.__file__).parent
# From the ground up. Rooms of one floor know nothing of each other, and text.py is the ground.
FLOORS = [{""}, {"stack", "host", "probe"}, {"plan", "files"}, {"derive", "release"}, {"deploy", "verify"}, {"draft"}]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(file.relative_to(ROOMS).with_suffix("") for file in ROOMS.rglob("*.py"))


def _imports(file):
    """The files of ``module_utils`` that one of them imports, at its head or within a function."""
    found = set()
    for node in ast.walk(ast.parse((ROOMS / file).with_suffix(".py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [file.parent, *file.parent.parents][node.level - 1].joinpath(*(node.module or "").split("."))
            found |= {base / alias.name for alias in node.names if base / alias.name in FILES} or {base}
    return found


def test_every_room_has_a_floor_and_no_other():
    assert {file.parent.as_posix().replace(".", "") for file in FILES} == set(FLOOR_OF)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_arrow_leads_up_or_across(file):
    own = file.parent.as_posix().replace(".", "")
    for target in _imports(file):
        room = target.parent.as_posix().replace(".", "")
        assert target in FILES and (room == own or FLOOR_OF[room] < FLOOR_OF[own]), f"{file} imports {target}"


def test_no_files_import_each_other():
    open_, done = [], set()

    def visit(file):
        assert file not in open_, f"{' -> '.join(map(str, open_))} -> {file}"
        if file not in done:
            open_.append(file)
            for target in _imports(file):
                visit(target)
            open_.remove(file)
            done.add(file)

    for file in FILES:
        visit(file)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_what_runs_on_a_host_needs_no_ansible(file):
    names = {
        name
        for node in ast.walk(ast.parse((ROOMS / file).with_suffix(".py").read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert not {name for name in names if name.startswith("ansible")}
