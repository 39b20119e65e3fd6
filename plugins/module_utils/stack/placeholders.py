# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables hold a secret, and which values are none: placeholders of sample files, and what is easy to guess."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

MIN_LENGTH = 16
MIN_DIFFERENT = 6
REMEDY = 'Give a random one, such as python3 -c "import secrets; print(secrets.token_urlsafe(64))" prints it.'

_SECRET_WORD = re.compile(r"(?:[A-Z0-9]*(?:SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN)S?|(?:API|ACCESS|PRIVATE|MASTER|AUTH|JWT)?KEYS?)")
# What a setting about a secret ends with; and what is in the name of a key that everybody may see, or of a limit.
_SETTING = frozenset(
    [
        "AGE",
        "ALGORITHM",
        "ALGORITHMS",
        "COUNT",
        "DAYS",
        "DIR",
        "ENABLED",
        "ENDPOINT",
        "EXPIRE",
        "EXPIRES",
        "EXPIRY",
        "FILE",
        "FILES",
        "FORMAT",
        "HEADER",
        "HOURS",
        "ID",
        "LENGTH",
        "LIFETIME",
        "LIMIT",
        "MAX",
        "MIN",
        "MINUTES",
        "NAME",
        "PATH",
        "PREFIX",
        "REQUIRED",
        "ROTATION",
        "SECONDS",
        "SIZE",
        "TIMEOUT",
        "TTL",
        "TYPE",
        "URL",
    ]
)
_ELSEWHERE = frozenset(("PUBLIC", "PUBLISHABLE", "MAX", "MIN"))


def is_secret(name):
    """Whether a variable of that name holds a secret: *SECRET*, *PASSWORD*, *TOKEN*, *KEY*, but no setting about one."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).upper().split("_")
    if words[-1] in _SETTING or _ELSEWHERE & set(words):
        return False
    return any(_SECRET_WORD.fullmatch(word) for word in words)


# A text that is made of these words alone, with or without something between them, says what belongs there.
_WORDS = [
    "a",
    "access",
    "add",
    "admin",
    "an",
    "api",
    "app",
    "at",
    "auth",
    "bar",
    "base",
    "change",
    "chars",
    "characters",
    "data",
    "default",
    "demo",
    "dev",
    "django",
    "domain",
    "dummy",
    "edit",
    "enter",
    "example",
    "fill",
    "fixme",
    "flask",
    "foo",
    "for",
    "generate",
    "generated",
    "here",
    "hidden",
    "in",
    "insecure",
    "insert",
    "is",
    "it",
    "jwt",
    "key",
    "least",
    "letmein",
    "long",
    "me",
    "min",
    "my",
    "name",
    "new",
    "nil",
    "none",
    "null",
    "of",
    "only",
    "own",
    "pass",
    "passwd",
    "password",
    "passphrase",
    "phrase",
    "placeholder",
    "please",
    "private",
    "prod",
    "production",
    "put",
    "qwerty",
    "random",
    "real",
    "redacted",
    "replace",
    "root",
    "safe",
    "sample",
    "secret",
    "secure",
    "set",
    "some",
    "something",
    "string",
    "strong",
    "super",
    "tbd",
    "test",
    "testing",
    "that",
    "the",
    "this",
    "to",
    "todo",
    "token",
    "top",
    "undefined",
    "unsafe",
    "update",
    "use",
    "user",
    "value",
    "very",
    "with",
    "your",
]
_BETWEEN = re.compile(r"[\W_]+")
_PLACEHOLDER = re.compile(rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})+[0-9]*|.*(?:changeme|changethis|replaceme).*")
# <token>, ${TOKEN}, {{ token }}, and what the guides and frameworks print.
_SAMPLE = re.compile(r"<[^<>]*>|\{\{.*\}\}|\$\{[^{}]*\}|%[A-Za-z_]+%|django-insecure-.*|.*(?:密码|密钥|随机字符串).*")
_LONGEST_PLACEHOLDER = 100


def placeholder(value):
    """Whether a value stands where a secret belongs: changeme, your-secret-key, xxx, <token>, and what guides print."""
    text = str(value).strip()
    bare = _BETWEEN.sub("", text.lower())
    if len(set(bare)) < 2 or _SAMPLE.fullmatch(text):
        return True
    return len(bare) <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(bare) is not None


_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")


def weakness(value, min_length=MIN_LENGTH):
    """Why a secret is easy to guess, or an empty text."""
    text = str(value)
    if placeholder(text):
        return "it is a placeholder"
    if len(text) < min_length:
        return f"it has {len(text)} characters, fewer than {min_length}"
    if len(set(text)) < MIN_DIFFERENT:
        return f"it is made of {len(set(text))} different characters, fewer than {MIN_DIFFERENT}"
    half = re.fullmatch(r"(.+?)\1+", text)
    if half and len(half[1]) < min_length:
        return "it repeats itself"
    steps = sum(any(pair in row or pair[::-1] in row for row in _ROWS) for pair in _pairs(text.lower()))
    if steps > len(text) * 3 // 4:
        return "it is a row of letters or digits"
    return ""


def _pairs(text):
    return [text[index : index + 2] for index in range(len(text) - 1)]


def url_password(value):
    """The password in a URL, or None."""
    try:
        password = urlsplit(str(value)).password
    except ValueError:
        return None
    return None if password is None else unquote(password)
