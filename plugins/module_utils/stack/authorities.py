# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of further authorities, as texts or as files of the control node: read once to refuse them, and again to install them."""

from __future__ import annotations

import os
import re

from .fields import Items, Text
from .refusal import refuse, texts_of

PEM_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)


class Authorities(Items):
    """A list of PEM texts and of absolute paths of files with some."""

    def __init__(self, **about):
        super().__init__(Text(), **about)

    def read(self, value, where):
        if isinstance(value, (list, tuple)):  # a certificate has more than one line
            return [certificates_of(item, f"{where}[{index}]") for index, item in enumerate(value)]
        refuse(where, value, f"write a list: [{value}]" if isinstance(value, str) and "\n" not in value else "write a list")
        return None


def certificates_of(item, where):
    """The certificates of one item, each in PEM with one line after the other."""
    text = item if isinstance(item, str) and "-----BEGIN" in item else _file(item, where)
    if "PRIVATE KEY-----" in text:
        refuse(where, "…", "it holds a private key; give certificates only")
    found = PEM_CERTIFICATE.findall(text)
    if not found:
        shown = item if text is not item else f"{item[:60]}…"
        refuse(where, shown, "no certificate is in it; give PEM, between BEGIN CERTIFICATE and END CERTIFICATE, or the path of such a file")
    return ["\n".join(line.strip() for line in certificate.splitlines() if line.strip()) + "\n" for certificate in found]


def _file(item, where):
    path = os.path.expanduser(texts_of([item], where)[0])
    if not os.path.isabs(path):
        refuse(where, item, "write the absolute path of a file on this machine, such as '{{ inventory_dir }}/ca.crt'")
    try:
        with open(path, encoding="utf-8", errors="replace") as pem:
            return pem.read()
    except OSError as error:
        refuse(where, item, f"the file cannot be read on this machine ({error.strerror}); write the path of one that can")
