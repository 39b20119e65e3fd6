# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start an app or a process."""

from __future__ import annotations


def arguments(parser):
    parser.add_argument("target", metavar="APP[/PROCESS]", help="what to start")


def run(options, context):
    units = [process.unit for process in context.config().select(options.target)]
    context.need_root("starting")
    # Somebody who starts a unit wants it to run, however often it has failed, or was started, before.
    context.call(["systemctl", "reset-failed", "--", *units])
    return context.call(["systemctl", "start", "--", *units])
