# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import shlex

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.text import printable

UNIT = re.compile(r"[\w:.@\\-]+\.(service|socket|target|timer|path|mount|automount|swap|slice|scope)", re.ASCII)
PATTERN = re.compile(r"[\w:.@\\*?\[\]-]+", re.ASCII)
# The order in which a host is changed: option, verb of systemctl, property that tells, values with which nothing is left to do.
STEPS = (
    ("stopped", "stop", "ActiveState", "inactive failed"),
    ("disabled", "disable", "UnitFileState", "disabled static indirect generated transient masked masked-runtime"),
    ("enabled", "enable", "UnitFileState", "enabled enabled-runtime static indirect alias generated transient"),
    ("restarted", "restart", "ActiveState", ""),
    ("reloaded", "reload-or-restart", "ActiveState", ""),
    ("started", "start", "ActiveState", "active reloading refreshing"),
)
# Each step says what it does in a line of its own, then does it to all its units at once; the first that fails is the last.
# Errors may come in between: where a connection has a terminal, there is but one stream.
# Starts are forgotten of units that have not failed, too: ten deploys in a row are no crash loop. What is not loaded has none.
# A unit that systemd does not know has an empty UnitFileState: nothing to disable, and all the more to enable.
SCRIPT = r"""
set -f
export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER=
change() {
    verb=$1 property=$2 done=" $3 " todo=
    shift 3
    for unit; do
        state=$(systemctl show --property="$property" --value -- "$unit") || exit
        case $verb:$state in disable:) continue ;; esac
        case $done in *" $state "*) ;; *) todo="$todo $unit" ;; esac
    done
    [ "$todo" ] || return 0
    printf '+ %s\n' "$verb$todo"
    [ "$predict" ] || systemctl $wait "$verb" -- $todo || exit
}
forget() {
    todo=$(systemctl list-units --all --state=failed --plain --no-legend --full -- "$@") || exit
    [ ! "$todo" ] || printf '%s\n' "$todo" | while read -r unit rest; do printf '+ reset-failed %s\n' "$unit"; done
    [ "$predict" ] || systemctl reset-failed -- "$@" 2>/dev/null || :
}
"""
FACTS = "LoadState ActiveState SubState Result ExecMainStatus UnitFileState"
EXPLAIN = """
export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER=
systemctl show --property={facts} -- {unit}
echo
[ {lines} -eq 0 ] || journalctl --quiet --no-pager --output=short-iso --lines={lines} --unit={unit} | cut --bytes=1-1000"""


class ActionModule(ActionBase):
    """Asks systemd and changes what differs in one shell command, without Python on the host."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        units = {"type": "list", "elements": "str", "default": []}
        options = self.validate_argument_spec(
            {
                **{option: units for option, *dummy in STEPS},
                "reset_failed": units,
                "daemon_reload": {"type": "bool", "default": False},
                "wait": {"type": "bool", "default": True},
                "journal_lines": {"type": "int", "default": 20},
            }
        )[1]
        self._check_names(options)
        commands = script(options, self._task.check_mode)
        answer = self._low_level_execute_command(SCRIPT + commands)
        changes = [line[2:] for line in answer["stdout_lines"] if line.startswith("+ ")]
        result.update(changed=bool(changes), changes=changes)
        if changes:
            result["diff"] = {"prepared": "".join(f"systemctl {line}\n" for line in changes)}
        if answer["rc"]:
            said = [line for line in answer["stdout_lines"] if not line.startswith("+ ")] + answer["stderr"].splitlines()
            tried = changes[-1].split() if changes else []
            failed = self._failed(tried[1:], options["journal_lines"])
            result.update(failed=True, units=failed, msg=explanation(tried[:1], failed, said))
        return result

    def _check_names(self, options):
        for option, form in (*((step[0], UNIT) for step in STEPS), ("reset_failed", PATTERN)):
            for name in options[option]:
                if not form.fullmatch(name) or name.startswith("-"):
                    what = "a unit's full name, such as nginx.service" if form is UNIT else "a pattern of units, such as shop-*"
                    raise AnsibleActionFail(f"{option}: {name!r} is not {what}.")

    def _failed(self, units, lines):
        """What systemd knows of each of the units that did not get where they should, and the end of its journal."""
        found = []
        for unit in units:
            command = EXPLAIN.format(facts=FACTS.replace(" ", ","), unit=shlex.quote(unit), lines=lines)
            answer = printable(self._low_level_execute_command(command)["stdout"]).splitlines()
            border = answer.index("") if "" in answer else len(answer)
            facts = dict(line.split("=", 1) for line in answer[:border] if "=" in line)
            found.append({"unit": unit, "facts": facts, "journal": answer[border + 1 :]})
        return [unit for unit in found if is_bad(unit["facts"])] or found


def script(options, predict):
    """The commands for what is asked for; nothing when nothing is."""
    lines = []
    if options["daemon_reload"] and not predict:
        lines.append("systemctl daemon-reload || exit")
    for option, verb, known, settled in STEPS:
        if verb == "restart" and not options["wait"]:
            lines.append("wait=--no-block")
        if options[option]:
            lines.append(f"change {verb} {known} {shlex.quote(settled)} " + shlex.join(dict.fromkeys(options[option])))
        if verb == "stop" and options["reset_failed"]:
            lines.append("forget " + shlex.join(options["reset_failed"]))
    return "\n".join([f"predict={'yes' if predict else ''} wait=", *lines])


def is_bad(facts):
    return (
        facts.get("LoadState") != "loaded"
        or facts.get("Result", "success") != "success"
        or facts.get("ActiveState") in ("failed", "activating", "deactivating")
    )


def explanation(verb, failed, said):
    """The message of a failure: which units, what systemd knows of them, and their last words."""
    command = " ".join(["systemctl", *verb, *(unit["unit"] for unit in failed)])
    lines = [f"{command} failed: {' '.join(filter(None, map(str.strip, said)))}"]
    for unit in failed:
        facts = ", ".join(f"{name}={value}" for name, value in unit["facts"].items() if value)
        lines += [f"{unit['unit']}: {facts}", *(f"    {line}" for line in unit["journal"])]
    return "\n".join(lines)
