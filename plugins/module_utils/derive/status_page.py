# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status page of a host needs of what is declared: the sites it tells of, and the line that nginx compares a password with."""

from __future__ import annotations

import hashlib

from ..stack.apps import normalise
from ..stack.status_page import status_page
from ..stack.tiers import tiers_of
from .passwords import sha512_crypt

VERSION = 1
USER = "status"


def page_settings(declared, apps, plan, hostname, alerts=False, ping=False):
    """For ``/etc/mainstay/page.json``; empty where nobody wants a page, nor figures for Prometheus, which tell of sites, too.

    :param declared: ``mainstay_status_page``.
    :param alerts: whether somebody is told of incidents.
    :param ping: whether somebody elsewhere waits for signs of life.
    """
    wants_page = bool(status_page(declared))
    if not wants_page and not plan.get("hosts", {}).get(hostname, {}).get("exporters"):
        return {}
    sites = []
    for app in normalise(apps).values() if "proxy" in tiers_of(plan, hostname) else ():
        for site in app["sites"].values():
            scheme = "http" if site["tls"]["kind"] == "none" else "https"
            processes = sorted({route["process"] for route in site["routes"].values() if route["kind"] == "process"})
            sites.append({"name": site["name"], "url": f"{scheme}://{site['name']}/", "app": app["name"], "processes": processes})
    told = {"alerts": bool(alerts), "ping": bool(ping)}
    return {"version": VERSION, "page": wants_page, "sites": sorted(sites, key=lambda site: site["name"]), **told}


def password_line(password, hostname):
    """A line of a password file of nginx's, the same each time, with a salt of the host's name alone."""
    salt = hashlib.sha256(f"mainstay {USER}/{hostname}".encode()).hexdigest()[:16]
    return f"{USER}:{sha512_crypt(password, salt)}"
