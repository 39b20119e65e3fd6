# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be declared of backups: refused before a host is touched, with the variable, the value and the remedy."""

from __future__ import annotations

import re
import shlex

from ..text import MASK
from .calendars import event_of
from .fields import Keys, Text
from .refusal import integer, mapping, refuse, text_of, texts_of

REPOSITORY = re.compile(r"(/[^\s\"'\\]+|(s3|sftp|rest|b2|azure|gs|swift|rclone):[^\s\"'\\]+)")
# Folders that an app writes, that are backed up themselves, or that do not outlive the next boot.
NEVER_BELOW = ("/srv", "/var/lib/mainstay", "/etc/mainstay", "/tmp", "/var/tmp", "/run", "/dev", "/proc", "/sys")
# A folder of postgres' own, which is made so: nothing that is somebody's already.
FOLDER = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
NEVER_RECOVERY = ("/etc", "/usr", "/boot", "/home", "/root", "/var/lib/postgresql", "/var/log", "/var/backups")
PERIODS = ("daily", "weekly", "monthly", "yearly")
SCHEDULES = ("backup_schedule", "backup_upkeep_schedule", "backup_drill_schedule")
SHORTEST_PASSWORD = 16
# A line of known_hosts: a marker, names, the kind of key, the key, a comment; see sshd(8).
HOST_KEY = re.compile(r"(@\S+ )?\S+ (ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/]{40,}={0,2}( .*)?")
PRIVATE_KEY = re.compile(r"\s*-----BEGIN ([A-Z ]+ )?PRIVATE KEY-----\n.+\n-----END ([A-Z ]+ )?PRIVATE KEY-----\s*", re.DOTALL)
# OpenSSH's own form says first which cipher has it: this is the beginning of one without any. Older forms name theirs in a header.
OPENSSH, OPEN = "-----BEGIN OPENSSH ", "\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU"
# Commands of an app around its backup, and in its drill.
HOOKS = Keys(
    {
        "before": Text(about="Run before anything of the app is backed up; where it fails, nothing of the app is taken."),
        "after": Text(about="Run when all of the app has been taken or could not be, also where before has failed."),
        "check": Text(about="Run in the weekly drill against the restored database; any other end than 0 fails the drill."),
    }
)


def hooks_of(value, where, runtime, database):
    """The commands that an app declares for its backup; those it does not declare are not in it."""
    HOOKS.checked(value, where)
    found = {key: HOOKS.take_if(value, where, key) for key in HOOKS}
    found = {key: text for key, text in found.items() if text}
    if "check" in found and database == "none":
        refuse(f"{where}.check", found["check"], "it looks at a restored database, and the app has none; declare one, or remove it")
    for key in found if runtime == "container" else ():
        try:
            shlex.split(found[key])
        except ValueError as error:
            refuse(f"{where}.{key}", found[key], f"a container gets words, not a line for a shell, and these cannot be told apart: {error}")
    return found


def _check_host_keys(lines):
    # What is read from a file ends in the end of its line.
    lines = [line.strip() if isinstance(line, str) else line for line in lines] if isinstance(lines, list) else lines
    remedy = 'write lines for known_hosts, such as "backup.example.com ssh-ed25519 AAAA…"; ssh-keyscan HOST on this machine shows them'
    for index, line in enumerate(texts_of(lines, "backup_host_keys")):
        text_of(line, f"backup_host_keys[{index}]", HOST_KEY, remedy)


def _check_key(key):
    if not key:
        return
    remedy = "write the whole text of a private key, from -----BEGIN to END-----, or none: the host makes one for itself"
    if not isinstance(key, str) or not PRIVATE_KEY.fullmatch(key):
        refuse("backup_ssh_key", MASK, remedy)
    if "ENCRYPTED" in key or (OPENSSH in key and OPEN not in key):
        refuse(
            "backup_ssh_key",
            MASK,
            "it has a passphrase, and nobody is there to type it; take it away with ssh-keygen -p, in a copy of the key",
        )


def check_recovery(variables):
    """Refuse what no way back to a moment could be kept with, of the variables of one host; without a folder there is nothing to check.

    :raises DeclarationError: the first value that cannot work.
    """
    name = "postgresql_pitr_repository"
    repository = variables.get(name) or ""
    if not repository:
        return
    text_of(repository, name, FOLDER, "write a folder, such as /mnt/pitr; pgBackRest as Debian has it keeps it on a disk that is mounted")
    for folder in (*NEVER_BELOW, *NEVER_RECOVERY):
        if f"{repository}/".startswith(f"{folder}/"):
            refuse(name, repository, f"{folder} is no place for it; take a folder on another disk, such as /mnt/pitr")
    if repository.count("/") < 2:  # its owner and mode are changed
        refuse(name, repository, f"that is the root of something else; take a folder of its own, such as {repository.rstrip('/')}/pitr")
    other = variables.get("backup_repository") or ""
    if other and (f"{other}/".startswith(f"{repository}/") or f"{repository}/".startswith(f"{other}/")):
        refuse(name, repository, "it shares a folder with backup_repository, which is root's alone; take one of its own, such as /mnt/pitr")
    _check_password(variables.get("postgresql_pitr_password"), "postgresql_pitr_password")


def _check_password(password, where):
    if password is not None and (not isinstance(password, str) or len(password) < SHORTEST_PASSWORD or "\n" in password):
        refuse(where, MASK, f"write one line of at least {SHORTEST_PASSWORD} characters, or none: one is then made and kept in secrets/")


def check_backups(variables, apps=None, is_database=False):
    """Refuse what a backup could not be made with, of the variables of one host; without a repository there is nothing to check.

    :param apps: the declared apps in their normal form.
    :param is_database: whether the host is the one that has their databases.
    :raises DeclarationError: the first value that cannot work.
    """
    repository = variables.get("backup_repository") or ""
    for app in (apps or {}).values() if is_database and not repository else ():
        if app["migrate_backup"]:
            remedy = "no backup is made of the host of its database; declare backup_repository, or remove backup here"
            refuse(f"mainstay_apps.{app['name']}.migrate.backup", True, remedy)
    if not repository:
        return
    remedy = "write a path such as /mnt/backups, sftp:user@host:/path, or s3:https://s3.example.com/bucket"
    text_of(repository, "backup_repository", REPOSITORY, remedy)
    for folder in NEVER_BELOW:
        if f"{repository}/".startswith(f"{folder}/"):
            refuse("backup_repository", repository, f"{folder} is no place for it; take a folder on another disk, such as /mnt/backups")
    keep = mapping(variables.get("backup_keep", {"daily": 1}), "backup_keep", PERIODS)
    if not sum(integer(keep[period], f"backup_keep.{period}", 0, 1000) for period in keep):
        refuse("backup_keep", keep, "nothing would be kept; write {daily: 7, weekly: 4, monthly: 6}")
    for name in SCHEDULES:
        if name in variables:
            event_of(variables[name], name)
    _check_host_keys(variables.get("backup_host_keys") or [])
    _check_key(variables.get("backup_ssh_key") or "")
    _check_password(variables.get("backup_password"), "backup_password")
