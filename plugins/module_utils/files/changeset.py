# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declared set of files, brought to this host as a whole or not at all: compared, rehearsed, put in place."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fnmatch
import os
import time
import uuid

from .changes import Entry, make_plan
from .diff import brief_diff, diff_of
from .journal import STATE_DIR, locked, pending, recover_locked
from .owners import TransactionError
from .rehearsal import COMMAND_NOT_FOUND, Verdict, find_program, mask, rehearse, run_checkers
from .transaction import BACKUP_DIR, transact


@dataclasses.dataclass
class Result:
    """What happened, or in check mode would happen."""

    changed_files: list = dataclasses.field(default_factory=list)
    diff: list = dataclasses.field(default_factory=list)
    backup: str | None = None
    validated: bool = False
    notes: list = dataclasses.field(default_factory=list)
    recovered: list = dataclasses.field(default_factory=list)
    refusal: Verdict | None = None


def run(
    entries,
    purge=(),
    validate=(),
    timeout=60,
    backup=True,
    check=False,
    diff=False,
    brief=(),
    state_dir=STATE_DIR,
    backup_dir=BACKUP_DIR,
):
    """Bring the host to the set, or leave it as it is. Raises :class:`TransactionError` when the set cannot be applied.

    A checker's refusal is not raised but returned as ``refusal``. Of files that match a pattern in ``brief`` the diff says only how many change.
    """
    identifier = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:8]}"
    result = Result()
    with contextlib.ExitStack() as stack:
        try:
            if check:
                result.notes += [f"unfinished and would be settled first: {path}" for path in pending(state_dir)]
            else:
                stack.enter_context(locked(state_dir))
                result.recovered = recover_locked(state_dir=state_dir)
            plan = make_plan(entries, purge, check, identifier)
            result.changed_files = [change.path for change in plan.changes]
            if check:
                result.notes += plan.notes
            if diff:
                shown = [change for change in plan.changes if not any(fnmatch.fnmatchcase(change.path, pattern) for pattern in brief)]
                result.diff = [item for change in shown for item in diff_of(change)] + brief_diff(plan.changes, brief)
            if not plan.steps:
                return result
            trial = _rehearse(result, plan, entries, validate, timeout, check)
            if check or result.refusal:
                return result

            def test():
                verdict = run_checkers(trial, timeout)
                return {"passed": verdict.outcome == "passed", "verdict": dataclasses.asdict(verdict)}

            kept = {change.path: f"{change.before.kind} -> {change.after.kind}" for change in plan.changes}
            if not backup or not any(change.before.kind in ("file", "link") for change in plan.changes):
                kept = None
            result.backup, answer = transact(plan.steps, identifier, test if trial else None, kept, state_dir, backup_dir)
        except OSError as problem:
            raise TransactionError(_explain(problem)) from problem
    if not answer["passed"]:
        _refuse(result, Verdict(**answer["verdict"]), entries)
    elif trial:
        result.validated = trial == list(validate)
    return result


def carry_out(entries, check=False, **options):
    """:func:`run` with entries as JSON carries them. Returns what the task tells."""
    try:
        result = run([Entry.from_dict(entry) for entry in entries], check=check, **options)
    except TransactionError as problem:
        return {"failed": True, "msg": str(problem)}
    answer = {
        "changed": bool(result.changed_files),
        "changed_files": result.changed_files,
        "diff": result.diff,
        "backup": result.backup,
        "validated": result.validated,
        "note": "; ".join(result.notes),
        "recovered": result.recovered,
    }
    if result.notes and not check:
        answer["warnings"] = result.notes
    refusal = result.refusal
    if refusal:
        msg = f"{refusal.command} refused the new set (rc {refusal.rc}); every file is as it was.\n{refusal.output}"
        answer.update(failed=True, changed=False, cmd=refusal.command, rc=refusal.rc, output=refusal.output, msg=msg)
    return answer


def _explain(problem):
    text = f"{problem.filename or 'the host'}: {problem.strerror or problem}"
    if problem.errno in (errno.EPERM, errno.EACCES) and os.geteuid() != 0:
        text += ". Only root may do this: run with become: true, or name an owner, group and state_dir of this user"
    return f"{text}; every file is as it was."


def _rehearse(result, plan, entries, commands, timeout, check):
    """Test the set where nobody sees it. Returns the commands to try on the real files where that is impossible."""
    brought = {entry.dest for entry in entries if entry.state in ("file", "link")}
    runnable = []
    for command in commands:
        if find_program(command[0]) or command[0] in brought:
            runnable.append(command)
        else:
            result.notes.append(f"not tested with {' '.join(command)}: {command[0]} is not installed")
    if not runnable:
        return []
    verdict = rehearse(plan.steps, runnable, timeout)
    if verdict.outcome == "unavailable" and not check:
        return runnable
    if verdict.outcome == "unavailable":
        result.notes.append(f"not tested: a private view of the files cannot be made here ({verdict.output})")
    elif verdict.outcome == "passed":
        result.validated = runnable == list(commands)
    elif check and (plan.unfinished or verdict.rc == COMMAND_NOT_FOUND):
        words = mask(verdict.output, *_secrets(entries, verdict))
        result.notes.append(f"{verdict.command} cannot judge the set on this unfinished host: {words}")
    else:
        _refuse(result, verdict, entries)
    return []


def _secrets(entries, verdict):
    """The texts to hide in a checker's words, and those to leave readable."""
    sensitive = [entry for entry in entries if entry.sensitive]
    secrets = [entry.content.decode("utf-8", "replace") for entry in sensitive if entry.content]
    return secrets, [verdict.command, *(entry.public for entry in sensitive), *(entry.dest for entry in entries)]


def _refuse(result, verdict, entries):
    result.refusal = dataclasses.replace(verdict, output=mask(verdict.output, *_secrets(entries, verdict)))
