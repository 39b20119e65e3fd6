# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mainstay.vps.plugins.filter import certificates
from ansible_collections.mainstay.vps.tests.unit.plugins.module_utils.derive.test_edge import OTHER, PEM

FILTERS = certificates.FilterModule().filters()


def test_a_refusal_is_ansible_s_own_error():
    with pytest.raises(AnsibleFilterError, match="certificates_sites"):
        FILTERS["self_signed_sites"]([{"name": "a.example.com", "source": "unknown"}])


def test_certificates_come_from_texts_and_from_files(tmp_path):
    (tmp_path / "ca.crt").write_text(OTHER)
    entries = FILTERS["ca_files"]([PEM, str(tmp_path / "ca.crt")])
    assert sorted(entry["content"] for entry in entries) == [PEM, OTHER]
    assert all(entry["dest"].startswith("/usr/local/share/ca-certificates/mainstay-") for entry in entries)


@pytest.mark.parametrize(("item", "word"), [("ca.crt", "absolute path"), ("/nonexistent/ca.crt", "cannot be read")])
def test_a_file_that_cannot_be_read_is_refused(item, word):
    with pytest.raises(AnsibleFilterError, match=word):
        FILTERS["ca_files"]([item])


def test_nothing_is_due_without_self_signed_sites():
    assert FILTERS["certificates_due"]([{"name": "a.example.com", "source": "files", "certificate": "/a", "key": "/b"}], {}) == []
