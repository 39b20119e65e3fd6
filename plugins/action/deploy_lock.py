# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import getpass
import json
import os
import shlex
import socket
import time
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.release.identity import LOCKS

AUDIT = "/var/lib/mainstay/deploys.jsonl"
# Seconds between two looks at the locks of other runs.
PAUSE = 2
# All locks or none. A file counts until its time of modification. Prints what a lock holds that somebody else has, with the seconds
# that it still counts before it.
TAKE = r"""
umask 022
mkdir -p {locks} || exit 2
now=$(date +%s) taken=
take() {{
    file={locks}/$1.deploy
    if [ -e "$file" ]; then
        held=$(cat "$file") left=$(($(stat -c %Y "$file") - now))
        if [ "$held" = "$3" ] || [ "$left" -le 0 ]; then rm -f "$file"; fi
    fi
    if (set -C; printf '%s\n' "$2" >"$file") 2>/dev/null; then
        touch -d "@$((now + {max_age}))" "$file"
        taken="$taken $file"
        return
    fi
    printf 'held %s %s %s\n' "$1" "$left" "$(cat "$file")"
    rm -f $taken
    exit 0
}}
"""


class ActionModule(ActionBase):
    """Takes and gives back the locks by the shell's exclusive creation of a file, without Python on the host."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            {
                "apps": {"type": "dict", "required": True},
                "state": {"type": "str", "choices": ["present", "absent", "free"], "default": "present"},
                "max_age": {"type": "int", "default": 1800},
                "wait": {"type": "int", "default": 0},
                "doing": {"type": "str", "default": ""},
            }
        )[1]
        apps = options["apps"]
        if not apps:
            return {**result, "changed": False}
        if options["state"] == "free":
            self._await(apps, options["wait"])
            return {**result, "changed": False}
        if self._task.check_mode:
            return {**result, "changed": True, "deploys": []}
        if options["state"] == "present":
            self._take(apps, options["max_age"], options["doing"])
            return {**result, "changed": True}
        return {**result, "changed": True, "deploys": self._give_back(apps)}

    def _shell(self, command):
        answer = self._low_level_execute_command(command)
        if answer["rc"]:
            raise AnsibleActionFail(f"The deploy locks in {LOCKS} cannot be changed: {(answer['stderr'] or answer['stdout']).strip()}")
        return answer["stdout_lines"]

    def _take(self, apps, max_age, doing):
        left = {}
        while True:
            calls = (f"take {shlex.join([app, holder(note, doing), left.get(app, '-')])}" for app, note in sorted(apps.items()))
            script = TAKE.format(locks=LOCKS, max_age=max_age) + "\n".join(calls)
            held = next((line.split(" ", 3)[1:] for line in self._shell(script) if line.startswith("held ")), None)
            if held is None:
                return
            app, seconds, text = held
            if text == left.get(app) or not is_over(text):
                raise AnsibleActionFail(refusal(app, int(seconds or 0), text))
            left[app] = text

    def _await(self, apps, seconds):
        """Until no other run holds one of the locks; the last answer of one that goes on holding it is the error."""
        end = time.monotonic() + seconds
        while held := self._held(apps):
            if time.monotonic() >= end:
                raise AnsibleActionFail(f"{refusal(*held[0])} This run has waited for {seconds} s.")
            time.sleep(min(PAUSE, max(0.1, end - time.monotonic())))

    def _held(self, apps):
        """The locks of other runs that live: their app, the seconds they still count and what they say."""
        names = shlex.join(sorted(apps))
        found = self._shell(
            f'now=$(date +%s); for app in {names}; do file={LOCKS}/$app.deploy; [ -e "$file" ] || continue; '
            'echo "$app $(($(stat -c %Y "$file") - now)) $(cat "$file")"; done'
        )
        locks = [(app, int(left), text) for app, left, text in (line.split(" ", 2) for line in found)]
        return [lock for lock in locks if lock[1] > 0 and not is_over(lock[2])]

    def _give_back(self, apps):
        """The sentences about the deploys that have ended."""
        names = shlex.join(sorted(apps))
        now = time.time()
        lines, mine, told = [], [], []
        found = self._shell(f"for app in {names}; do printf '%s ' $app; cat {LOCKS}/$app.deploy 2>/dev/null || echo; done")
        for app, text in (line.partition(" ")[::2] for line in found):
            with contextlib.suppress(ValueError):
                held = json.loads(text)
                if same_run(held):
                    mine.append(f"{LOCKS}/{app}.deploy")
                    if not apps[app]:
                        continue
                    entry = {
                        "time": round(now),
                        "app": app,
                        "by": held["by"],
                        **apps[app],
                        "seconds": max(0, round(now - held["since"], 1)),
                    }
                    lines.append(json.dumps(entry))
                    told.append(sentence(entry))
        if mine:
            # The group of those who may look has it, too, where the role monitoring has made one.
            noted = f"printf '%s\\n' {shlex.join(lines)} >>{AUDIT} && {{ chgrp mainstay {AUDIT} 2>/dev/null || :; }} && " if lines else ""
            self._shell(f"umask 027; mkdir -p {os.path.dirname(AUDIT)}; {noted}rm -f {shlex.join(mine)}")
        return told


def identity():
    """The run: the process whose child each task is, with the time it started, because numbers come back."""
    pid = os.getppid()
    return {"host": socket.gethostname(), "pid": pid, "started": started(pid)}


def started(pid):
    """When a process started, in the kernel's words; empty where that cannot be told, or the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    return ""


def holder(note, doing=""):
    """What a lock says: who took it, from where, when, and for which release or what else."""
    me = identity()
    found = {"by": f"{getpass.getuser()}@{me['host']}", **me, "since": round(time.time(), 1), "release": str(note)}
    return json.dumps({**found, **({"doing": doing} if doing else {})})


def same_run(held):
    return {key: held.get(key) for key in ("host", "pid", "started")} == identity()


def is_over(text):
    """Whether the run that took a lock is known to have ended: it was one of this machine, or this very run."""
    try:
        held = json.loads(text)
    except ValueError:
        return False
    if held.get("host") != socket.gethostname():
        return False
    return same_run(held) or started(held.get("pid")) != held.get("started")


def sentence(entry):
    """One line about a deploy: what, how it ended, and where its time went."""
    steps = ", ".join(f"{name} {seconds:g}" for name, seconds in entry.get("steps", {}).items() if seconds)
    way = f"{entry.get('from') or 'nothing'} -> {entry.get('to') or 'nothing'}"
    return f"{entry['app']}: {way} {entry.get('result', 'ended')} in {entry['seconds']:g} s" + (f" ({steps})" if steps else "")


def refusal(app, seconds, text):
    """Who deploys or restores right now, and what to do about it."""
    try:
        held = json.loads(text)
        since = time.strftime("%H:%M:%S UTC", time.gmtime(held["since"]))
        who = f"{held['by']} (process {held['pid']}) has been {held.get('doing') or 'deploying release ' + held['release']} since {since}"
    except (ValueError, KeyError, TypeError):
        who = f"somebody ({text.strip()!r}) has been deploying"
    return (
        f"{app}: {who}. Wait until that run has ended. If it is dead, remove {LOCKS}/{app}.deploy on the host; "
        f"in {seconds} s it no longer counts."
    )
