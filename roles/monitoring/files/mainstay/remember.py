# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Once a minute: remembers what is measured, and makes the status page where somebody wants one.

A program of its own, started by a timer, because SQLite and a page are more than the agent may weigh.
"""

from __future__ import annotations

import contextlib
import os
import sys

from . import backups, config, page, page_facts, samples
from .cli import Context

DAY = 86400
STEP = 600  # seconds between two points of a curve
CURVES = (" latency", " memory")


def log(text, level=4):
    print(f"<{level}>{text}", file=sys.stderr, flush=True)


def drawn(file, values, apps, now):
    """The curves of a day, and the days of each app and server, by series."""
    since = int(now) - int(now) % STEP - DAY + STEP
    names = [name for name in values if not name.endswith((" up", " restarts"))]
    return {
        "since": since,
        "until": since + DAY,
        "first": file.first(),
        "curves": {name: file.curve(name, since, STEP) for name in names},
        "days": {name: file.days(f"{name} up", now - 30 * DAY) for name in apps},
    }


def write(path, text):
    """Replace the page whole; nginx may read it by the group this program runs with."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
    os.fchmod(descriptor, 0o640)
    with open(descriptor, "wb") as file:
        file.write(text.encode("utf-8", "replace"))
    os.replace(temporary, path)


def main(argv=(), context=None):
    """Started by systemd as mainstay-history.service. Exit status: 0 done, 1 the page could not be made."""
    context = context or Context()
    paths = context.paths
    try:
        cfg = config.load(paths.config)
    except config.ConfigError as error:
        log(str(error), 3)
        return 1
    facts = page_facts.now_here(cfg, context)
    values, settings = page_facts.measured(facts), backups.read(paths.page_settings)
    names = [*(f"app {app}" for app in facts["apps"]), *(server.name for server in cfg.servers)]
    past = samples.remember(
        paths.samples, facts["now"], values, lambda file: drawn(file, values, names, facts["now"]) if settings else {}, log
    )
    if not settings:
        with contextlib.suppress(OSError):
            os.unlink(paths.page)  # of when somebody wanted one
        return 0
    page_facts.to_show(cfg, context, facts, settings, (past or {}).get("first"))
    if past is None:
        facts["unread"].append("the past: see the journal of mainstay-history.service")
    try:
        write(paths.page, page.render(facts, past or {}))
    except OSError as error:
        log(f"the status page cannot be written: {error}", 3)
        return 1
    return 0
