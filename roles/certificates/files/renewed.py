# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certbot runs this after each renewal: nginx serves the new certificate, and the next renewal is due at a third of its lifetime.

Certbot before 4.0 renews thirty days before the end, whatever the lifetime: every day of one that lasts six days.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess


def lifetime(certificate):
    """Seconds from a certificate's beginning to its end."""
    said = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-dates"], capture_output=True, text=True, check=True).stdout
    begin, end = (ssl.cert_time_to_seconds(re.search(f"^{key}=(.+)$", said, re.MULTILINE)[1]) for key in ("notBefore", "notAfter"))
    return end - begin


def renew_at_a_third(lineage, settings):
    """Write into certbot's settings of a certificate when it is renewed, unless they say so."""
    line = f"renew_before_expiry = {max(1, lifetime(f'{lineage}/fullchain.pem') // 10800)} hours"
    with open(settings, encoding="utf-8") as file:
        before = file.read()
    after = re.sub(r"^#?\s*renew_before_expiry\s*=.*\n", "", before, flags=re.MULTILINE)
    after = f"{line}\n{after}"  # a key of the file's head, before its sections
    if after != before:
        with open(f"{settings}.new", "w", encoding="utf-8") as file:
            file.write(after)
        os.chmod(f"{settings}.new", os.stat(settings).st_mode & 0o777)
        os.replace(f"{settings}.new", settings)


def main():
    lineage = os.environ["RENEWED_LINEAGE"]
    name = os.path.basename(lineage)
    if name.startswith("mainstay-"):  # others on this host are somebody else's
        renew_at_a_third(lineage, f"/etc/letsencrypt/renewal/{name}.conf")
    if subprocess.run(["systemctl", "is-active", "--quiet", "nginx.service"], check=False).returncode == 0:
        subprocess.run(["nginx", "-t", "-q"], check=True)
        subprocess.run(["systemctl", "reload", "nginx.service"], check=True)


if __name__ == "__main__":
    main()
