# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of certificates on a host: what it shows, and how a pair of certificate and key is put to use in one step.

``<name>.crt`` and ``<name>.key`` lead through the link ``<name>.pair`` to a folder below ``.pairs``: one link changes both.
"""

from __future__ import annotations

import glob
import os
import shutil

LINEAGES = "/etc/letsencrypt/live/*/fullchain.pem"


def shown(directory, lineages=LINEAGES):
    """{path: {target}} of what is in the directory and leads somewhere, and of certbot's certificates: as the snapshot's paths have it."""
    found = {path: {"target": None} for path in glob.glob(lineages) if os.path.exists(path)}
    if os.path.isdir(directory):
        for entry in os.scandir(directory):
            if os.path.exists(entry.path):
                found[entry.path] = {"target": os.readlink(entry.path) if entry.is_symlink() else None}
    return found


def point(path, target):
    """Make path a link to target, in one step."""
    if not (os.path.islink(path) and os.readlink(path) == target):
        fresh = f"{path}.new"
        if os.path.lexists(fresh):
            os.unlink(fresh)
        os.symlink(target, fresh)
        os.replace(fresh, path)


def put_to_use(directory, name, folder):
    """Lead the name's links to the pair in ``folder``, which is relative to the directory, and remove its former pairs."""
    point(os.path.join(directory, f"{name}.pair"), folder)
    for kind in ("crt", "key"):
        point(os.path.join(directory, f"{name}.{kind}"), f"{name}.pair/{kind}")
    pairs = os.path.join(directory, ".pairs")
    for entry in os.listdir(pairs):
        if entry.rsplit(".", 2)[0] == name and f".pairs/{entry}" != folder:
            shutil.rmtree(os.path.join(pairs, entry))


def link_pair(directory, name, folder, certificate, key):
    """Make ``folder`` a pair that leads to two files elsewhere, and put it to use."""
    final = os.path.join(directory, folder)
    os.makedirs(final, mode=0o755, exist_ok=True)
    point(os.path.join(final, "crt"), certificate)
    point(os.path.join(final, "key"), key)
    put_to_use(directory, name, folder)
