# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a change of files is shown: as Ansible prints it, without what nobody may see."""

from __future__ import annotations

import collections
import fnmatch
import grp
import pwd
import stat

from .changes import KINDS, name_of
from .nodes import read

DIFF_LIMIT = 104_448


def diff_of(change):
    """The difference of one path in the form Ansible prints; of a sensitive file only that there is one."""
    path, before, after = change.path, change.before, change.after
    items = []
    if "file" in (before.kind, after.kind):
        # Nobody declared a purged file sensitive; its own mode says who may read it.
        hidden = change.sensitive or (after.kind == "absent" and not before.mode & stat.S_IROTH)
        texts = _hidden_diff(change) if hidden else _text_diff(change)
    else:
        texts = {"before": _describe(before), "after": _describe(after)}
    if texts.get("before", 0) != texts.get("after", 1):
        items.append({"before_header": path, "after_header": path, **texts})
    if before.kind == after.kind and _attributes(before) != _attributes(after):
        header = f"{path} (attributes)"
        items.append(
            {
                "before_header": header,
                "after_header": header,
                "before": _attributes(before),
                "after": _attributes(after),
            }
        )
    return items


def brief_diff(changes, patterns):
    """For each pattern a line that says how many of its files change; what nobody reads at every run, such as the lines of a program."""
    items = []
    for pattern in patterns:
        counts = collections.Counter(
            "new" if change.before.kind == "absent" else "gone" if change.after.kind == "absent" else "changed"
            for change in changes
            if fnmatch.fnmatchcase(change.path, pattern)
        )
        told = ", ".join(f"{counts[what]} {what}" for what in ("new", "changed", "gone") if counts[what])
        items += [{"prepared": f"{pattern}: {told}; -v shows the lines\n"}] if told else []
    return items


def _describe(node):
    return "" if node.kind == "absent" else f"{KINDS[node.kind]}{' to ' + node.target if node.target else ''}\n"


def _attributes(node):
    mode = "" if node.kind == "link" else f"mode: {node.mode:04o}\n"
    return f"{mode}owner: {name_of(node.uid, pwd.getpwuid)}\ngroup: {name_of(node.gid, grp.getgrgid)}\n"


def _data(change, node):
    return read(change.path) if node.content is None else node.content


def _hidden_diff(change):
    def text(node, side):
        return f"(content hidden, {side} the change)\n" if node.kind == "file" else _describe(node)

    if change.before.kind == change.after.kind and _data(change, change.before) == _data(change, change.after):
        return {"before": "", "after": ""}
    return {"before": text(change.before, "before"), "after": text(change.after, "after")}


def _text_diff(change):
    texts = {}
    for side, name, node in (("before", "dst", change.before), ("after", "src", change.after)):
        if node.kind != "file":
            texts[side] = _describe(node)
            continue
        data = _data(change, node)
        if len(data) > DIFF_LIMIT:
            texts[f"{name}_larger"] = DIFF_LIMIT
        elif b"\0" in data:
            texts[f"{name}_binary"] = 1
        else:
            texts[side] = data.decode("utf-8", "replace")
    return texts
