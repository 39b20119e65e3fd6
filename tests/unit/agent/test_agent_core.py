# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of plugins/module_utils/ is copied to a host is whole. The other tests of the agent have all of it at hand, a host has these files alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT / "plugins/module_utils"
PROGRAMS = ROOT / "roles/monitoring/files/mainstay"
# As the role has it: a list of patterns within an expression.
COPIED = yaml.safe_load((ROOT / "roles/monitoring/vars/main.yml").read_text())["__monitoring_core"]
CORE = {path.relative_to(SHARED).as_posix() for pattern in re.findall(r"'([\w/*]+\.py)'", COPIED) for path in SHARED.glob(pattern)}


def imported(path, package):
    """Files below a folder that a file of a package imports from it, by relative names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = package[: len(package) - node.level + 1]
            module = [*above, *(node.module.split(".") if node.module else [])]
            yield from ("/".join([*module, name.name]) for name in node.names)
            yield "/".join(module)


def missing(files):
    """What of the core is imported and not copied, of files with the package that each lies in."""
    asked = {name for path, package in files for name in imported(path, package)}
    modules = {name.removeprefix("core/") + ".py" for name in asked if name.startswith("core/")}
    return sorted(name for name in modules if (SHARED / name).is_file() and name not in CORE)


def test_what_the_copied_files_import_is_copied():
    assert len(CORE) > 20 and {"stack/sandbox.py", "text.py"} <= CORE
    assert missing((SHARED / name, ["core", *name.split("/")[:-1]]) for name in CORE) == []


def test_what_the_agent_s_programs_import_is_copied():
    assert missing((path, list(path.relative_to(PROGRAMS).parts[:-1])) for path in PROGRAMS.rglob("*.py")) == []
