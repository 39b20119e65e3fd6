# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program writes that may be in an app's hands."""

from __future__ import annotations

import math
import os
import select
import subprocess
import time

PIPE = 1 << 16  # bytes; as much as a pipe holds
LOOK = 0.1  # seconds between two looks whether a program has ended


def written(process, streams, deadline=math.inf):
    """Yield ``(stream, bytes)`` as a program writes them, until it has ended.

    What has ended has written all that it will. A process to which it has handed its output may keep that open, or write on, for ever:
    nobody waits for it.

    :param process: a `subprocess.Popen`; whoever stops listening ends it.
    :param streams: those of its pipes that are read.
    :param deadline: by `time.monotonic`.
    :raises subprocess.TimeoutExpired: it has not ended by then.
    """
    began, is_open = time.monotonic(), list(streams)
    while True:
        has_ended, left = process.poll() is not None, deadline - time.monotonic()
        if not has_ended and left <= 0:
            raise subprocess.TimeoutExpired(process.args, deadline - began)
        for stream in select.select(is_open, [], [], 0 if has_ended else min(LOOK, left))[0]:
            if chunk := os.read(stream.fileno(), PIPE):
                yield stream, chunk
            else:
                is_open.remove(stream)
        if has_ended:
            return
