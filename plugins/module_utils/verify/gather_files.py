# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's files tell a checklist: who may read secrets, what an app's variables are worth, what is limited, rotated and due."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import stat

from ..host.processes import user_name
from ..stack import placeholders
from ..text import read

# What the files of secrets on a host are: nobody but root reads them, but an app its own environment.
SECRET_FILES = (
    "/etc/mainstay/*/env",
    "/etc/mainstay/alerts.json",
    "/etc/mainstay/ping.json",
    "/etc/mainstay/certbot.env",
    "/etc/mainstay/backup/*",
    "/etc/mainstay/tls/*.key",
    "/etc/mainstay/tls/.pairs/*/*.key",
)
# Variables that switch an app into a mode for developers, and values that do so.
DEBUG_NAME = re.compile(r"(?:[A-Z0-9]*_)*(?:DEBUG|RELOAD)")
MODE_NAME = re.compile(r"(?:[A-Z0-9]*_)*(?:NODE_ENV|APP_ENV|FLASK_ENV|RAILS_ENV|ENV|ENVIRONMENT)")
LIMIT_NAME = re.compile(r"(?:[A-Z0-9]*_)*RATE_?LIMIT(?:ING)?_ENABLED")
TRUE = frozenset(("1", "true", "yes", "on", "*"))
DEVELOPMENT = frozenset(("dev", "development", "debug", "local"))


def read_json(path):
    return parsed(read(path))


def parsed(text):
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, (dict, list)) else {}


def uptime(root):
    words = read(f"{root}/proc/uptime").split()
    return int(float(words[0])) if words else 0


def describe(path):
    """Mode, owner and group of a path, of a link those of what it leads to; None where there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return {
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": user_name(status.st_uid),
        "group": _group_name(status.st_gid),
        "folder": stat.S_ISDIR(status.st_mode),
    }


def _group_name(gid):
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def modes(patterns, root="/"):
    found = {}
    for pattern in patterns:
        for path in sorted(glob.glob(f"{root.rstrip('/')}{pattern}")):
            found["/" + os.path.relpath(path, root)] = describe(path)
    return {path: entry for path, entry in found.items() if entry}


def environment(app, root="/"):
    """Of an app's environment file: who reads it, which of its secrets are weak, and which settings are a developer's."""
    path = f"{root.rstrip('/')}{app['env_file']}"
    variables = dict(_assignments(read(path)))
    weak, lengths = {}, {}
    for name, value in variables.items():
        password = placeholders.url_password(value)
        if name in app["secrets"] or placeholders.is_secret(name):
            lengths[name] = len(value)
            why = placeholders.weakness(value)
        elif password is not None:
            why = placeholders.weakness(password)
        else:
            continue
        if why:
            weak[name] = why
    return {
        "file": describe(path),
        "missing": sorted(set(app["secrets"]) - set(variables)),
        "weak": weak,
        "lengths": lengths,
        "developer": sorted(name for name, value in variables.items() if _is_developers(name, value)),
        "unlimited": sorted(name for name, value in variables.items() if LIMIT_NAME.fullmatch(name.upper()) and value.lower() not in TRUE),
    }


def _assignments(text):
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_]\w*", name):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] == '"'
            yield name, re.sub(r'\\(["\\`$])', r"\1", value[1:-1]) if quoted else value


def _is_developers(name, value):
    name, value = name.upper(), value.strip().lower()
    return bool(DEBUG_NAME.fullmatch(name) and value in TRUE) or bool(MODE_NAME.fullmatch(name) and value in DEVELOPMENT)


def nginx_site(name, root="/"):
    """What nginx's file of a site limits."""
    text = read(f"{root.rstrip('/')}/etc/nginx/mainstay/sites/{name}.conf")
    return {"there": bool(text), "rate_limits": len(re.findall(r"^\s*limit_req ", text, re.MULTILINE))}


def rotation(root="/"):
    """Which of the stack's logs logrotate knows, and when it has last looked at anything."""
    root = root.rstrip("/")
    status = f"{root}/var/lib/logrotate/status"
    with contextlib.suppress(OSError):
        return {"files": _rotated(root), "looked": int(os.stat(status).st_mtime)}
    return {"files": _rotated(root), "looked": None}


def _rotated(root):
    return sorted(os.path.basename(path) for path in glob.glob(f"{root}/etc/logrotate.d/mainstay-*"))


def updates(root="/", now=0.0):
    """How old the lists of packages are, and since when a reboot is wanted."""
    root = root.rstrip("/")
    # Their own dates are the archive's; apt writes beside them when it has asked.
    asked = [
        _mtime(f"{root}/var/lib/apt/periodic/update-success-stamp"),
        _mtime(f"{root}/var/lib/apt/lists/partial"),
        _mtime(f"{root}/var/cache/apt/pkgcache.bin"),
    ]
    asked = [moment for moment in asked if moment]
    reboot = _mtime(f"{root}/run/reboot-required")
    return {"asked_s": int(now - max(asked)) if asked else None, "reboot_s": int(now - reboot) if reboot else None}


def _mtime(path):
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def channels(settings):
    """The kinds of the channels for alerts; their addresses are secrets."""
    named = settings.get("channels") if isinstance(settings, dict) else None
    return [str(channel.get("kind", "")) for channel in named or () if isinstance(channel, dict)]
