# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an authority is asked for certificates: what has to be true before, the command, and what its answer means."""

from __future__ import annotations

import re

from ..text import printable
from .certificates import lineage_name

# The authority follows these, so what stands behind them is not for this host to judge.
REDIRECTS = (301, 302, 307, 308)
# The authority's own types of errors (RFC 8555, section 6.7), and what helps.
REMEDIES = {
    "rateLimited": "Wait as long as it says; try with certificates_acme_server of the authority's staging environment meanwhile.",
    "caa": "Let the CAA records of the name allow this authority, or remove them.",
    "dns": "Set the A or AAAA record of the name to this host.",
    "connection": "Open port 80 of this host to the internet, in the provider's firewall, too.",
    "unauthorized": "Let the A and AAAA records of the name lead to this host alone.",
    "rejectedIdentifier": "The authority gives no certificate for this name; use tls: selfsigned, or another name.",
    "accountDoesNotExist": "Forget the account by certbot unregister --server, with the same server, on the host, and run again.",
    "externalAccountRequired": "This authority wants an account of its own making; register it with certbot on the host first.",
}
# What certbot itself says where the authority has not.
_UNREACHED = "Nothing answers at certificates_acme_server: see whether it is up, and whether the host may connect to it."
SIGNS = (
    (
        "certificate_verify_failed",
        "Name in certificates_acme_ca a file on the host with the CA that the authority's own server is signed by.",
    ),
    (
        "certificate verify failed",
        "Name in certificates_acme_ca a file on the host with the CA that the authority's own server is signed by.",
    ),
    ("connectionerror", _UNREACHED),
    ("connection refused", _UNREACHED),
    ("timed out", _UNREACHED),
    ("name resolution", _UNREACHED),
    ("max retries exceeded", _UNREACHED),
    ("another instance of certbot", "Let the other one end."),
)
LOG = "The whole story is in /var/log/letsencrypt/letsencrypt.log on the host."


def certbot_command(site, server, email, webroot, force=False):
    """The words of the command that obtains a site's certificate, for all its names, or extends it to them.

    :param force: Whether a certificate that is still good is obtained again, as from another authority.
    """
    names = [word for name in site["names"] for word in ("--domain", name)]
    return [
        "certbot",
        "certonly",
        "--non-interactive",
        "--agree-tos",
        *(["--email", email, "--no-eff-email"] if email else ["--register-unsafely-without-email"]),
        "--server",
        server,
        "--webroot",
        "--webroot-path",
        webroot,
        "--key-type",
        "ecdsa",
        "--cert-name",
        lineage_name(site["name"]),
        "--renew-with-new-domains",
        "--force-renewal" if force else "--keep-until-expiring",
        *names,
    ]


def same_authority(renewal, server):
    """Whether certbot's file about a certificate, ``/etc/letsencrypt/renewal/<lineage>.conf``, names this server."""
    found = re.search(r"^server\s*=\s*(\S+)", renewal, re.MULTILINE)
    return bool(found) and found[1] == server


def judged(name, findings, own):
    """What is wrong with a name before the authority is asked, or None, and what a reader should know all the same.

    An address that answers with the token is this host's, whatever it is. One that does not answer may be this host's behind a router
    that does not lead its own hosts back to themselves: only who declared it can know.

    :param findings: One for each address of the name: ``{address, here, answer, status, error}``. ``here`` tells whether the address is
        this host's, or declared as such. ``answer`` is whether the token came back, or None where nothing answered, because of ``error``.
    :param own: Addresses to name as this host's.
    """
    should = (
        f"Set the A or AAAA record of {name} to this host ({', '.join(own)})" if own else f"Set the A or AAAA record of {name} to this host"
    )
    if not findings:
        return f"{name} has no address. {should}.", []
    notices = []
    for finding in findings:
        record = f"The {'AAAA' if ':' in finding['address'] else 'A'} record of {name}, {finding['address']},"
        if finding["answer"]:
            continue
        if finding["answer"] is None and not finding["here"]:
            return (
                f"{record} is no address of this host and does not answer on port 80 ({finding['error']}). {should}, or where a router "
                "leads that address here, name it in certificates_acme_addresses."
            ), notices
        if finding["answer"] is None:
            notices.append(
                f"{record} does not answer from here ({finding['error']}); whether it does from elsewhere, the authority will see."
            )
        elif finding["status"] in REDIRECTS:
            notices.append(f"{record} leads elsewhere (status {finding['status']}); the authority will follow.")
        else:
            return (
                f"{record} leads to a server that is not this nginx: it answers the path of the challenge with status "
                f"{finding['status']}. {should}."
            ), notices
    return None, notices


def reason(output, log=""):
    """What an authority or certbot said, in a line, and what helps.

    :param log: Certbot's own log of that run. Certbot 2.1 says "can't set attribute" where the authority has refused, and only the log
        tells what.
    """
    details = re.findall(r"^\s*(?:Identifier|Domain):\s*(\S+)\s*\n\s*Type:\s*(\S+)\s*\n\s*Detail:\s*(.+)$", output, re.MULTILINE)
    if details:
        said = "; ".join(f"{domain}: {kind}, {detail.strip()}" for domain, kind, detail in details)
    else:
        noise = re.compile(r"^(Saving debug log|Ask for help|Account registered|Requesting a certificate|Renewing an existing|\s*$)")
        lines = [line.strip() for line in output.splitlines() if not noise.match(line)]
        said = " ".join(re.sub(r"Ask for help or search.*|See the logfile.*", "", line) for line in lines[-3:]).strip()
    kind = details[0][1] if details else None
    refused = re.findall(r"urn:ietf:params:acme:error:(\w+) :: (.+)", f"{output}\n{log}")
    if refused and not details:
        kind, said = refused[-1][0], ": ".join(refused[-1])
    remedy = REMEDIES.get(kind) or next((helps for sign, helps in SIGNS if sign in said.lower()), LOG)
    return f"{printable(said)[:600].rstrip('.') or 'certbot failed without a word'}. {remedy}"
