# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.action.role_variables import ROLES, specification
from ansible_collections.mainstay.vps.plugins.module_utils.derive.mariadb import password_hash
from ansible_collections.mainstay.vps.plugins.module_utils.derive.postgresql import scram_verifier
from ansible_collections.mainstay.vps.plugins.module_utils.derive.role_fields import FIELDS
from ansible_collections.mainstay.vps.plugins.module_utils.derive.role_values import refuse_role_values
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import DeclarationError

BACKUP = {"backup_repository": "/mnt/backups", "backup_password": "a password that is long"}
PITR = {"postgresql_pitr_repository": "/mnt/pitr", "postgresql_pitr_password": "a password that is long"}
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
    {**BACKUP, **PITR, "postgresql_pitr_schedule": "Mon 01:30"},
    {**BACKUP, "backup_folders": ["/srv/wiki"], "backup_keep": {"daily": 7}},
    {"nginx_tls_groups": ["?X25519MLKEM768", "?new", "x25519", "P-256"], "system_login_umask": "", "system_apt_http_proxy": ""},
    {
        "postgresql_listen_addresses": ["*"],
        "redis_bind": ["127.0.0.1", "-::1"],
        "mariadb_client_hosts": ["10.0.0.0/255.255.255.0", "10.0.%"],
    },
    {"backend_surge_mb": None, "monitoring_interval": 7.0, "monitoring_retry_interval": 0.5, "nginx_worker_processes": "auto"},
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
    ({"nginx_tls_groups": ["X25519", "X2551"]}, "nginx_tls_groups[1]: 'X2551' cannot be used. Did you mean X25519, or a '?'"),
    ({"nginx_tls_groups": ["no sense"]}, "nginx_tls_groups[0]: 'no sense' cannot be used. Write the name of a key exchange"),
    ({"monitoring_interval": 0.0}, "monitoring_interval: 0.0 cannot be used. Use a number from 1 to 300."),
    ({"monitoring_revive_delays": [60, 0]}, "monitoring_revive_delays[1]: 0 cannot be used. Use a whole number from 1"),
    ({"monitoring_cooldown": 1000}, "monitoring_cooldown: 1000 cannot be used. It must be at most monitoring_cooldown_max, which is 900;"),
    ({"ssh_guard_seconds": 60}, "ssh_proof_seconds: 60 cannot be used. It must be less than ssh_guard_seconds, which is 60;"),
    ({"fail2ban_bantime": 0}, "fail2ban_bantime: 0 cannot be used. Use a whole number from 1 to"),
    ({"fail2ban_bantime_max": 60}, "fail2ban_bantime: 600 cannot be used. It must be at most fail2ban_bantime_max, which is 60;"),
    ({"backend_bake_max_error_rate": 5.0}, "backend_bake_max_error_rate: 5.0 cannot be used. Use a number from 0 to 1."),
    ({"backend_stop_timeout": {"web": 0}}, "backend_stop_timeout.web: 0 cannot be used. Use a whole number"),
    ({"backup_memory_max": "lots"}, "backup_memory_max: 'lots' cannot be used. Write a size such as 500M."),
    ({"backup_schedule": "@daily"}, "backup_schedule: '@daily' cannot be used. Write a calendar event"),
    ({"redis_bind": ["private"]}, "redis_bind[0]: 'private' cannot be used. Write an IP address"),
    ({"system_packages_extra": ["git, curl"]}, "system_packages_extra[0]: 'git, curl' cannot be used. Write names of Debian's packages"),
    ({"system_ca_certificates": ["ca.crt"]}, "system_ca_certificates[0]: 'ca.crt' cannot be used. Write the absolute path"),
    ({"system_login_umask": "27"}, "system_login_umask: '27' cannot be used. That is not a umask in quotes"),
    ({"system_upgrade_blacklist": ["postgresql-("]}, "system_upgrade_blacklist[0]: 'postgresql-(' cannot be used. That is no regular"),
    ({"postgresql_settings": {"work_mem": None}}, "postgresql_settings.work_mem: None cannot be used. Write a text, a number"),
    ({"postgresql_pitr_repository": "s3:https://x/y"}, "postgresql_pitr_repository: 's3:https://x/y' cannot be used. Write a folder"),
    ({"postgresql_pitr_repository": "/var/lib/postgresql/pitr"}, "/var/lib/postgresql is no place for it; take a folder on another disk"),
    ({"postgresql_pitr_repository": "/srv"}, "/srv is no place for it"),
    ({"postgresql_pitr_repository": "/mnt"}, "postgresql_pitr_repository: '/mnt' cannot be used. That is the root of something else"),
    ({**BACKUP, "postgresql_pitr_repository": "/mnt/backups/pitr"}, "It shares a folder with backup_repository"),
    ({**BACKUP, "postgresql_pitr_repository": "/mnt/backups"}, "It shares a folder with backup_repository"),
    ({**PITR, "postgresql_pitr_password": "plain"}, "postgresql_pitr_password: '********' cannot be used. Write one line of at least 16"),
    ({**PITR, "postgresql_pitr_keep_days": 0}, "postgresql_pitr_keep_days: 0 cannot be used. Use a whole number from 1"),
    ({**PITR, "postgresql_pitr_schedule": "30 1 * * *"}, "postgresql_pitr_schedule: '30 1 * * *' cannot be used. That is a line of cron"),
    ({**PITR, "postgresql_pitr_memory_max": "lots"}, "postgresql_pitr_memory_max: 'lots' cannot be used. Write a size"),
    ({**BACKUP, "backup_folders": ["wiki"]}, "backup_folders[0]: 'wiki' cannot be used. Write an absolute path"),
]


OPTIONS = {name: option for role in ROLES.iterdir() for name, option in specification(role).items()}
DEFAULTS = {name: option.get("default") for name, option in OPTIONS.items()}
# Texts that something else reads, or that may be any.
FREE = {
    *("backup_host_keys", "backup_password", "backup_repository", "backup_ssh_key", "firewall_ssh_from", "logrotate_maxsize"),
    *("postgresql_pitr_password", "postgresql_pitr_repository"),
    *("monitoring_ping_url", "nginx_sorry_page", "nginx_status_password", "ssh_banner", "system_banner", "backend_bind_address"),
}


def test_every_number_and_text_of_a_role_is_judged_and_its_default_works():
    scalars = {
        name
        for name, option in OPTIONS.items()
        if option.get("elements", option["type"]) in ("int", "float", "str", "path") and "choices" not in option
    }
    assert scalars - FREE == set(FIELDS)
    refuse_role_values({name: value for name, value in DEFAULTS.items() if value is not None and name in FIELDS})


@pytest.mark.parametrize("given", WORKS)
def test_what_works_is_taken(given):
    refuse_role_values(given)


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_what_cannot_work_is_refused_in_one_sentence_before_a_role_changes_anything(given, words):
    with pytest.raises(DeclarationError) as refusal:
        refuse_role_values(given, DEFAULTS)
    assert words in str(refusal.value) and "plain" not in str(refusal.value)
