# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates that nginx serves on this host, asked as a visitor does: prints {site: [from, until, whether it is for it]} as JSON."""

from __future__ import annotations

import contextlib
import json


def main(argv=()):
    from .core.probe.tls import is_for, served, validity

    found = {}
    for site in argv:
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            certificate = served(site)[0]
            found[site] = (*validity(certificate), is_for(certificate, site))
    print(json.dumps(found))
    return 0
