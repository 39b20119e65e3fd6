# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared sites to their certificates: which are made, which are due, and which authorities a host trusts."""

from __future__ import annotations

import datetime
import hashlib
import re

from ..stack.apps import normalise
from ..stack.authorities import Authorities
from ..stack.refusal import DeclarationError, mapping
from ..stack.routes import DOMAIN
from .nginx import TLS_DIRECTORY, tls_files

CERTIFICATE_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.:-]{0,250}[a-z0-9])?")
# The end of a pair's folder: the day it expires, and a digest of the names it is for.
PAIR = r"(\d{8})\.[0-9a-f]{8}"
SOURCES = ("selfsigned", "letsencrypt", "files")
LIVE = "/etc/letsencrypt/live"
AUTHORITIES = Authorities()


# Certificates


def certificate_sites(apps):
    """The sites that are served with TLS, sorted by host name: where the certificate comes from and where it lies."""
    sites = [
        {"name": site["name"], "source": site["tls"]["kind"], "names": [*site["aliases"], *site["wildcards"]], **tls_files(site)}
        for app in normalise(apps).values()
        for site in app["sites"].values()
        if site["tls"]["kind"] != "none"
    ]
    return sorted(sites, key=lambda site: site["name"])


def certificate_names(site):
    """The names a certificate is valid for: the site's own, then its further ones, each once."""
    names = list(dict.fromkeys([site["name"], *site.get("names", ())]))
    for name in names:
        if not CERTIFICATE_NAME.fullmatch(name):
            raise DeclarationError("certificates_sites", name, "Write a host name in small letters, or an IP address.")
    return names


def self_signed_sites(sites):
    """What the module selfsigned_certificate makes: name and names of every site whose source is ``selfsigned``, and of those of an
    authority, marked as ``placeholder``: such a site is served with a pair of the host's own until it has another.

    Any other source but the user's own files is refused here, before anything is made.
    """
    wanted = []
    for index, site in enumerate(sites):
        where = f"certificates_sites[{index}]"
        mapping(site, where, ("name", "source", "names", "certificate", "key"), ("name", "source"))
        if site["source"] not in SOURCES:
            raise DeclarationError(f"{where}.source", site["source"], "Use selfsigned, letsencrypt or files.")
        if site["source"] == "files" and not (site.get("certificate") and site.get("key")):
            raise DeclarationError(where, site, "Name the files: certificate and key.")
        if site["source"] == "selfsigned":
            wanted.append({"name": site["name"], "names": certificate_names(site)})
        if site["source"] == "letsencrypt":
            wanted.append({"name": site["name"], "names": _public_names(site), "placeholder": True})
    return wanted


def acme_sites(sites):
    """What an authority is asked for: name and names of every site whose source is ``letsencrypt``."""
    return [{"name": site["name"], "names": site["names"]} for site in self_signed_sites(sites) if site.get("placeholder")]


def _public_names(site):
    """The names of a certificate of an authority: no address, and nothing that only a challenge by DNS could prove."""
    names = certificate_names(site)
    for name in names:
        if not DOMAIN.fullmatch(name) or name.replace(".", "").isdigit():
            remedy = "Write a host name without a star: an authority proves it by a request to port 80 of that very name."
            raise DeclarationError("certificates_sites", name, remedy)
    return names


def pair_folder(name, names, not_after):
    """Where a pair lies. The folder's name says what it is worth: one link's target tells whether it is still good."""
    digest = hashlib.sha256(" ".join(sorted(names)).encode()).hexdigest()[:8]
    return f".pairs/{name}.{not_after:%Y%m%d}.{digest}"


def pair_is_good(target, name, names, today, renew_days):
    """Whether the link's target is a pair for these very names that lasts ``renew_days`` more."""
    match = re.fullmatch(re.escape(f".pairs/{name}.") + PAIR, target or "")
    try:
        not_after = datetime.datetime.strptime(match[1] if match else "", "%Y%m%d").date()
    except ValueError:
        return False
    return pair_folder(name, names, not_after) == target and (not_after - today).days >= renew_days


def certificates_due(wanted, paths, today, renew_days=30, directory=TLS_DIRECTORY):
    """Those of the self-signed pairs that are missing, made for other names, or about to expire, by the snapshot.

    A placeholder is due where there is neither a good pair nor one of an authority, whatever that one's names are: it goes on until the
    authority has given another.
    """

    def is_good(site):
        path = f"{directory}/{site['name']}"
        target = paths.get(f"{path}.pair", {}).get("target")
        if site.get("placeholder") and is_acme_pair(target, site["name"]):
            return f"{path}.crt" in paths and f"{path}.key" in paths and lineage_file(site["name"]) in paths
        return f"{path}.crt" in paths and f"{path}.key" in paths and pair_is_good(target, site["name"], site["names"], today, renew_days)

    return [site for site in wanted if not is_good(site)]


def certificates_unused(wanted, paths, directory=TLS_DIRECTORY):
    """What is left of self-signed pairs for sites that are not among the ``wanted`` ones, by the snapshot: links, and folders."""
    links, folders = [], []
    names = {site["name"] for site in wanted}
    for path, entry in sorted(paths.items()):
        name = path[len(directory) + 1 : -len(".pair")]
        target = entry.get("target") or ""
        if path != f"{directory}/{name}.pair" or name in names or not re.fullmatch(re.escape(f".pairs/{name}.") + PAIR, target):
            continue
        links += [f"{directory}/{name}.{kind}" for kind in ("crt", "key", "pair") if f"{directory}/{name}.{kind}" in paths]
        folders.append(f"{directory}/{target}")
    return {"links": links, "folders": folders}


# Certificates of an authority. Their pair is a folder of links to certbot's own, so that a renewal changes what is served; its name
# says for which names and of which authority it is.


def lineage_name(name):
    """How certbot calls the certificate of a site: a name that is nobody else's on a host that had certbot before."""
    return f"mainstay-{name}"


def lineage_file(name, file="fullchain.pem"):
    return f"{LIVE}/{lineage_name(name)}/{file}"


def acme_folder(name, names, server):
    digest = hashlib.sha256(" ".join([*sorted(names), server]).encode()).hexdigest()[:8]
    return f".pairs/{name}.acme.{digest}"


def is_acme_pair(target, name):
    return bool(re.fullmatch(re.escape(f".pairs/{name}.acme.") + r"[0-9a-f]{8}", target or ""))


def acme_due(wanted, paths, server, directory=TLS_DIRECTORY):
    """Those of an authority's certificates that are missing, for other names, or of another authority, by the snapshot.

    Certbot's timer renews what is there: a run has nothing to do with it.
    """
    return [
        site
        for site in wanted
        if paths.get(f"{directory}/{site['name']}.pair", {}).get("target") != acme_folder(site["name"], site["names"], server)
        or lineage_file(site["name"]) not in paths
    ]


def acme_unused(wanted, paths):
    """The sites that certbot still renews a certificate ``mainstay-<name>`` for and that are not among the ``wanted`` ones, by the snapshot."""
    names = {lineage_name(site["name"]) for site in wanted}
    found = (re.fullmatch(rf"{LIVE}/({lineage_name('')}{DOMAIN.pattern})/fullchain\.pem", path) for path in sorted(paths))
    return [match[1][len(lineage_name("")) :] for match in found if match and match[1] not in names]


# Private certificate authorities


def ca_certificates(items):
    """One file for each certificate of PEM texts and files, as update-ca-certificates wants them: {name: text}.

    The name is the certificate's digest, so that the same certificate is never installed twice.
    """
    found = AUTHORITIES.read(items, "system_ca_certificates")
    texts = {f"mainstay-{hashlib.sha256(text.encode()).hexdigest()[:12]}.crt": text for certificates in found for text in certificates}
    return dict(sorted(texts.items()))
