#!/usr/bin/python
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: selfsigned_certificate
short_description: Self-signed certificates that renew themselves
version_added: 0.1.0
author: mainstay contributors (@mainstay)
description:
  - Makes a self-signed certificate with an ECDSA P-256 key for each site that has none, whose names changed, or whose
    certificate is about to expire.
  - Certificate and key change together, in one step. Both lie in a folder
    C(<directory>/.pairs/<name>.<expiry date>.<digest of the names>), the link C(<directory>/<name>.pair) points to it, and
    C(<directory>/<name>.crt) and C(<directory>/<name>.key) lead through that link. Whoever reads the link's target knows
    whether the pair is still good.
requirements:
  - openssl
options:
  sites:
    description: The certificates to have.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the files, and the certificate's common name.
        type: str
        required: true
      names:
        description: Host names and IP addresses the certificate is valid for; O(sites[].name) when it is empty.
        type: list
        elements: str
        default: []
      placeholder:
        description: Whether a pair of an authority, as M(mainstay.vps.acme_certificate) obtains it, is as good.
        type: bool
        default: false
  directory:
    description: Where the files lie. It is created when it is missing.
    type: path
    default: /etc/mainstay/tls
  days:
    description: Days a new certificate is valid; browsers accept no more than 825 of one that the user trusts by hand.
    type: int
    default: 825
  renew_days:
    description: A certificate that lasts fewer days than this is renewed.
    type: int
    default: 30
attributes:
  check_mode:
    description: Can run in check mode and predict what would change.
    support: full
  diff_mode:
    description: Will return details on what has changed or would change.
    support: full
"""

EXAMPLES = r"""
- name: Have a certificate for the shop
  mainstay.vps.selfsigned_certificate:
    sites:
      - name: shop.example.com
        names: [shop.example.com, www.shop.example.com]
"""

RETURN = r"""
made:
  description: Names of the sites whose pair was, or would be, made.
  returned: success
  type: list
  elements: str
  sample: [shop.example.com]
"""

import datetime
import ipaddress
import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mainstay.vps.plugins.module_utils.derive.certificates import (
    DeclarationError,
    certificate_names,
    certificates_due,
    pair_folder,
)
from ansible_collections.mainstay.vps.plugins.module_utils.host.pairs import put_to_use, shown

REQUEST = """\
[req]
prompt = no
distinguished_name = subject
x509_extensions = extensions
[subject]
CN = {common_name}
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = {names}
"""


def alternative_name(name):
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def request(names):
    """The configuration openssl makes the certificate from; a common name holds at most 64 characters."""
    common_name = names[0] if len(names[0]) <= 64 else "mainstay"
    return REQUEST.format(common_name=common_name, names=", ".join(map(alternative_name, names)))


def make(module, directory, site, folder, days):
    pairs, fresh = os.path.join(directory, ".pairs"), os.path.join(directory, f"{folder}.new")
    os.makedirs(pairs, mode=0o755, exist_ok=True)
    shutil.rmtree(fresh, ignore_errors=True)
    os.mkdir(fresh, 0o755)
    module.run_command(
        [
            "openssl",
            "req",
            "-x509",
            "-config",
            "/dev/stdin",
            "-days",
            str(days),
            "-sha256",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-keyout",
            f"{fresh}/key",
            "-out",
            f"{fresh}/crt",
        ],
        data=request(site["names"]),
        check_rc=True,
        umask=0o077,
    )
    os.chmod(f"{fresh}/crt", 0o644)
    final = os.path.join(directory, folder)
    shutil.rmtree(final, ignore_errors=True)
    os.rename(fresh, final)
    put_to_use(directory, site["name"], folder)


def main():
    os.umask(0o022)  # the modes below are meant, whatever root's own is
    module = AnsibleModule(
        argument_spec={
            "sites": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "names": {"type": "list", "elements": "str", "default": []},
                    "placeholder": {"type": "bool", "default": False},
                },
            },
            "directory": {"type": "path", "default": "/etc/mainstay/tls"},
            "days": {"type": "int", "default": 825},
            "renew_days": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    days, renew_days = module.params["days"], module.params["renew_days"]
    directory = os.path.normpath(module.params["directory"])
    if not renew_days < days <= 825:
        remedy = f"Write a number above renew_days, which is {renew_days}, and up to 825."
        module.fail_json(msg=f"days: {days!r} cannot be used. {remedy}")
    try:
        sites = [{**site, "names": certificate_names(site)} for site in module.params["sites"]]
    except DeclarationError as error:
        module.fail_json(msg=str(error))
    today = datetime.datetime.now(datetime.timezone.utc).date()
    before = shown(directory)
    made, diff = [], []
    for site in certificates_due(sites, before, today, renew_days, directory):
        folder = pair_folder(site["name"], site["names"], today + datetime.timedelta(days=days))
        if not module.check_mode:
            make(module, directory, site, folder, days)
        link = f"{directory}/{site['name']}.pair"
        former = before.get(link, {}).get("target") or "missing"
        made.append(site["name"])
        diff.append({"before_header": link, "before": f"{former}\n", "after_header": link, "after": f"{folder}\n"})
    module.exit_json(changed=bool(made), made=made, diff=diff)


if __name__ == "__main__":
    main()
