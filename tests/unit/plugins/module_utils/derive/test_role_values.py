# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.derive.mariadb import password_hash
from ansible_collections.mainstay.vps.plugins.module_utils.derive.postgresql import scram_verifier
from ansible_collections.mainstay.vps.plugins.module_utils.derive.role_values import refuse_role_values
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError

BACKUP = {"backup_repository": "/mnt/backups", "backup_password": "a password that is long"}
WORKS = [
    {},
    {"firewall_rules": [{"port": "80"}], "firewall_ssh_from": ["192.0.2.0/24"], "firewall_ssh_rate": "30/minute"},
    {"nginx_trusted_proxies": ["192.0.2.7", "2001:db8::/32"], "nginx_sorry_page": __file__},
    {"redis_instances": [{"name": "wiki-cache"}]},
    {"postgresql_databases": [{"name": "wiki", "password_verifier": scram_verifier("x" * 20, "wiki")}]},
    {"mariadb_databases": [{"name": "wiki", "password_hash": password_hash("x" * 20)}]},
    {"monitoring_alerts": [{"webhook": "https://hooks.example.com/x"}], "monitoring_ping_url": "https://hc-ping.com/x"},
    {"system_reboot_window": "04:30"},
    {"system_reboot_window": "", "system_upgrade_window": ""},
    {"system_upgrade_window": "Mon..Fri 03:00 America/New_York", "logrotate_calendar": "*:0/15"},
    {**BACKUP, "backup_folders": ["/srv/wiki"], "backup_keep": {"daily": 7}},
]
REFUSED = [
    ({"firewall_rules": [{"port": "99999"}]}, "firewall_rules[0].port: '99999'"),
    ({"firewall_ssh_rate": "many"}, "firewall_ssh_rate: 'many'"),
    ({"firewall_ssh_from": ["office"]}, "firewall_ssh_from: 'office'"),
    ({"ssh_trusted_networks": ["office"]}, "ssh_trusted_networks[0]: 'office'"),
    ({"nginx_trusted_proxies": ["192.0.2.7", "cdn"]}, "nginx_trusted_proxies[1]: 'cdn'"),
    ({"nginx_sorry_page": "/nowhere.html"}, "There is no such file on this machine."),
    ({"postgresql_client_hosts": ["backend"]}, "postgresql_client_hosts[0]: 'backend'"),
    ({"certificates_sites": [{"name": "a.example.com", "source": "files"}]}, "Name the files: certificate and key."),
    ({"redis_instances": [{"name": "a"}, {"name": "../a"}]}, "redis_instances[1].name: '../a'"),
    ({"postgresql_databases": [{"name": "wiki", "password_verifier": "plain"}]}, "postgresql_databases[0].password_verifier: '********'"),
    ({"mariadb_databases": [{"name": "wiki", "password_hash": "plain"}]}, "the filter mainstay.vps.mariadb_password_hash"),
    ({"logrotate_files": [{"name": "a", "user": "a", "paths": ["/a"], "maxsize": "50Q"}]}, "logrotate_files[0].maxsize: '50Q'"),
    ({"monitoring_alerts": [{"webhok": "x"}]}, "monitoring_alerts[0]: '********' cannot be used. Name exactly one of"),
    ({"monitoring_ping_url": "nowhere"}, "monitoring_ping_url: "),
    ({"system_reboot_window": "at night"}, "system_reboot_window: 'at night' cannot be used. Write a time of day such as 04:30"),
    ({"system_upgrade_window": "at night;"}, "system_upgrade_window: 'at night;' cannot be used. Write a calendar event of systemd"),
    ({"logrotate_calendar": ""}, "logrotate_calendar: '' cannot be used. Write a calendar event of systemd"),
    ({"logrotate_calendar": "0 * * * *"}, "logrotate_calendar: '0 * * * *' cannot be used. That is a line of cron; write a calendar"),
    ({**BACKUP, "backup_drill_schedule": "@weekly"}, "backup_drill_schedule: '@weekly' cannot be used. Write a calendar event"),
    ({**BACKUP, "backup_schedule": "0 3 * * *"}, "backup_schedule: '0 3 * * *' cannot be used. That is a line of cron;"),
    ({"backup_repository": "ftp://x"}, "backup_repository: 'ftp://x'"),
    ({**BACKUP, "backup_keep": {"dayly": 1}}, "backup_keep.dayly: 1 cannot be used. Did you mean 'daily'?"),
    ({**BACKUP, "backup_folders": ["wiki"]}, "backup_folders[0]: 'wiki' cannot be used. Write an absolute path"),
]


@pytest.mark.parametrize("given", WORKS)
def test_what_works_is_taken(given):
    refuse_role_values(given)


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_what_cannot_work_is_refused_in_one_sentence_before_a_role_changes_anything(given, words):
    with pytest.raises(DeclarationError) as refusal:
        refuse_role_values(given)
    assert words in str(refusal.value) and "plain" not in str(refusal.value)
