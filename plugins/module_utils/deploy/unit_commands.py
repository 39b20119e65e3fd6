# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared commands and variables in the words of a systemd unit."""

from __future__ import annotations

import re

from ..stack.refusal import DeclarationError

WORD_PART = re.compile(
    r"""(?P<space>\s+)
      | (?P<variable>\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*)))
      | '(?P<single>[^']*)'
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | \\(?P<escaped>.)
      | (?P<shell>[|&;<>()`$'"\\])
      | (?P<plain>[^\s$'"\\|&;<>()`]+)""",
    re.VERBOSE | re.DOTALL,
)
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


def _literal(text):
    """Text that systemd gives to the program as it is."""
    return re.sub(r'(["\\])', r"\\\1", text).replace("%", "%%").replace("$", "$$").replace("\n", "\\n").replace("\t", "\\t")


def _specified(text):
    """Text in which specifiers are systemd's, everything else is literal."""
    return re.sub(r'(["\\])', r"\\\1", text).replace("$", "$$").replace("\n", "\\n").replace("\t", "\\t")


def _variable(name, own):
    return _specified(own[name]) if name in own else "${" + name + "}"


def _expanded(text, own):
    """Text between double quotes: variables are systemd's, everything else is literal."""
    parts, end = [], 0
    for match in VARIABLE.finditer(text):
        parts += [_literal(text[end : match.start()]), _variable(match[1] or match[2], own)]
        end = match.end()
    return "".join([*parts, _literal(text[end:])])


def quoted(text):
    """Text as one word of a command line, which the program gets as it is."""
    return f'"{_literal(text)}"'


def told(own):
    """The words by which ``env`` gives a program variables of its own, before those of an environment file; values may hold specifiers."""
    return ["/usr/bin/env", *(f'"{name}={_specified(value)}"' for name, value in own.items())]


def exec_line(command, where="command", own=None):
    """A declared command as the ExecStart= of a unit. ``env`` finds the program on the unit's own PATH.

    :param own: variables that the command has instead of those of the unit's environment file, as :func:`told` takes them.
    """
    return " ".join([*told(own or {}), *exec_words(command, where, own)])


def variables_in(command, where="command"):
    """The names of the variables that systemd puts into a declared command."""
    found = set()
    for match in _parts(command, where):
        if match.lastgroup == "double":
            found |= {braced or bare for braced, bare in VARIABLE.findall(match["double"])}
        elif match["variable"]:
            found.add(match["braced"] or match["bare"])
    return found


def exec_words(command, where="command", own=None):
    """The words of a declared command as they stand in a unit.

    The command is written as for a shell, and systemd runs it without one: quotes and variables mean the same in both,
    so they are translated; what only a shell can do is refused.
    """
    words, word, quoted, own = [], None, False, own or {}
    for match in _parts(command, where):
        kind = match.lastgroup if match.lastgroup not in ("braced", "bare") else "variable"
        if kind == "space":
            if word is not None:
                words.append((word, quoted))
            word, quoted = None, False
            continue
        word = word or []
        if kind == "variable":
            word.append(("variable", match["braced"] or match["bare"]))
        elif kind == "double":
            quoted = True
            word.append(("text", _expanded(re.sub(r'\\(["\\`])', r"\1", match["double"]), own)))
        else:
            quoted = quoted or kind != "plain"
            word.append(("text", _literal(match[kind])))
    if word is not None:
        words.append((word, quoted))
    if not words:
        raise DeclarationError(where, command, "Write the command that runs the process.")
    return [_word(parts, quoted, own) for parts, quoted in words]


def _parts(command, where):
    position = 0
    while position < len(command):
        match = WORD_PART.match(command, position)
        if match["shell"]:
            raise DeclarationError(
                where,
                command,
                f"{match['shell']!r} needs a shell, and none runs here; write sh -c '…', or put it into a script.",
            )
        yield match
        position = match.end()


def _word(parts, quoted, own):
    if len(parts) == 1 and parts[0][0] == "variable" and not quoted:
        name = parts[0][1]  # as in a shell, an unquoted variable may be several words, or none
        return " ".join(f'"{_specified(word)}"' for word in own[name].split()) if name in own else f"${name}"
    text = "".join(text if kind == "text" else _variable(text, own) for kind, text in parts)
    return f'"{text}"' if quoted or not text or re.search(r"[\s;\"']", text) else text


def assignment(name, value, specifiers=False):
    """One assignment for Environment= of a unit; with ``specifiers`` a ``%i`` in it is the number of the instance."""
    text = re.sub(r'(["\\])', r"\\\1", str(value)).replace("\n", "\\n").replace("\t", "\\t")
    text = text if specifiers or value == "%i" else text.replace("%", "%%")
    return f'"{name}={text}"'
