# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords that nginx asks for: what it is given of each is a hash, the same at every run."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

from ..stack.apps import normalise
from ..stack.refusal import DeclarationError
from ..stack.routes import demanded, login_secret
from ..text import MASK

# The fewest that crypt(3) knows. nginx computes them at every request, with a worker that serves nobody else meanwhile; what makes a password
# hard to guess is its length.
ROUNDS = 1000
SHORTEST = 12
ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def sha512_crypt(password, salt, rounds=ROUNDS):
    """SHA-512 of crypt(3), as the C libraries of all supported hosts know it; Python has none of its own from 3.13 on."""
    key, pinch = password.encode(), salt.encode()

    def sha(*parts):
        return hashlib.sha512(b"".join(parts)).digest()

    def as_long_as(digest, length):
        return (digest * (length // len(digest) + 1))[:length]

    other = sha(key, pinch, key)
    mixed, bits = [key, pinch, as_long_as(other, len(key))], len(key)
    while bits:
        mixed.append(other if bits & 1 else key)
        bits >>= 1
    digest = sha(*mixed)
    long_key = as_long_as(sha(key * len(key)), len(key))
    long_pinch = as_long_as(sha(pinch * (16 + digest[0])), len(pinch))
    for number in range(rounds):
        odd = number % 2
        digest = sha(
            long_key if odd else digest,
            long_pinch if number % 3 else b"",
            long_key if number % 7 else b"",
            digest if odd else long_key,
        )
    first, second, third, text = 0, 21, 42, ""
    for _group in range(21):
        text += _six_bits(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
        first, second, third = second + 1, third + 1, first + 1
    return f"$6$rounds={rounds}${salt}${text}{_six_bits(digest[63], 2)}"


def _six_bits(number, characters):
    return "".join(ALPHABET[number >> 6 * place & 63] for place in range(characters))


def password_of(app, secrets, user):
    """The password of somebody who may see sites of an app."""
    name = login_secret(user)
    password = secrets.get(app["name"], {}).get(name)
    where = f"secrets/{app['name']}/{name}.txt"
    if not password:
        raise DeclarationError(where, "nothing", "The site asks for this password; let mainstay make it (mainstay_secrets).")
    if len(password) < SHORTEST:
        raise DeclarationError(where, MASK, f"Write at least {SHORTEST} characters, or delete the file, and the next run makes a password.")
    return password


def password_hash(app, secrets, user):
    """What nginx keeps. The salt is of the names alone: derived from the password it would let guesses be tried without the rounds."""
    salt = hashlib.sha256(f"mainstay {app['name']}/{user}".encode()).hexdigest()[:16]
    return sha512_crypt(password_of(app, secrets, user), salt)


def file_name(site, path=""):
    """The name of the file of a site or of one of its routes; no two have the same."""
    return f"{site['name']}{quote(path, safe='')}"


def nginx_password_files(apps, secrets):
    """The users of each site and route that asks for a password, with the hashes of their passwords."""
    return [
        {"name": file_name(site, path), "users": {user: password_hash(app, secrets, user) for user in users}}
        for app in normalise(apps).values()
        for site in app["sites"].values()
        for path, users in {"": site["auth"], **{path: route.get("auth") for path, route in site["routes"].items()}}.items()
        if users
    ]


def authorization(app, site, route, secrets):
    """The header by which a probe passes a route that asks for a password; none where it asks for none."""
    users = demanded(site, route)
    if not users:
        return {}
    login = f"{users[0]}:{password_of(app, secrets, users[0])}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
