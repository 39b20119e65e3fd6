# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose folder a path lies in, and how root acts there: with his rights alone.

It uses the standard library only, as ``nodes`` and ``journal`` do beside each other: the host keeps a copy of the three for its recovery.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat


class TransactionError(Exception):
    """The set could not be changed; the message says why, and what is left to do."""


def stranger(path):
    """The user, as (uid, gid), who could put something else in the place of a path: the first owner on the way there who is
    neither root nor this user. None where there is no such owner.

    Raises :class:`TransactionError` for a link on the way that is somebody else's: it may lead anywhere.
    """
    trusted = (0, os.geteuid())
    left, place, hops = [part for part in os.fspath(path).split("/")[:-1] if part], "/", 0
    while left:
        place = os.path.join(place, left.pop(0))
        try:
            info = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(info.st_mode):
            hops += 1
            if info.st_uid not in trusted or hops > 40:
                raise TransactionError(f"{path}: {place} is a link of somebody else's. Name the place it is to lead to.")
            target = os.readlink(place)
            left = [part for part in target.split("/") if part] + left
            place = "/" if target.startswith("/") else os.path.dirname(place)
        elif info.st_uid not in trusted:
            return info.st_uid, info.st_gid
    return None


@contextlib.contextmanager
def as_owner_of(path):
    """Act on a path as the user whose folder it lies in: then whatever he puts in its place is reached with his rights only."""
    owner = stranger(path) if os.geteuid() == 0 else None
    if owner is None:
        yield
        return
    uid, gid = owner
    groups = os.getgroups()
    os.setgroups(_groups_of(uid, gid))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _groups_of(uid, gid):
    with contextlib.suppress(KeyError):
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    return [gid]
