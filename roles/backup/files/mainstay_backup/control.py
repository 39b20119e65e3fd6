# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets of the control node, which only pass through: from standard input to restic's, in no file and on no command line."""

from __future__ import annotations

import hashlib

from .settings import BackupError

FILE = "secrets.tar"
DIGEST = 64  # characters of the line before the archive
LARGEST = 16 << 20


def keep(restic, stream):
    """An archive whose checksum is the line before it, into the repository as it is; its snapshot.

    :raises BackupError: when it is not whole, before anything is kept.
    """
    told, archive = stream.readline(DIGEST + 1).strip().decode(errors="replace"), stream.read(LARGEST + 1)
    if len(archive) > LARGEST:
        raise BackupError(f"the folder of the secrets is larger than {LARGEST >> 20} MB: something else is in it")
    if hashlib.sha256(archive).hexdigest() != told:
        raise BackupError("what the control node sent has not come whole; run it again")
    restic.open()
    return restic.keep_bytes(archive, FILE, ("secrets",))
