# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared variables of an app's environment: their names, and values that are none."""

from __future__ import annotations

import re

from ..text import MASK
from . import references
from .fields import Field, Named, Text
from .placeholders import is_secret, placeholder, url_password
from .refusal import ReleaseError, mapping, refuse

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Plain(Field):
    """A text, a number, true or false."""


ENV = Named(
    Text(ENV_NAME, "a variable's name has letters, digits and '_', and does not begin with a digit"),
    Plain(),
    about="Variables and their values.",
)

DATABASE_PARTS = ("URL", "HOST", "PORT", "NAME", "USER", "PASSWORD")
# What libpq, and every client that is made with it, looks for.
LIBPQ = {"PGHOST": "HOST", "PGPORT": "PORT", "PGDATABASE": "NAME", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
REDIS_PARTS = ("URL", "HOST", "PORT", "USER", "PASSWORD", "DB")
SECRET_PARTS = ("URL", "PASSWORD")


def generated_names(secrets, database, redis):
    """The names of the variables that are made for an app, each with whether nobody may see its value."""
    names = dict.fromkeys(secrets, True)
    if database != "none":
        names.update({f"DATABASE_{part}": part in SECRET_PARTS for part in DATABASE_PARTS})
    if database == "postgresql":
        names.update({name: part in SECRET_PARTS for name, part in LIBPQ.items()})
    for purpose in redis:
        names.update({f"REDIS_{purpose.upper()}_{part}": part in SECRET_PARTS for part in REDIS_PARTS})
    return names


def secret_names(app):
    """The names of the variables in an app's environment file whose values nobody may see."""
    hidden = {name for name, is_hidden in generated_names(app["secrets"], app["database"], app["redis"]).items() if is_hidden}
    hidden |= {name for name, value in app["env"].items() if references.names(value) & hidden or url_password(value) or is_secret(name)}
    return sorted({*hidden, *(app["env_prefix"] + name for name in hidden)})


def variable_names(env, secrets, database, redis, prefix):
    """The names of the variables in an app's environment file."""
    generated = generated_names(secrets, database, redis)
    return {*env, *generated, *(prefix + name for name in generated)}


def env_of(value, where, known=None):
    """Variables of a declaration; where there are ``known`` ones, a value may refer to them as ``$NAME``."""
    env = {}
    for name, content in mapping(value, where).items():
        ENV.name.read(name, f"{where}.{name}")
        if content is None or isinstance(content, (dict, list)):
            refuse(f"{where}.{name}", content, "write a text, a number, true or false")
        referred = references.names(content) if known is not None and isinstance(content, str) else set()
        for unknown in sorted(referred - set(known or ())):
            refuse(
                f"{where}.{name}",
                content,
                f"the app has no variable {unknown}; it has {', '.join(sorted(known)) or 'none'}, and $$ is a dollar",
            )
        if not referred:
            refuse_placeholder(name, content, f"{where}.{name}")
        env[name] = str(content).lower() if isinstance(content, bool) else str(content)
    return dict(sorted(env.items()))


def refuse_placeholder(name, content, where):
    """Refuse changeme and its like where a secret belongs; what is empty or one character says that nothing is set."""
    if not isinstance(content, str) or len(content) < 2:
        return
    suspect = url_password(content) or (content if is_secret(name) else "")
    if len(suspect) > 1 and placeholder(suspect):
        refuse(
            where,
            MASK,
            f"it is a placeholder, not a secret; let mainstay make a random one (secrets: [{name}]), or give the real one from a vault",
        )


def env_line(name, value):
    """One line of an environment file as systemd and a POSIX shell read it alike."""
    text = str(value)
    bad = sorted({character for character in text if character < " " and character not in "\t\n"} | ({"\x7f"} & set(text)))
    if bad:
        raise ReleaseError(
            f"{name}: its value holds the control character {bad[0]!r}, which systemd drops silently. "
            "Remove it, or encode the value (base64)."
        )
    return '{}="{}"'.format(name, re.sub(r'(["\\`$])', r"\\\1", text))


def env_text(variables):
    return "".join(env_line(name, variables[name]) + "\n" for name in sorted(variables))
