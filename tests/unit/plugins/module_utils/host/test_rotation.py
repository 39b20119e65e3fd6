# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.host import rotation
from fixture_host import Host

NGINX = "/var/log/nginx/*.log {\n\tdaily\n\tpostrotate\n\t\t[ -f x ] && { invoke-rc.d nginx rotate >/dev/null; } # ${x}\n\tendscript\n}\n"


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        (NGINX, ["/var/log/nginx/*.log"]),
        ('# /var/log/no {\nweekly\n/srv/a.log "/srv/with blank.log"\n/srv/b.log\n{\n olddir /old\n}\n/srv/c.log{\n}', None),
        ("", []),
        ("/srv/half {", []),
    ],
)
def test_the_logs_of_the_owner_s_files_are_known(tmp_path, text, patterns):
    host = Host(str(tmp_path))
    host.write("etc/logrotate.d/own", text)
    host.write("etc/logrotate.d/mainstay-shop", "/srv/shop/shared/logs/*.log {\n}\n")
    expected = ["/srv/a.log", "/srv/with blank.log", "/srv/b.log", "/srv/c.log"] if patterns is None else patterns
    assert rotation.rotated(host.root) == [{"file": "/etc/logrotate.d/own", "pattern": pattern} for pattern in expected]
