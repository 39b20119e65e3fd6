#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: acme_certificate
short_description: Certificates of an authority by certbot, for many sites in one go
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Obtains a certificate from an ACME authority such as Let's Encrypt for each site that has none for its names, and puts it to use.
  - Asks first what the authority would ask. Every name needs an address, and each of its addresses has to answer with a file that this
    module lays into O(webroot), and no CAA record may forbid the authority. A name that would fail is told with the record to set, and
    the authority is not asked.
  - Every site has a certificate of its own, and all are tried. Where one fails, the others have theirs, that site keeps the pair it had,
    and the module fails at the end with the reason and the remedy of each.
  - Puts a certificate to use as M(mainstay.vps.selfsigned_certificate) does, by the link C(<directory>/<name>.pair).
  - Renewals are certbot's own business. What is there for these names and of this authority is left alone.
  - Registers an account with the authority where certbot has none, which accepts its terms of service.
requirements:
  - certbot
  - a web server that answers C(http://<name>/.well-known/acme-challenge/) from O(webroot)
options:
  sites:
    description: The certificates to have.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the files.
        type: str
        required: true
      names:
        description: Host names the certificate is for.
        type: list
        elements: str
        required: true
  server:
    description: URL of the authority's directory.
    type: str
    default: https://acme-v02.api.letsencrypt.org/directory
  email:
    description: Address the authority may write to; none when it is empty.
    type: str
    default: ""
  addresses:
    description: Addresses that lead to this host though it has others, such as that of a router.
    type: list
    elements: str
    default: []
  identity:
    description:
      - Name by which CAA records call the authority; without it that of Let's Encrypt, where it is asked.
      - CAA records of another authority are not looked up while nobody has said how they call it.
    type: str
    default: ""
  nameservers:
    description: Addresses of the name servers that are asked for CAA records; without it those of C(/etc/resolv.conf).
    type: list
    elements: str
    default: []
  unused:
    description:
      - Names of sites that are no longer declared, whose certificates C(mainstay-<name>) of certbot are deleted, and their pairs.
      - One that a file in O(sites_directory) still leads to stays.
    type: list
    elements: str
    default: []
  sites_directory:
    description: Where the web server's configuration of the sites lies.
    type: path
    default: /etc/nginx/mainstay/sites
  webroot:
    description: Folder of the challenges. It is created when it is missing, and must be root's alone.
    type: path
    default: /var/lib/mainstay/acme
  directory:
    description: Where the links lie.
    type: path
    default: /etc/mainstay/tls
  deploy_hook:
    description: Program to run after a certificate was put to use, with its folder in C(RENEWED_LINEAGE), as certbot runs it at renewals.
    type: path
    default: /etc/letsencrypt/renewal-hooks/deploy/mainstay
attributes:
  check_mode:
    description: Can run in check mode and predict what would change. Neither the names nor the authority are asked then.
    support: full
  diff_mode:
    description: Will return details on what has changed or would change.
    support: full
"""

EXAMPLES = r"""
- name: Obtain a certificate for the shop
  mainstay.vps.acme_certificate:
    email: hostmaster@example.com
    sites:
      - name: shop.example.com
        names: [shop.example.com, www.shop.example.com]
"""

RETURN = r"""
obtained:
  description: Names of the sites that have, or would have, a new certificate.
  returned: always
  type: list
  elements: str
  sample: [shop.example.com]
deleted:
  description: Names of the sites whose certificates were, or would be, deleted.
  returned: always
  type: list
  elements: str
failed_sites:
  description: What went wrong, by the name of the site, each with the remedy.
  returned: always
  type: dict
  sample: {blog.example.com: "blog.example.com has no address. Set the A or AAAA record of blog.example.com to this host (192.0.2.7)."}
notices:
  description: What could not be made sure before the authority was asked.
  returned: always
  type: list
  elements: str
"""

import http.client
import os
import secrets
import shutil
import socket
import struct

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mainstay.vps.plugins.module_utils.derive import caa
from ansible_collections.mainstay.vps.plugins.module_utils.derive.acme import certbot_command, judged, reason, same_authority
from ansible_collections.mainstay.vps.plugins.module_utils.derive.certificates import (
    acme_due,
    acme_folder,
    is_acme_pair,
    lineage_file,
    lineage_name,
)
from ansible_collections.mainstay.vps.plugins.module_utils.host.pairs import link_pair, shown
from ansible_collections.mainstay.vps.plugins.module_utils.text import read

SECONDS = 5  # that an address may take to answer
CHALLENGE = ".well-known/acme-challenge"


def addresses_of(name):
    """The name's addresses as this host resolves it, each once."""
    try:
        return list(dict.fromkeys(entry[4][0] for entry in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)))
    except OSError:
        return []


def is_here(address):
    """Whether the address is one of this host's: only those can be bound."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((address, 0))
        except OSError:
            return False
    return True


def own_addresses():
    """The addresses this host would reach the internet from. Nothing is sent for it."""
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as trial:
                trial.connect((elsewhere, 80))
                found.append(trial.getsockname()[0])
        except OSError:
            continue
    return found


def ask(name, address, token):
    """Whether an address answers the name's challenge with the token; see ``judged``."""
    connection = http.client.HTTPConnection(address, 80, timeout=SECONDS)
    try:
        connection.request("GET", f"/{CHALLENGE}/{token}", headers={"Host": name, "Connection": "close"})
        answer = connection.getresponse()
        return {"answer": answer.read(len(token) + 1) == token.encode(), "status": answer.status, "error": None}
    except (OSError, http.client.HTTPException) as error:
        return {"answer": None, "status": None, "error": getattr(error, "strerror", None) or str(error) or type(error).__name__}
    finally:
        connection.close()


def caa_records(name, servers):
    """A name's own CAA records, as the first name server that answers has them.

    :raises OSError: where none does.
    """
    number, problem = secrets.randbelow(65536), OSError("no name server is known")
    asked = caa.question(name, number)
    for server in servers:
        try:
            with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as connection:
                connection.settimeout(SECONDS)
                connection.connect((server, 53))
                connection.send(asked)
                found, is_cut = caa.answer(connection.recv(4096), number)
            return caa.answer(_by_tcp(server, asked), number)[0] if is_cut else found
        except (OSError, ValueError) as error:
            problem = error
    raise OSError(str(problem))


def _by_tcp(server, asked):
    with socket.create_connection((server, 53), SECONDS) as connection, connection.makefile("rb") as answer:
        connection.sendall(struct.pack("!H", len(asked)) + asked)
        return answer.read(struct.unpack("!H", answer.read(2).rjust(2, b"\0"))[0])


def forbidden_by_caa(name, identity, servers):
    """Why CAA records let the authority give out no certificate for a name, or None, and notices."""
    for holder in caa.climb(name):
        try:
            records = caa_records(holder, servers)
        except OSError as error:
            return None, [f"The CAA records of {holder} could not be looked up ({error}); the authority will see them."]
        if records:
            return caa.forbidden(name, holder, records, identity), []
    return None, []


def problem_of(names, token, declared, identity, servers):
    """What is wrong with the first of the names that the authority would refuse, or None, and notices."""
    notices = []
    for name in names:
        findings = [
            {"address": address, "here": address in declared or is_here(address), **ask(name, address, token)}
            for address in addresses_of(name)
        ]
        problem, told = judged(name, findings, declared or own_addresses())
        notices += told
        if identity and not problem:
            problem, told = forbidden_by_caa(name, identity, servers)
            notices += told
        if problem:
            return problem, notices
    return None, notices


def is_served(name, directory, sites_directory):
    """Whether the web server still uses a certificate that is to be deleted, as after a run that did not configure it."""
    needles = [f"{lineage_name(name)}/"]
    if is_acme_pair(shown(directory).get(f"{directory}/{name}.pair", {}).get("target"), name):
        needles.append(f"{directory}/{name}.")
    files = [os.path.join(sites_directory, file) for file in os.listdir(sites_directory)] if os.path.isdir(sites_directory) else []
    return any(needle in read(file) for file in files for needle in needles)


def delete(module, name):
    """Delete what certbot has of a site that is no longer declared, and the pair that led there; what went wrong, or None."""
    code, output, errors = module.run_command(["certbot", "delete", "--non-interactive", "--cert-name", lineage_name(name)])
    if code:
        return reason(f"{output}\n{errors}")
    directory = module.params["directory"]
    target = shown(directory).get(f"{directory}/{name}.pair", {}).get("target")
    if is_acme_pair(target, name):
        for kind in ("crt", "key", "pair"):
            if os.path.islink(f"{directory}/{name}.{kind}"):
                os.unlink(f"{directory}/{name}.{kind}")
        shutil.rmtree(os.path.join(directory, target), ignore_errors=True)
    return None


def obtain(module, site):
    """Obtain one certificate and put it to use; what went wrong, or None."""
    options = module.params
    renewal = read(f"/etc/letsencrypt/renewal/{lineage_name(site['name'])}.conf")
    force = bool(renewal) and not same_authority(renewal, options["server"])
    command = certbot_command(site, options["server"], options["email"], options["webroot"], force)
    code, output, errors = module.run_command(command)
    if code:
        return reason(f"{output}\n{errors}", read("/var/log/letsencrypt/letsencrypt.log"))
    folder = acme_folder(site["name"], site["names"], options["server"])
    files = (lineage_file(site["name"], "fullchain.pem"), lineage_file(site["name"], "privkey.pem"))
    link_pair(options["directory"], site["name"], folder, *files)
    if options["deploy_hook"]:
        lineage = os.path.dirname(files[0])
        code, output, errors = module.run_command([options["deploy_hook"]], environ_update={"RENEWED_LINEAGE": lineage})
        if code:
            return f"The certificate is there, but {options['deploy_hook']} failed: {(errors or output).strip()[-600:]}"
    return None


def main():
    os.umask(0o022)  # the web server reads what is laid into the webroot
    module = AnsibleModule(
        argument_spec={
            "sites": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "names": {"type": "list", "elements": "str", "required": True},
                },
            },
            "server": {"type": "str", "default": "https://acme-v02.api.letsencrypt.org/directory"},
            "email": {"type": "str", "default": ""},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "identity": {"type": "str", "default": ""},
            "nameservers": {"type": "list", "elements": "str", "default": []},
            "unused": {"type": "list", "elements": "str", "default": []},
            "sites_directory": {"type": "path", "default": "/etc/nginx/mainstay/sites"},
            "webroot": {"type": "path", "default": "/var/lib/mainstay/acme"},
            "directory": {"type": "path", "default": "/etc/mainstay/tls"},
            "deploy_hook": {"type": "path", "default": "/etc/letsencrypt/renewal-hooks/deploy/mainstay"},
        },
        supports_check_mode=True,
    )
    options = module.params
    before = shown(options["directory"])
    obtained, deleted, failed, notices, diff = [], [], {}, [], []
    identity = caa.identity_of(options["server"], options["identity"])
    servers = options["nameservers"] or caa.nameservers(read("/etc/resolv.conf"))
    token = f"mainstay-{secrets.token_urlsafe(24)}"
    laid = os.path.join(options["webroot"], CHALLENGE, token)
    due = acme_due(options["sites"], before, options["server"], options["directory"])
    try:
        if due and not module.check_mode:
            os.makedirs(os.path.dirname(laid), mode=0o755, exist_ok=True)
            with open(laid, "w", encoding="ascii") as file:
                file.write(token)
        for site in due:
            if not module.check_mode:
                problem, told = problem_of(site["names"], token, options["addresses"], identity, servers)
                notices += told
                problem = problem or obtain(module, site)
                if problem:
                    failed[site["name"]] = problem
                    continue
            obtained.append(site["name"])
            link = f"{options['directory']}/{site['name']}.pair"
            former = before.get(link, {}).get("target") or "missing"
            after = acme_folder(site["name"], site["names"], options["server"])
            diff.append({"before_header": link, "before": f"{former}\n", "after_header": link, "after": f"{after}\n"})
    finally:
        if os.path.exists(laid):
            os.unlink(laid)
    for name in options["unused"]:
        # What a run of all predicts to go goes before this does.
        if not module.check_mode and is_served(name, options["directory"], options["sites_directory"]):
            notices.append(f"The certificate of {name} is served, though the site is not declared; a run of all of site.yml removes both.")
            continue
        problem = None if module.check_mode else delete(module, name)
        if problem:
            notices.append(f"The certificate {lineage_name(name)} of certbot could not be deleted. {problem}")
            continue
        deleted.append(name)
        lineage = os.path.dirname(lineage_file(name))
        diff.append({"before_header": lineage, "before": "of a site that is no longer declared\n", "after_header": lineage, "after": ""})
    result = {
        "changed": bool(obtained or deleted),
        "obtained": obtained,
        "deleted": deleted,
        "failed_sites": failed,
        "notices": notices,
        "diff": diff,
    }
    for notice in notices:
        module.warn(notice)
    if failed:
        told = " ".join(f"{name}: no certificate of {options['server']}. {problem}" for name, problem in failed.items())
        module.fail_json(
            msg=f"{told} What is not named has its certificate, and all sites are served: these with the one they had.", **result
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
