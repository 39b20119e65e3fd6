# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shlex

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.derive.packages import apt_remedy, unknown_packages

TAIL = 20
UNIT = "mainstay-packages.service"
# A transaction that another task left running may bring what is missing; if it fails, this one finds out why.
WAIT = f"while systemctl --quiet is-active {UNIT} 2>/dev/null; do sleep 0.2; done; "
# From a file that removes itself: a reload of systemd before the start would change a dollar or a semicolon in the unit.
BACKGROUND = (
    'script=$(mktemp /run/mainstay-packages.XXXXXX) && printf %s {script} >"$script" && '
    f"systemd-run --quiet --collect --unit={UNIT} --property=Type=exec --description='Packages of the stack' -- "
    '/bin/sh "$script" {names}'
)
REMOVE_ITSELF = 'rm -f -- "$0"'
QUERY = "dpkg-query --show --showformat='${db:Status-Status} ${Package}\\n' -- "
# apt's own lists have a lock without a patience of its own, and a mirror may stumble, so an update is tried again.
INSTALL = r"""
# What apt says is read for what helps; a language of the host's own comes before C.UTF-8, though not before C.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 LANGUAGE=C
policy=/usr/sbin/policy-rc.d
get() {
    apt-get --assume-yes --quiet -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" </dev/null 2>&1
}
knows() {
    [ "$(apt-cache policy -- "$@" 2>/dev/null | grep -c '^  Candidate: [^(]')" -eq $# ]
}
# A new image has a young folder without lists in it, where apt-cache knows what is installed and nothing else.
is_fresh() {
    [ "$(find /var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp -maxdepth 0 -mmin "-$minutes" 2>/dev/null)" ] && knows "$@"
}
# Debian's way to keep a package from starting its service. It belongs to this shell only, so one left behind says nothing.
start_later() {
    [ ! -e "$policy" ] || grep -qs 'of mainstay' "$policy" || return 0
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    cat >"$policy" <<END && chmod 755 "$policy"
#!/bin/sh
# The roles of mainstay configure these services first, and start them then; what runs is none of their business.
[ -d /proc/$$ ] || exit 0
case \${1%.service} in $services) systemctl --quiet is-active "\$1" || exit 101 ;; esac
END
}
# What runs an old library is restarted in the window of the updates, not in the midst of a run that may be deploying.
install() {
    NEEDRESTART_SUSPEND=1 get "$recommends" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install -- "$@"
}
[ -z "$services" ] || start_later
# Young lists may name a file that the mirror has replaced since.
is_fresh "$@" && { install "$@" && exit; }
for pause in 2 5 10 20 30 0; do
    get -o APT::Update::Error-Mode=any update && { install "$@"; exit; }
    # One source that is gone keeps no other from giving what it has.
    knows "$@" && install "$@" && exit
    sleep "$pause"
done
exit 100
"""


class ActionModule(ActionBase):
    """Asks dpkg in one shell command what is missing; only then starts apt-get, without Python on the host, and never in check mode."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            {
                "name": {"type": "list", "elements": "str", "required": True},
                "install_recommends": {"type": "bool", "default": False},
                "cache_valid_time": {"type": "int", "default": 3600},
                "start_later": {"type": "list", "elements": "str", "default": []},
                "wait": {"type": "bool", "default": True},
            }
        )[1]
        missing = self._missing(options["name"])
        if missing and not self._task.check_mode:
            missing = self._missing(options["name"], WAIT)
        result.update(changed=bool(missing), missing=missing)
        if not missing:
            return result
        if self._task.check_mode:
            result["diff"] = {"before": "", "after": "".join(f"{name}\n" for name in missing)}
            return result
        answer = self._low_level_execute_command(self._install(missing, options))
        if answer["rc"]:
            said = answer["stdout_lines"] + answer["stderr"].splitlines()
            reason = " ".join(dict.fromkeys(line for line in said if line.startswith("E: "))) or f"it ended with {answer['rc']}"
            # What comes beside apt's own words is sudo's, such as that it cannot resolve the host's own name.
            help_ = apt_remedy("\n".join(answer["stdout_lines"]) or answer["stderr"])
            told = [f"apt-get cannot install {', '.join(missing)}: {reason.rstrip('.')}.", help_]
            asked = {
                name: self._written(value) for name, value in (task_vars or {}).items() if "_packages" in name or name == "mainstay_apps"
            }
            result.update(failed=True, msg=" ".join(unknown_packages("\n".join(said), asked) or told), output=said[-TAIL:])
        return result

    def _written(self, value):
        """The value of a variable, or nothing where it cannot be had; this only serves a message."""
        try:
            return self._templar.template(value)
        except AnsibleError:
            return None

    def _missing(self, names, before=""):
        answer = self._low_level_execute_command(before + QUERY + shlex.join(names))
        # dpkg-query ends with 1 when it does not know one of the names, and reports the others all the same.
        if answer["rc"] not in (0, 1):
            raise AnsibleActionFail(f"dpkg-query failed; the host must be a Debian or an Ubuntu: {answer['stderr'].strip()}")
        words = [line.split(" ", 1) for line in answer["stdout_lines"] if " " in line]
        present = {package for status, package in words if status == "installed"}
        return [name for name in dict.fromkeys(names) if name not in present]

    def _install(self, names, options):
        variables = {
            "services": "|".join(options["start_later"]),
            "minutes": str(options["cache_valid_time"] // 60),
            "recommends": f"--{'' if options['install_recommends'] else 'no-'}install-recommends",
        }
        lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
        script = "\n".join([*lines, INSTALL.strip()])
        if options["wait"]:
            return f"{self._compute_environment_string()} sh -c {shlex.quote(script)} sh {shlex.join(names)}"
        # Everybody may read a unit, and a proxy's password may be in the task's environment.
        return BACKGROUND.format(script=shlex.quote(f"{REMOVE_ITSELF}\n{script}"), names=shlex.join(names))
