# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

from ansible_collections.mainstay.vps.plugins.module_utils.derive import certificates
from ansible_collections.mainstay.vps.plugins.plugin_utils.refusals import refused_as_filter_error


def certificates_due(sites, paths, renew_days=30):
    """The self-signed sites whose pair is missing or about to expire."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return certificates.certificates_due(certificates.self_signed_sites(sites), paths, today, int(renew_days))


def acme_due(sites, paths, server):
    """Those of an authority's certificates that the snapshot does not show."""
    return certificates.acme_due(sites, paths, server)


def acme_unused(sites, paths):
    """The names of sites that certbot renews a certificate for and that are not among these."""
    return certificates.acme_unused(sites, paths)


def ca_files(authorities, directory="/usr/local/share/ca-certificates"):
    """Entries for config_set, one for each certificate."""
    return [{"dest": f"{directory}/{name}", "content": text} for name, text in certificates.ca_certificates(authorities).items()]


class FilterModule:
    def filters(self):
        filters = {
            "certificate_sites": certificates.certificate_sites,
            "self_signed_sites": certificates.self_signed_sites,
            "certificates_due": certificates_due,
            "certificates_unused": certificates.certificates_unused,
            "acme_sites": certificates.acme_sites,
            "acme_due": acme_due,
            "acme_unused": acme_unused,
            "ca_files": ca_files,
        }
        return {name: refused_as_filter_error(function) for name, function in filters.items()}
