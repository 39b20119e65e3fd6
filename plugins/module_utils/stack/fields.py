# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a key of a declaration may hold, said once: the validator reads values by these tables, and scripts/app_schema.py makes the
schema for editors of them."""

from __future__ import annotations

from .refusal import boolean, boolean_or_word, integer, integer_or_auto, items_of, mapping, number, one_of, text_of, texts_of


class Field:
    """The value of a key; ``about`` tells its meaning where docs/apps.md has no row for it."""

    def __init__(self, default=None, about=""):
        self.default, self.about = default, about

    def read(self, value, where):
        """The value in its normal form.

        :raises DeclarationError: it cannot be used.
        """
        raise NotImplementedError


class Text(Field):
    """A text of one line that is not empty; all of it matches the pattern."""

    def __init__(self, pattern=None, remedy="write a text that is not empty", **about):
        super().__init__(**about)
        self.pattern, self.remedy = pattern, remedy

    def read(self, value, where):
        return text_of(value, where, self.pattern, self.remedy)


class Whole(Field):
    """A whole number; ``auto`` leaves it to the plan where that is allowed, and ``taken`` numbers are somebody else's."""

    def __init__(self, low, high, auto=False, taken=(), **about):
        super().__init__(**about)
        self.low, self.high, self.auto, self.taken = low, high, auto, taken

    def read(self, value, where):
        return (integer_or_auto if self.auto else integer)(value, where, self.low, self.high)


class Number(Whole):
    """A number with or without a fraction."""

    def read(self, value, where):
        return number(value, where, self.low, self.high)


class Flag(Field):
    """True or false."""

    def read(self, value, where):
        return boolean(value, where)


class Switch(Flag):
    """True or false of the command line, where it is a word."""

    def read(self, value, where):
        return boolean_or_word(value, where)


class Choice(Field):
    """One of a few words or numbers."""

    def __init__(self, choices, **about):
        super().__init__(**about)
        self.choices = tuple(choices)

    def read(self, value, where):
        return one_of(value, where, self.choices)


class Perhaps(Field):
    """What may be empty, which is the same as not there."""

    def __init__(self, item, **about):
        super().__init__(**about)
        self.item = item

    def read(self, value, where):
        return "" if value in ("", None) else self.item.read(value, where)


class Items(Field):
    """A list."""

    def __init__(self, item, **about):
        super().__init__(default=(), **about)
        self.item = item

    def read(self, value, where):
        return [self.item.read(item, f"{where}[{index}]") for index, item in enumerate(texts_of(value, where))]


class Numbers(Items):
    """A list of whole numbers, each once."""

    def read(self, value, where):
        return sorted({self.item.read(item, f"{where}[{index}]") for index, item in enumerate(items_of(value, where, "numbers"))})


class Words(Items):
    """A list of words that are known, each once; a wrong one is told with the list."""

    def read(self, value, where):
        return sorted({self.item.read(item, where) for item in texts_of(value, where)})


class Named(Field):
    """A mapping whose keys the user chooses, with whatever reads it."""

    def __init__(self, name, item, **about):
        super().__init__(default={}, **about)
        self.name, self.item = name, item


class Special(Field):
    """What the validator reads by itself: one of several things."""

    def __init__(self, *ways, **about):
        super().__init__(**about)
        self.ways = ways


class Keys(Field, dict):
    """A mapping with known keys, some of them required."""

    def __init__(self, fields, required=(), **about):
        Field.__init__(self, **about)
        dict.__init__(self, fields)
        self.required = required

    def checked(self, value, where):
        """The value as it is, a mapping without unknown keys."""
        return mapping(value, where, tuple(self), self.required)

    def take(self, value, where, key):
        """One key's value in its normal form, its default where it is not there."""
        return self[key].read(value.get(key, self[key].default), f"{where}.{key}")

    def take_if(self, value, where, key):
        """The same, or None where the key is not there or holds nothing."""
        return None if value.get(key) is None else self[key].read(value[key], f"{where}.{key}")

    def read(self, value, where):
        self.checked(value, where)
        return {key: self.take(value, where, key) for key in self}
