# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets on the control node: one file each, ``<directory>/<app>/<NAME>.txt``, made once, and replaced on request.

All names end in ``.txt``: the directory may lie in an inventory directory, where Ansible reads other files as inventories and
would take a secret for the name of a host.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tarfile
import tempfile

from ansible_collections.mainstay.vps.plugins.module_utils.stack.routes import login_secret, logins

# 64 bytes as the guides ask; their text is 86 characters of A-Z a-z 0-9 _ - and needs no quoting in a URL or a file.
RANDOM_BYTES = 64
# Of a password that people are asked for: 24 characters, which nobody guesses either.
PEOPLE_S_BYTES = 18
# The folder of secrets that are no app's: the name is reserved.
OWN = "mainstay"


def names(app):
    """Every secret one app has: its own and the passwords of the services it uses."""
    result = list(app["secrets"])
    if app["database"] != "none":
        result.append("DATABASE_PASSWORD")
    result += [f"REDIS_{instance.upper()}_PASSWORD" for instance in app["redis"]]
    return result + [login_secret(user) for user in logins(app)]


def default_directory(variables):
    return os.path.join(variables.get("inventory_dir") or os.getcwd(), "secrets")


def path(directory, app, name):
    return os.path.join(directory, app, f"{name}.txt")


def previous(file):
    """Where the secret before this one is kept."""
    return f"{file.removesuffix('.txt')}.previous.txt"


def marker(file):
    """What stands as long as a new secret has not been deployed."""
    return f"{file.removesuffix('.txt')}.rotating.txt"


def fresh(file):
    """A new secret for a file."""
    return secrets.token_urlsafe(PEOPLE_S_BYTES if os.path.basename(file).startswith(login_secret("")) else RANDOM_BYTES)


def read(loader, file):
    return str(loader.get_text_file_contents(file)).strip()


def _encrypted(loader, secret):
    vault = loader._vault
    if not getattr(vault, "secrets", None):
        return secret
    return vault.encrypt(secret).decode()


def _write(folder, text):
    """A new file in a folder, readable by its owner only and on the disk; its path."""
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".txt", delete=False) as file:  # created with mode 0600
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return file.name


def create(loader, file, secret):
    """Write a new secret so that it is whole or absent, also when two hosts ask at the same moment: the first one wins."""
    folder = os.path.dirname(file)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    temporary = _write(folder, _encrypted(loader, secret) + "\n")
    try:
        os.link(temporary, file)
    except FileExistsError:
        secret = read(loader, file)
    finally:
        os.unlink(temporary)
    return secret


def is_rotating(file):
    """Whether a new secret was made and not deployed yet. One whose making was cut off does not count: the old one stands."""
    before = previous(file)
    return os.path.exists(marker(file)) and os.path.exists(before) and not os.path.samefile(before, file)


def rotate(loader, file):
    """Put a new secret in the place of the old one, which is kept; cut off at any point, one of the two is in place.

    As long as the new one is not deployed it is not replaced: what the hosts have would be lost.
    """
    if is_rotating(file):
        return False
    folder = os.path.dirname(file)
    new = _write(folder, _encrypted(loader, fresh(file)) + "\n")
    second_name = f"{new.removesuffix('.txt')}.old.txt"
    try:
        os.link(file, second_name)
        os.replace(_write(folder, "A new secret is being deployed; rotate.yml completes it.\n"), marker(file))
        os.replace(second_name, previous(file))
        os.replace(new, file)
    finally:
        for left in (new, second_name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(left)
    return True


def complete(file):
    """The new secret serves; whether that is news."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(marker(file))
        return True
    return False


def exposed(directory, files):
    """{missing, open}: the files that are not there, and those, with their folders, that others than their owner may read."""
    folders = {directory, *(os.path.dirname(file) for file in files)}
    found = {place: os.stat(place).st_mode & 0o7777 for place in (*files, *folders) if os.path.exists(place)}
    return {
        "missing": [file for file in files if file not in found],
        "open": {
            place: f"{mode:04o}"
            for place, mode in found.items()
            # The folder of all of them may be seen by others as long as they find nothing in it to read.
            if mode & (0o022 if place == directory else 0o077)
        },
    }


def packed(directory):
    """The whole folder as a tar archive, in memory."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(directory, arcname="secrets")
    return archive.getvalue()
