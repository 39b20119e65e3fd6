# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command that does something answers: sentences for people while it works, or with --json one object at its end.

`{"command", "ok", "message", "results": [{"name", "ok", "problem", ...}]}`; a refusal of any command is the same object without results.
"""

from __future__ import annotations

import json


def option(parser):
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def refused(command, reason):
    return json.dumps({"command": command, "ok": False, "message": reason, "results": []}, indent=2)


class Answer:
    def __init__(self, command, wanted):
        self.command, self.json, self.said, self.results = command, wanted, [], []

    def say(self, sentence, stream=None):
        if self.json:
            self.said.append(sentence)
        else:
            print(sentence, file=stream)

    def result(self, name, sentence="", problem="", **facts):
        """What became of one thing; the sentence says it to people."""
        self.results.append({"name": name, "ok": not problem, "problem": problem or None, **facts})
        if sentence and not self.json:
            print(sentence)

    def end(self, status):
        """The exit status, after all is said."""
        if self.json:
            message = "\n".join(self.said) or None
            print(json.dumps({"command": self.command, "ok": status == 0, "message": message, "results": self.results}, indent=2))
        return status
