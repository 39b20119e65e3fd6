# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.proxies import proxies


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, {}),
        (None, {}),
        ({"https_proxy": "http://p:3128", "PIP_INDEX_URL": "https://x"}, {"https_proxy": "http://p:3128"}),
        ({"HTTP_PROXY": "a", "NO_PROXY": "b", "all_proxy": "c"}, {"HTTP_PROXY": "a", "NO_PROXY": "b", "all_proxy": "c"}),
        ({"MY_http_proxy": "a", "http_proxy_user": "b"}, {}),
    ],
)
def test_what_names_a_proxy_is_taken_and_nothing_else(environment, found):
    assert proxies(environment) == found
