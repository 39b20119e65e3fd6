#!/usr/bin/env python3
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write each role's README.md from its argument specification, its defaults and its play in examples/roles.yml, which the scenario
molecule/roles runs; with --check only say which are stale."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
MADE = "Made from `meta/argument_specs.yml` and `examples/roles.yml` by `scripts/role_readme.py`."
MARKUP = re.compile(r"\b[BCEILMOPRUV]+\(([^)#]*)(?:#\w+)?\)")


def text(value):
    """A description as Markdown: Ansible's C(x), M(x), P(x#filter) become code."""
    paragraphs = [value] if isinstance(value, str) else value
    return " ".join(MARKUP.sub(r"`\1`", " ".join(paragraph.split())) for paragraph in paragraphs)


def default_of(name, defaults):
    value = defaults.get(name)
    shown = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...").strip()
    return "derived" if isinstance(value, str) and "{{" in value else f"`{shown}`".replace("|", "\\|")


def suboptions(options, depth=0):
    for name, option in options.items():
        required = ", required" if option.get("required") else ""
        yield f"{'  ' * depth}- `{name}` ({option.get('type', 'str')}{required}): {text(option['description'])}"
        yield from suboptions(option.get("options", {}), depth + 1)


def example(role):
    """The play with the role in examples/roles.yml, as it stands there."""
    plays = re.split(r"\n(?=- name: )", (ROOT / "examples/roles.yml").read_text())[1:]
    return next(play.strip().replace("hosts: examples", "hosts: all") for play in plays if f"mainstay.vps.{role.name}\n" in play)


def readme(role):
    spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    lines = [f"# mainstay.vps.{role.name}", "", text(spec.get("description", spec["short_description"])), ""]
    lines += ["## Variables", "", "| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, option in spec["options"].items():
        meaning = text(option["description"]).replace("|", "\\|")
        if option.get("choices"):
            meaning += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        lines.append(f"| `{name}` | {option.get('type', 'str')} | {default_of(name, defaults)} | {meaning} |")
    for name, option in spec["options"].items():
        if option.get("options"):
            lines += ["", f"### Entries of `{name}`", "", *suboptions(option["options"])]
    lines += ["", "## Alone in a playbook of your own", "", "```yaml", *example(role).splitlines(), "```", "", MADE, ""]
    return "\n".join(lines)


def main():
    stale = []
    for role in sorted(path.parent.parent for path in ROOT.glob("roles/*/meta/argument_specs.yml")):
        file, content = role / "README.md", readme(role)
        if not file.exists() or file.read_text() != content:
            stale.append(str(file.relative_to(ROOT)))
            if "--check" not in sys.argv:
                file.write_text(content)
    print("\n".join(stale) if stale else "every role's README.md is up to date")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
