# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a declaration is refused: with the variable, the value and the remedy, before a host is touched; and the checks that refuse."""

from __future__ import annotations

import difflib
import ipaddress


class DeclarationError(ValueError):
    """A declaration that cannot work; the message names the variable, the value and the remedy."""

    def __init__(self, variable, value, remedy):
        self.variable, self.value, self.remedy = variable, value, remedy
        super().__init__(f"{variable}: {value!r} cannot be used. {remedy}")


def refuse(variable, value, remedy):
    raise DeclarationError(variable, value, f"{remedy[0].upper()}{remedy[1:]}.")


# What people call things elsewhere, and what that may be here, by where it stands.
ALSO_CALLED = {
    "cron": ("schedule",),
    "docker": ("container",),
    "javascript": ("node",),
    "js": ("node",),
    "mysql": ("mariadb",),
    "oci": ("container",),
    "pg": ("postgresql",),
    "podman": ("container",),
    "py": ("python",),
    "static": ("directory", "command"),
}


def nearest(word, known):
    """The known word that somebody meant who wrote another one, or None."""
    by_text = {str(item).lower(): item for item in known}
    word = str(word).lower()
    for meaning in (word, *ALSO_CALLED.get(word, ())):
        if meaning in by_text:
            return by_text[meaning]
    near = difflib.get_close_matches(word, by_text, 1)
    return by_text[near[0]] if near else None


def unlike(value, choices, remedy):
    """The remedy for a value that is none of a few words, with the nearest of them before it."""
    near = nearest(value, choices) if isinstance(value, str) else None
    return remedy if near is None else f"did you mean {near}? {remedy[0].upper()}{remedy[1:]}"


def mapping(value, where, keys=None, required=()):
    """The value as a dict whose keys are all known; an unknown key is answered with the nearest known one."""
    if not isinstance(value, dict):
        refuse(where, value, f"write a mapping{' with the keys ' + ', '.join(keys) if keys else ''}")
    for key in value:
        if keys is not None and key not in keys:
            near = nearest(key, keys)
            refuse(
                f"{where}.{key}",
                value[key],
                f"did you mean {near!r}? Known keys are {', '.join(keys)}"
                if near
                else f"there is no such key; known keys are {', '.join(keys)}",
            )
    for key in required:
        if value.get(key) in (None, "", []):
            refuse(f"{where}.{key}", value.get(key), f"it is required; add {key}: …")
    return value


def exactly_one(value, where, kinds):
    """The one of the keys of a mapping that says what it is."""
    found = [kind for kind in kinds if isinstance(value, dict) and kind in value]
    if len(found) != 1:
        near = next((near for key in (value if isinstance(value, dict) and not found else ()) if (near := nearest(key, kinds))), None)
        refuse(where, value, f"{f'did you mean {near!r}? Name' if near else 'name'} exactly one of {', '.join(kinds)}")
    return found[0]


def one_of(value, where, choices):
    """The value, one of a few words or numbers; another one is answered with the nearest of them."""
    if isinstance(value, (dict, list, bool)) or value not in choices:
        refuse(where, value, unlike(value, choices, f"use one of {', '.join(map(str, choices))}"))
    return value


def text_of(value, where, pattern=None, remedy="write a text that is not empty"):
    if not isinstance(value, str) or not value.strip() or "\n" in value or (pattern and not pattern.fullmatch(value)):
        refuse(where, value, remedy)
    return str(value)


def integer(value, where, low, high):
    """A whole number; numbers in text are taken too, as Jinja and extra vars deliver them."""
    return _between(value, where, low, high, int, "a whole number")


def number(value, where, low, high):
    """A number with or without a fraction; in text, too."""
    return _between(value, where, low, high, float, "a number")


def _between(value, where, low, high, kind, words):
    try:
        found = kind(str(value))
    except ValueError:
        found = None
    if isinstance(value, bool) or found is None or not low <= found <= high:
        refuse(where, value, f"use {words} from {low} to {high}")
    return found


def integer_or_auto(value, where, low, high):
    if isinstance(value, str) and not value.strip().isdigit() and nearest(value, ["auto"]) and value != "auto":
        refuse(where, value, f"did you mean auto? Use auto or a whole number from {low} to {high}")
    return "auto" if value == "auto" else integer(value, where, low, high)


def boolean(value, where):
    """True or false; yes, no and their like are texts, as YAML 1.2 has it."""
    if not isinstance(value, bool):
        word = str(value).lower()
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(word)
        quoted = f"it is a text. Write {word} without quotes, with -e in JSON: -e '{{…: {word}}}'" if word in ("true", "false") else ""
        refuse(where, value, f"did you mean {meant}? Use true or false" if meant else quoted or "use true or false")
    return value


# What Ansible's filter ``bool`` takes for true and false, which reads what the command line has.
SAID = {**dict.fromkeys(("true", "yes", "on", "1", "t", "y"), True), **dict.fromkeys(("false", "no", "off", "0", "f", "n"), False)}


def boolean_or_word(value, where):
    """True or false, also as a word: ``-e name=value`` gives nothing but texts."""
    found = SAID.get(str(value).strip().lower()) if isinstance(value, (bool, int, str)) else None
    if found is None:
        refuse(where, value, "use true or false")
    return found


def items_of(value, where, what="texts"):
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        refuse(where, value, f"write a list of {what}")
    return list(value)


def texts_of(value, where):
    return [text_of(item, f"{where}[{index}]") for index, item in enumerate(items_of(value, where))]


def network_of(text, where):
    """An address or a network in the hands of ``ipaddress``; ``where`` names the variable in a refusal."""
    try:
        return ipaddress.ip_network(text)
    except (ValueError, TypeError) as error:
        remedy = f"Write an address or a network such as 192.0.2.0/24 or 2001:db8::/32 ({error})."
        raise DeclarationError(where, text, remedy) from None


def networks_of(value, where):
    """A list of addresses and networks, each as text in its normal form."""
    return [str(network_of(item, f"{where}[{index}]")) for index, item in enumerate(texts_of(value, where))]


class ReleaseError(ValueError):
    """A release that cannot be made; the message says what to change."""
