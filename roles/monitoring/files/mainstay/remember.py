# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Once a minute: remembers what is measured, and makes the status page and the figures for Prometheus where somebody wants them.

A program of its own, started by a timer, because SQLite and a page are more than the agent may weigh.
"""

from __future__ import annotations

import contextlib
import os
import sys

from . import backups, config, metrics, page, page_facts, samples
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
    wants_page = bool(settings) and settings.get("page", True) is True
    wants_figures = os.path.isdir(os.path.dirname(paths.metrics))  # made where somebody wants them, for their reader's group

    def used(file):
        return drawn(file, values, names, facts["now"]) if wants_page else {"first": file.first()}

    past = samples.remember(paths.samples, facts["now"], values, used, log)
    if not wants_page:
        with contextlib.suppress(OSError):
            os.unlink(paths.page)  # of when somebody wanted one
    if not wants_page and not wants_figures:
        return 0
    page_facts.to_show(cfg, context, facts, settings, (past or {}).get("first"))
    if past is None:
        facts["unread"].append("the past: see the journal of mainstay-history.service")
    for problem in facts["unread"] if wants_figures else ():
        log(problem)
    made = [
        wants_figures
        and _written("the figures", paths.metrics, lambda: metrics.render(facts, metrics.count(paths.counters, facts["events"])))
    ]
    if wants_page:
        made.append(_written("the status page", paths.page, lambda: page.render(facts, past or {})))
    return int("failed" in made)


def _written(what, path, make):
    """Replace a file whole, for those who have the group of its folder."""
    try:
        metrics.write(path, make(), 0o640)
    except OSError as error:
        log(f"{what} cannot be written: {error}", 3)
        return "failed"
    return "written"
