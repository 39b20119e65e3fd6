# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others see of a host: certificates, listeners, ports, the firewall and its names."""

from __future__ import annotations

from ..derive.proof import is_public, undeclared_listeners
from .checklist import Items, failed, judged, listed, ok, skipped

ITEMS = Items()


@ITEMS.add(
    "certificates", "Every site is served with a certificate for its names that lasts", ["S4-28", "S4-23"], ["pre-launch", "periodic"]
)
def certificates(at):
    sites = [site for site in at.want["sites"] if site["source"] != "none"]
    if not sites:
        return skipped("no site of this host has TLS")
    wrong, seen = [], []
    for site in sites:
        served = at.found["certificates"].get(site["name"]) or {"error": "nobody has looked"}
        if served.get("error"):
            wrong.append(f"{site['name']}: {served['error']}")
            continue
        days = served["days_left"]
        seen.append(f"{site['name']} {days} days, {served['protocol']}")
        if days is None or days < at.limits["certificate_days"]:
            wrong.append(f"the certificate of {site['name']} lasts {days} days, fewer than {at.limits['certificate_days']:g}")
        if served["missing"]:
            wrong.append(f"the certificate of {site['name']} is not for {listed(served['missing'])}")
        if site["source"] == "letsencrypt" and served["trusted"]:
            wrong.append(f"{site['name']} is not trusted: {served['trusted']}")
    return judged(
        seen,
        wrong,
        "Run certificates.yml; for files of your own put the new pair in their place and run site.yml --tags certificates,nginx.",
    )


@ITEMS.add("listeners", "Nothing listens where other hosts reach it that nobody declared", ["S4-21", "S4-28"], ["pre-launch", "periodic"])
def listeners(at):
    ports = {who: [f"{first}-{last}" for first, last in bounds] for who, bounds in at.want["open"].items()}
    for_some = [{"port": port, "from": ["some"]} for port in ports["some"]]
    keeper = "ufw" if at.want["firewall"] == "ufw.service" else "nftables"
    wrong = undeclared_listeners(at.host.get("listeners") or (), ports["world"] + ports["behind"], for_some, keeper)
    public = sorted({entry["port"] for entry in at.host.get("listeners") or () if is_public(entry["address"])})
    return judged(
        f"{len(at.host.get('listeners') or ())} listeners, public: {listed(public)}",
        wrong,
        "Bind it to 127.0.0.1, stop it, or declare its port in firewall_rules.",
    )


@ITEMS.add("reachable", "From outside exactly the declared ports answer", ["S4-21", "S4-28"], ["pre-launch", "periodic"])
def reachable(at):
    outside = at.control["outside"]
    if not outside.get("address"):
        return skipped(outside.get("reason") or "nobody has looked from outside")
    world = at.want["open"]["world"]
    listening = {entry["port"] for entry in at.host.get("listeners") or () if entry["protocol"] == "tcp"}
    wrong = [f"port {port} answers" for port in outside["open"] if not _within(port, world) and not _within(port, at.want["open"]["some"])]
    wrong += [f"port {port} does not answer" for port in outside["closed"] if _within(port, world) and port in listening]
    return judged(
        f"of {len(outside['open']) + len(outside['closed'])} ports of {outside['address']}, {listed(outside['open'])} answer",
        wrong,
        "Run site.yml --tags firewall; a port that does not answer may be closed in the provider's own firewall.",
    )


def _within(port, bounds):
    return any(first <= port <= last for first, last in bounds)


@ITEMS.add("firewall", "The firewall runs and comes back with the host", ["S0-33", "S4-21"], ["pre-launch"])
def firewall(at):
    unit = at.want["firewall"]
    shown = at.found["units"].get(unit, {})
    seen = f"{unit} is {shown.get('ActiveState', 'missing')}, {shown.get('UnitFileState') or 'not enabled'}"
    if shown.get("ActiveState") != "active" or shown.get("UnitFileState") != "enabled":
        return failed(seen, seen, "Run site.yml --tags firewall.")
    return ok(seen)


@ITEMS.add("dns", "The sites' names lead to this host", ["S4-28", "S4-23"], ["pre-launch", "post-launch"])
def dns(at):
    names = [
        name
        for site in at.want["sites"]
        for name in site["names"]
        if "." in name and not name.endswith((".test", ".localhost", ".example"))
    ]
    if not names:
        return skipped("no site has a public name" if at.want["sites"] else "this host serves no site")
    own = {*at.found["addresses"], *at.want["addresses"], *(at.control["outside"].get("addresses") or ())}
    wrong, seen = [], []
    for name in names:
        resolved = at.control["resolved"].get(name) or at.found["resolved"].get(name) or []
        seen.append(f"{name}: {listed(resolved, 'no address')}")
        if not resolved:
            wrong.append(f"{name} has no address")
        elif not set(resolved) & own:
            wrong.append(f"{name} leads to {listed(resolved)}")
    return judged(
        seen,
        wrong,
        f"Set the A and AAAA records to this host ({listed(sorted(own))}); where a router or a proxy leads an address "
        "here, name it in certificates_acme_addresses.",
    )
