# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a folder on the control node stays there: what is confidential, what its owner ignores, and the inventory.

A folder that an app is deployed from may hold all that its operator works with. Whatever gets into a release can be read by the
app, and by whoever breaks into it.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase

from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import ReleaseError
from ansible_collections.mainstay.vps.plugins.module_utils.text import read

IGNORE_FILE = ".mainstayignore"
# Keys, logins and settings of the control node. A file that shows what belongs into another one is none of them.
CONFIDENTIAL = re.compile(
    r"(^|/)(\.env(\.(?!example$|sample$|template$|dist$)[^/]*)?|\.envrc|\.netrc|\.pgpass|\.pypirc|\.my\.cnf|\.vault[-_]pass[^/]*|vault[-_]pass[^/]*"
    r"|\.ssh|\.gnupg|\.aws|\.kube|\.docker/config\.json|id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.tfstate[^/]*)(/|$)"
)
# As the lookup mainstay.vps.secrets keeps them: secrets/<app>/<NAME>.txt.
SECRETS = re.compile(r"(?P<folder>(^|.*/))secrets/[^/]+/([A-Z][A-Z0-9_]*|auth-[a-z0-9_-]+)(\.[a-z]+)*\.txt")
VAULT = b"$ANSIBLE_VAULT;"


def inventory_places(variables):
    """The files and folders on the control node that make up the inventory of this run."""
    places = []
    for source in [*variables.get("ansible_inventory_sources", ()), variables.get("inventory_dir")]:
        if source and os.path.isdir(source):
            folder, names = source, ("", "group_vars", "host_vars", "secrets")
        elif source and os.path.isfile(source):
            folder, names = os.path.dirname(source), (os.path.basename(source), "group_vars", "host_vars", "secrets")
        else:
            continue
        # A folder as such is an inventory only where it was named as one: a file may stand anywhere, beside the app, too.
        is_named = source in variables.get("ansible_inventory_sources", ())
        places += [os.path.join(folder, name).rstrip("/") for name in names if name or is_named]
    return sorted({os.path.realpath(place) for place in places if os.path.exists(place)})


def said(root, name):
    """The text of a file of a source. A link may lead out of it, to what has no end or waits for somebody, such as /dev/zero."""
    path = os.path.realpath(os.path.join(root, name))
    return read(path) if os.path.isfile(path) and path.startswith(os.path.join(os.path.realpath(root), "")) else ""


def patterns(root):
    """``(ignored, wanted)``, as the owner of a folder says in its own file, a pattern in a line. One after ``!`` is of what goes into a
    release although it looks confidential."""
    lines = [line.strip() for line in said(root, IGNORE_FILE).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    for line in lines:
        if "**" in line:
            raise ReleaseError(f"{IGNORE_FILE}: {line!r} cannot be used. Write names such as *.log, or paths such as deploy/.")
    return [line for line in lines if line[0] != "!"], [line[1:] for line in lines if line[0] == "!"]


def _fits(name, pattern):
    """A pattern with a slash within begins at the root of the folder; one without fits at any depth. All below a folder goes with it."""
    parts = name.split("/")
    words = pattern.strip("/").split("/")
    starts = range(len(parts)) if len(words) == 1 and not pattern.startswith("/") else (0,)
    for start in starts:
        found = parts[start : start + len(words)]
        is_folder = start + len(words) < len(parts)
        if len(found) == len(words) and all(map(fnmatchcase, found, words)) and (is_folder or not pattern.endswith("/")):
            return True
    return False


def sort_out(root, names, places):
    """``(names, left out)``: what may go into a release, and what is confidential and stays; refuses the inventory of this run."""
    ignored, wanted = patterns(root)
    names = [name for name in sorted(names, key=os.fsencode) if not any(_fits(name, pattern) for pattern in ignored)]
    suspects = [name for name in names if not any(_fits(name, pattern) for pattern in wanted)]
    stays = {name: found for name in suspects if (found := _confidential(root, name))}
    # Inventories that keep secrets, whether of this run or not.
    inventories = {match["folder"] for name in names if (match := SECRETS.fullmatch(name))}
    stays.update({name: folder for name in names for folder in inventories if folder and name.startswith(folder)})
    kept = [name for name in names if name not in stays]
    for name in kept:
        path = os.path.realpath(os.path.join(root, os.path.dirname(name)))
        path = os.path.join(path, os.path.basename(name))
        if any(path == place or path.startswith(f"{place}/") for place in places):
            raise ReleaseError(
                f"source.path: {root!r} cannot be used. It contains the inventory of this run ({name}), which knows more than the app may. "
                f"Move one of them, or name what belongs to the inventory in {os.path.join(root, IGNORE_FILE)}, such as "
                f"{name.split('/')[0]}{'/' if '/' in name else ''}"
            )
    return kept, sorted(set(stays.values()))


def _confidential(root, name):
    """What stays behind with a name, as it is told; None where the name may go."""
    if match := CONFIDENTIAL.search(name):
        return name[: match.end()]
    if match := SECRETS.fullmatch(name):
        return f"{match['folder']}secrets/"
    path = os.path.join(root, name)
    if not os.path.islink(path):
        with open(path, "rb") as file:
            if file.read(len(VAULT)) == VAULT:
                return name
    return None
