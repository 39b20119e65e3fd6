# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of roles that no other test names: what somebody writes arrives in the file, or in what a task is given; and none is named nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.tiers import TIERS
from ansible_collections.mainstay.vps.tests.unit.declarations import SHOP as SHOP_APP
from ansible_collections.mainstay.vps.tests.unit.test_roles import ROLES as ALL
from ansible_collections.mainstay.vps.tests.unit.test_roles import _options, _trusted

ROLES = Path(__file__).parents[2] / "roles"
HOST = {
    "distribution": {"id": "debian", "codename": "trixie", "version": "13"},
    "packages": {"openssh-server": "1:10.0p1-7", "nginx": "1.26.3-3", "openssl": "3.5.1-1"},
    "container": False,
    "swap_mb": 0,
    "client_address": "198.51.100.7",
    "active": ["systemd-resolved.service"],
    "running": [],
    "paths": {},
    "ssh_ports": [22],
    "ipv6": True,
    "postgresql": {"clusters": [], "databases": {"shop": "shop"}, "extensions": {"shop": ["pg_stat_statements"]}},
}
SHOP = {"name": "shop", "user": "shop", "group": "shop", "paths": ["/srv/shop/shared/logs/*.log"]}
JOB = {"job": {"name": "mainstay-backup", "verb": "run", "what": "back up", "schedule": "daily"}}
PITR = {"postgresql_pitr_password": "of the table", "postgresql_pitr_repository": "/mnt/pitr"}
LIMITED = {"port": 80, "per_source": {"connections": 9}}
INSTALLED, RELEASE = ("main", "mainstay.vps.packages", "name"), ("release", "mainstay.vps.release")
SITE = {"site": trust_as_template("{{ nginx_sites[0] }}")}
APP = {"shop": {**SHOP_APP["shop"], "backup": {"check": "true"}}}
STACK = {
    "mainstay_apps": APP,
    "mainstay_secrets": {
        "shop": dict.fromkeys(("DATABASE_PASSWORD", "REDIS_CACHE_PASSWORD", "REDIS_QUEUE_PASSWORD", "SECRET_KEY"), "x" * 32)
    },
    "mainstay_plan": {
        **capacity.plan(normalise(APP), 100, {"web1": {"tiers": list(TIERS), "memory_mb": 8192, "cpus": 4}}),
        "releases": {"shop": "def"},
    },
}
MODEL = ("build", "ansible.builtin.set_fact", "__backend")
# role, a template of it, an expression or (file of tasks, key in it, ...), what is written, what is then in it
ARRIVES = [
    ("ssh", "sshd.conf.j2", {"ssh_password_authentication": True}, "PasswordAuthentication yes"),
    ("ssh", "sshd.conf.j2", {"ssh_keyboard_interactive": True}, "KbdInteractiveAuthentication yes"),
    ("ssh", "sshd.conf.j2", {"ssh_permit_root_login": "no"}, "PermitRootLogin no"),
    ("ssh", "sshd.conf.j2", {"ssh_login_grace_time": 33}, "LoginGraceTime 33"),
    ("ssh", "sshd.conf.j2", {"ssh_max_sessions": 3}, "MaxSessions 3\n"),
    (
        "ssh",
        "sshd.conf.j2",
        {"ssh_client_alive_interval": 34, "ssh_client_alive_count": 4},
        "ClientAliveInterval 34\nClientAliveCountMax 4\n",
    ),
    ("ssh", "sshd.conf.j2", {"ssh_log_level": "VERBOSE"}, "LogLevel VERBOSE\n"),
    ("ssh", "sshd.conf.j2", {"ssh_max_startups_per_source": 40}, "MaxStartups 80:30:160\nPerSourceMaxStartups 40\n"),
    ("ssh", "sshd.conf.j2", {"ssh_tcp_forwarding": True}, "AllowTcpForwarding yes"),
    ("ssh", "sshd.conf.j2", {"ssh_agent_forwarding": True}, "AllowAgentForwarding yes"),
    ("ssh", "sshd.conf.j2", {"ssh_kex_algorithms": ["a", "b"]}, "KexAlgorithms a,b\n"),
    ("ssh", "sshd.conf.j2", {"ssh_ciphers": ["a", "b"]}, "Ciphers a,b\n"),
    ("ssh", "sshd.conf.j2", {"ssh_macs": ["a", "b"]}, "MACs a,b\n"),
    ("ssh", "sshd.conf.j2", {"ssh_host_key_algorithms": ["a", "b"]}, "HostKeyAlgorithms a,b\n"),
    ("ssh", "sshd.conf.j2", {"ssh_version": "9.2"}, "KexAlgorithms sntrup761x25519-sha512@openssh.com"),
    ("fail2ban", "jail.local.j2", {"fail2ban_findtime": 77}, "findtime = 77\n"),
    ("fail2ban", "jail.local.j2", {"fail2ban_bantime": 78}, "\nbantime = 78\n"),
    ("fail2ban", "jail.local.j2", {"fail2ban_bantime_max": 79}, "bantime.maxtime = 79\n"),
    ("fail2ban", "fail2ban.local.j2", {"fail2ban_bantime_max": 79}, "dbpurgeage = 86479\n"),
    ("fail2ban", "jail.local.j2", {"fail2ban_ssh_ports": [22, 2222]}, "port = 22,2222\n"),
    ("fail2ban", "jail.local.j2", {"fail2ban_ssh_retries": 9}, "maxretry = 9\n"),
    ("fail2ban", "jail.local.j2", {"fail2ban_nginx": True, "fail2ban_nginx_ports": [8443]}, "port = 8443\n"),
    ("fail2ban", "jail.local.j2", {"fail2ban_nginx": True, "fail2ban_nginx_auth_retries": 31}, "maxretry = 31\n"),
    ("fail2ban", "jail.local.j2", {"fail2ban_nginx": True, "fail2ban_nginx_flood_retries": 32}, "maxretry = 32\n"),
    ("fail2ban", "nginx-auth.conf.j2", {"fail2ban_nginx_of_apps": False}, '401\\b.*" - - -$\n'),
    ("fail2ban", "nginx-flood.conf.j2", {"fail2ban_nginx_of_apps": False}, '429\\b.*" - - -$\n'),
    ("fail2ban", "jail.local.j2", {"fail2ban_trusted_proxies": ["192.0.2.0/24"]}, "192.0.2.0/24"),
    ("fail2ban", "fail2ban.service.conf.j2", {"fail2ban_memory_max_mb": 99}, "MemoryMax=99M\n"),
    ("firewall", "nftables.conf.j2", {"firewall_log_drops": True, "firewall_log_rate": "7/minute"}, "limit rate 7/minute log prefix"),
    ("firewall", "nftables.conf.j2", {"firewall_ssh_burst": 17}, "burst 17 packets"),
    (
        "firewall",
        "nftables.conf.j2",
        {"firewall_rules": [LIMITED], "firewall_unlimited_sources": ["192.0.2.9"]},
        "saddr != { 192.0.2.9/32 }",
    ),
    ("logrotate", "{{ __logrotate_stanzas }}", {"logrotate_files": [SHOP], "logrotate_frequency": "weekly"}, "'frequency': 'weekly'"),
    ("logrotate", "{{ __logrotate_stanzas }}", {"logrotate_files": [SHOP], "logrotate_rotate": 41}, "'rotate': 41"),
    ("logrotate", "{{ __logrotate_stanzas }}", {"logrotate_files": [SHOP], "logrotate_maxsize": "43M"}, "'maxsize': '43M'"),
    ("mariadb", "limits.conf.j2", {"mariadb_memory_max_mb": 600}, "MemoryMax=600M\n"),
    ("mariadb", "limits.conf.j2", {"mariadb_tasks_max": 61}, "TasksMax=61\n"),
    ("postgresql", "limits.conf.j2", {"postgresql_memory_max_mb": 600}, "MemoryMax=600M\n"),
    ("postgresql", "limits.conf.j2", {"postgresql_tasks_max": 61}, "TasksMax=61\n"),
    (
        "postgresql",
        "mainstay.conf.j2",
        {"postgresql_pitr_repository": "/mnt/pitr"},
        "archive_command = 'pgbackrest --stanza=main archive-push %p'\narchive_mode = 'on'\n",
    ),
    (
        "postgresql",
        "pgbackrest.conf.j2",
        {"postgresql_pitr_password": "x", "postgresql_pitr_repository": "/mnt/other"},
        "repo1-path=/mnt/other\nrepo1-cipher-type=aes-256-cbc\n",
    ),
    ("postgresql", "pgbackrest.conf.j2", {**PITR, "postgresql_pitr_keep_days": 33}, "repo1-retention-full=33\n"),
    ("postgresql", "pgbackrest.conf.j2", {**PITR, "postgresql_pitr_queue_mb": 99}, "archive-push-queue-max=99MiB\n"),
    ("postgresql", "pgbackrest.conf.j2", {**PITR, "postgresql_plan": {"max_wal_size_mb": 4096}}, "archive-push-queue-max=8192MiB\n"),
    ("postgresql", "pitr.service.j2", {**PITR, "postgresql_pitr_memory_max": "99M"}, "MemoryMax=99M\n"),
    ("postgresql", "{{ __postgresql_pitr_jobs }}", {**PITR, "postgresql_pitr_schedule": "Mon 04:44"}, "Mon 04:44"),
    ("postgresql", "{{ __postgresql_pitr_limits }}", {**PITR, "postgresql_pitr_max_age_hours": 77}, "77"),
    ("pgbouncer", "limits.conf.j2", {"pgbouncer_memory_max_mb": 60}, "MemoryMax=60M\n"),
    ("pgbouncer", "limits.conf.j2", {"pgbouncer_tasks_max": 61}, "TasksMax=61\n"),
    ("pgbouncer", "listen.ini.j2", {"pgbouncer_listen_addresses": ["127.0.0.1", "10.0.0.1"]}, "listen_addr = 127.0.0.1,10.0.0.1\n"),
    ("pgbouncer", "pgbouncer.ini.j2", {"pgbouncer_query_wait_timeout": 17}, "query_wait_timeout = 17\n"),
    ("nginx", "nginx.conf.j2", {"nginx_worker_processes": 3}, "worker_processes 3;"),
    ("nginx", "nginx.conf.j2", {"nginx_worker_rlimit_nofile": 4321}, "worker_rlimit_nofile 4321;"),
    ("nginx", "nginx.conf.j2", {"nginx_worker_connections": 1234}, "worker_connections 1234;"),
    ("nginx", "nginx.conf.j2", {"nginx_keepalive_timeout": 31}, "keepalive_timeout 31s;"),
    ("nginx", "nginx.conf.j2", {"nginx_keepalive_requests": 32}, "keepalive_requests 32;"),
    ("nginx", "nginx.conf.j2", {"nginx_client_header_timeout": 33}, "client_header_timeout 33s;"),
    ("nginx", "nginx.conf.j2", {"nginx_client_body_timeout": 34}, "client_body_timeout 34s;"),
    ("nginx", "nginx.conf.j2", {"nginx_send_timeout": 35}, "    send_timeout 35s;"),
    ("nginx", "{{ __nginx_headers }}", {"nginx_frame_options": "DENY"}, "'X-Frame-Options': 'DENY'"),
    ("nginx", "{{ __nginx_headers }}", {"nginx_hsts_max_age": 36}, "'Strict-Transport-Security': 'max-age=36'"),
    ("nginx", "nginx.conf.j2", {"nginx_tls_groups": ["X25519", "other"]}, "ssl_ecdh_curve X25519:other;"),
    ("system", "journald.conf.j2", {"system_journal_max_use": "501M"}, "SystemMaxUse=501M\n"),
    ("system", "journald.conf.j2", {"system_journal_runtime_max_use": "51M"}, "RuntimeMaxUse=51M\n"),
    ("system", "journald.conf.j2", {"system_journal_retention_days": 17}, "MaxRetentionSec=17day\n"),
    ("system", "journald.conf.j2", {"system_journal_rate_limit_interval": 18}, "RateLimitIntervalSec=18s\n"),
    ("system", "journald.conf.j2", {"system_journal_rate_limit_burst": 19}, "RateLimitBurst=19\n"),
    ("system", "modprobe.conf.j2", {"system_blocked_modules": ["mine"]}, "install mine /bin/false\n"),
    ("system", "proxy.conf.j2", {"system_apt_http_proxy": "http://proxy:1"}, 'Acquire::http::Proxy "http://proxy:1";'),
    ("system", "proxy.conf.j2", {"system_apt_https_proxy": "http://proxy:2"}, 'Acquire::https::Proxy "http://proxy:2";'),
    ("system", "upgrades.conf.j2", {"system_upgrade_blacklist": ["linux-"]}, '"linux-";'),
    ("system", "sysctl.conf.j2", {"system_sysctl": {"vm.swappiness": 7}}, "\nvm.swappiness = 7\n"),
    ("system", "hardening.conf.j2", {"system_hardening_sysctl": {"kernel.x": 7}}, "\n-kernel.x = 7\n"),
    ("system", "profile.sh.j2", {"system_login_umask": "077"}, "umask 077 ;;"),
    ("system", "profile.sh.j2", {"system_login_timeout": 901}, "TMOUT=901 ;;"),
    ("system", "profile.sh.j2", {"system_core_dumps": False}, "ulimit -c 0\n"),
    ("system", "{{ __system_all_packages }}", {"system_packages_extra": ["auditd"], "system_packages_early": ["git"]}, "'git', 'auditd'"),
    ("system", "hardening.conf.j2", {"system_core_dumps": False}, "fs.suid_dumpable = 0"),
    ("system", "{{ __system_files }}", {"system_banner": "Ours.\n"}, "'dest': '/etc/issue', 'content': 'Ours.\\n'"),
    ("system", "{{ __system_files }}", {"system_private_folders": ["/home/x"]}, "'dest': '/home/x', 'state': 'directory', 'mode': '0700'"),
    ("system", "{{ __system_files }}", {"system_local_name_resolution": False}, "/etc/systemd/resolved.conf.d/60-mainstay.conf"),
    ("system", "{{ __system_adds_swap }}", {"system_swap_mb": 512}, "True"),
    ("system", "{{ __system_timekeeper }}", {"system_time_sync": True}, "systemd-timesyncd.service"),
    ("system", "{{ __system_upgraders }}", {"system_security_upgrades": True}, "apt-daily-upgrade.timer"),
    ("system", INSTALLED, {"system_packages_meanwhile": ["mine"]}, "['mine']"),
    ("system", ("main", "mainstay.vps.packages", "start_later"), {"system_start_later": ["mine"]}, "['mine']"),
    ("backend", MODEL, {**STACK, "backend_releases": {"shop": "abc"}}, "'release': 'abc'"),
    ("backend", MODEL, {**STACK, "backend_proxy_hosts": ["192.0.2.9"]}, "192.0.2.9"),
    (
        "backend",
        ("provide", "mainstay.vps.packages", "name"),
        {"__backend": {"packages": ["git"]}, "backend_packages": ["libpq5"]},
        "libpq5",
    ),
    ("backend", ("provide", "mainstay.vps.deploy_lock", "max_age"), {"backend_lock_max_age": 901}, "901"),
    ("backend", ("release", "delegate_to"), {"backend_backup_host": "db7"}, "db7"),
    ("backend", (*RELEASE, "uv_version"), {"backend_uv_version": "0.1.2"}, "0.1.2"),
    ("backend", (*RELEASE, "timeout"), {"backend_build_timeout": 902}, "902"),
    ("backend", ("watch", "mainstay.vps.release_watch", "access_log"), {"backend_access_log": "/var/log/mine"}, "/var/log/mine"),
    ("backend", ("begin_watch", "mainstay.vps.release_watch", "access_log"), {"backend_access_log": "/var/log/mine"}, "/var/log/mine"),
    ("backend", "{{ __backend_environment }}", {**STACK, "backend_database_host": "192.0.2.5"}, "'DATABASE_HOST': '192.0.2.5'"),
    ("backend", "{{ __backend_environment }}", {**STACK, "backend_redis_host": "192.0.2.6"}, "@192.0.2.6:"),
    ("backend", "{{ __backend_environment }}", {**STACK, "backend_redis_ports": {"shop": {"cache": 7777, "queue": 7778}}}, ":7777/"),
    (
        "backend",
        "{{ __backend_app_egress_files }}",
        {"backend_egress": [{"name": "shop", "user": "shop", "rules": ["mine"]}]},
        "'rules': ['mine']",
    ),
    ("certificates", "{{ __certificates_packages }}", {"certificates_packages": ["mine"]}, "['mine']"),
    ("certificates", ("main", "mainstay.vps.selfsigned_certificate", "days"), {"certificates_days": 91}, "91"),
    ("certificates", ("main", "mainstay.vps.selfsigned_certificate", "renew_days"), {"certificates_renew_days": 92}, "92"),
    (
        "certificates",
        "{{ __certificates_environment }}",
        {"certificates_acme_environment": {"https_proxy": "http://proxy:4"}},
        "http://proxy:4",
    ),
    (
        "exporters",
        "{{ __exporters_packages }}",
        {"exporters_wanted": [{"name": "node", "address": "127.0.0.1", "port": 9100}]},
        "prometheus-node-exporter",
    ),
    ("exporters", "scrape.yml.j2", {"exporters_scrape_configs": [{"job_name": "mine"}]}, "job_name: mine"),
    ("fail2ban", INSTALLED, {"fail2ban_packages": ["mine"]}, "['mine']"),
    ("firewall", "{{ __firewall_packages }}", {"firewall_packages": ["mine"]}, "'mine'"),
    ("logrotate", INSTALLED, {"logrotate_packages": ["mine"]}, "['mine']"),
    ("mariadb", INSTALLED, {"mariadb_packages": ["mine"]}, "['mine']"),
    ("mariadb", "{{ __mariadb_wanted }}", {"mariadb_bind_addresses": ["127.0.0.1", "192.0.2.7"]}, "127.0.0.1,192.0.2.7"),
    ("mariadb", "{{ __mariadb_wanted }}", {"mariadb_plan": {"max_connections": 93}}, "'max_connections': '93'"),
    ("mariadb", "{{ __mariadb_wanted }}", {"mariadb_idle_transaction_timeout": 94}, "'idle_transaction_timeout': '94'"),
    ("mariadb", "{{ __mariadb_wanted }}", {"mariadb_max_statement_time": 95}, "'max_statement_time': '95'"),
    ("mariadb", "{{ __mariadb_wanted }}", {"mariadb_wait_timeout": 96}, "'wait_timeout': '96'"),
    ("monitoring", "{{ __monitoring_files }}", {"monitoring_agent": {"apps": ["mine"]}}, "mine"),
    ("monitoring", "{{ monitoring_agent }}", {**STACK, "monitoring_postgresql_version": "99"}, "postgresql@99-main.service"),
    ("monitoring", "{{ __monitoring_plan_file }}", {"monitoring_plan": {"host": "mine"}}, "mine"),
    ("monitoring", "{{ __monitoring_addresses }}", {"monitoring_address": "192.0.2.8"}, "192.0.2.8"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_timeout": 3.5}, "'timeout': 3.5"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_failures": 11}, "'failures': 11"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_successes": 12}, "'successes': 12"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_start_grace": 13}, "'start_grace': 13"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_stop_grace": 14}, "'stop_grace': 14"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_boot_grace": 15}, "'boot_grace': 15"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_queue_stuck_after": 16}, "'queue_stuck_after': 16"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_memory_restarts": False}, "'memory_restarts': False"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_disk_reclaim": False}, "'disk_reclaim': False"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_incidents_max_mb": 17}, "'incidents_max_mb': 17"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_reports_keep": 18}, "'reports_keep': 18"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_evidence_lines": 19}, "'evidence_lines': 19"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_dry_run": True}, "'dry_run': True"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_stable_after": 31}, "'stable_after': 31"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_restart_window": 32}, "'restart_window': 32"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_restart_burst": 33}, "'restart_burst': 33"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_restart_daily": 34}, "'restart_daily': 34"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_restart_global": 35}, "'restart_global': 35"),
    ("monitoring", "{{ __monitoring_settings }}", {"monitoring_busy_limit": 36}, "'busy_limit': 36"),
    ("monitoring", "{{ __monitoring_alerts }}", {"monitoring_alerts_escalate_after": 20}, "'escalate_after': 20"),
    ("monitoring", "{{ __monitoring_alerts }}", {"monitoring_proxies": {"https_proxy": "http://proxy:5"}}, "http://proxy:5"),
    ("monitoring", "{{ __monitoring_page_files }}", {"monitoring_status_page": {"title": "mine"}}, "mine"),
    ("monitoring", "mainstay-agent.service.j2", {"monitoring_memory_max": "99M"}, "MemoryMax=99M\n"),
    ("nginx", "http.conf.j2", {"nginx_connections_per_source": 21}, "limit_conn mainstay_sources 21;"),
    ("nginx", "http.conf.j2", {**STACK, "nginx_backlog": 222}, "backlog=222;"),
    ("nginx", "http.conf.j2", {"nginx_rate_limit_exempt": ["192.0.2.0/25"]}, "192.0.2.0/25"),
    ("nginx", "http.conf.j2", {"nginx_trusted_proxies": ["192.0.2.1"], "nginx_real_ip_header": "X-Mine"}, "real_ip_header X-Mine;"),
    (
        "nginx",
        "upstreams.conf.j2",
        {"nginx_upstreams": [{"name": "a", "servers": ["127.0.0.1:1"]}], "nginx_upstream_keepalive": 23},
        "keepalive 23;",
    ),
    ("nginx", "site.conf.j2", {**STACK, **SITE, "nginx_proxy_connect_timeout": 4}, "proxy_connect_timeout 4s;"),
    ("nginx", "limits.conf.j2", {"nginx_memory_max_mb": 24}, "MemoryMax=24M\n"),
    ("nginx", "limits.conf.j2", {"nginx_tasks_max": 25}, "TasksMax=25\n"),
    ("nginx", "status.conf.j2", {"nginx_status_port": 2626}, "listen 127.0.0.1:2626;"),
    ("pgbouncer", INSTALLED, {"pgbouncer_packages": ["mine"]}, "['mine']"),
    (
        "pgbouncer",
        "hba.conf.j2",
        {"pgbouncer_databases": [{"name": "shop", "owner": "shop"}], "pgbouncer_client_hosts": ["192.0.2.9"]},
        "192.0.2.9/32",
    ),
    ("pgbouncer", "{{ __pgbouncer_carries_statements }}", {"pgbouncer_version": "1.18"}, "False"),
    ("postgresql", "{{ __postgresql_wanted }}", {"postgresql_packages": ["mine"]}, "['mine']"),
    ("postgresql", ("databases", "configuration"), {"postgresql_owner_settings": {"lock_timeout": "27s"}}, "'lock_timeout': '27s'"),
    ("postgresql", "mainstay.conf.j2", {"postgresql_preload_libraries": ["mine"]}, "shared_preload_libraries = 'mine'\n"),
    (
        "postgresql",
        "{{ __postgresql_extensions }}",
        {"postgresql_databases": [{"name": "shop"}], "postgresql_extensions": ["mine"]},
        "mine",
    ),
    ("redis", INSTALLED, {"redis_packages": ["mine"]}, "['mine']"),
    ("backup", ("configure", "mainstay.vps.packages", "name"), {"backup_packages": ["mine"]}, "['mine']"),
    ("backup", "check.env.j2", {**STACK, "app": {"name": "shop"}, "backup_check_environment": {"shop": {"MINE": "1"}}}, 'MINE="1"'),
    ("backup", "job.service.j2", {"backup_memory_max": "333M"}, "MemoryMax=333M\n"),
    ("backup", "job.timer.j2", {"backup_random_delay_minutes": 13}, "RandomizedDelaySec=13min\n"),
    ("backup", "{{ __backup_limits }}", {"backup_max_age_hours": 44}, "'max_age_hours': 44"),
    ("backup", "{{ __backup_limits }}", {"backup_drill_max_age_days": 45}, "'drill_max_age_days': 45"),
    ("backup", "{{ __backup_jobs }}", {"backup_upkeep_schedule": "Sun 05:05"}, "'schedule': 'Sun 05:05'"),
    ("backup", "{{ __backup_config }}", {"backup_host": "other"}, "'host': 'other'"),
    ("backup", "{{ __backup_config }}", {"backup_proxies": {"https_proxy": "http://proxy:3"}}, "'https_proxy': 'http://proxy:3'"),
]


def _role(name, variables):
    read = {file: yaml.safe_load((ROLES / name / file / "main.yml").read_text()) for file in ("defaults", "vars")}
    given = {
        "ansible_managed": "managed",
        "inventory_hostname": "web1",
        "role_path": str(ROLES / name),
        "ansible_check_mode": False,
        "groups": {},
        "hostvars": {"web1": {}},
    }
    return Templar(
        DataLoader(), variables={**_trusted(read["defaults"]), **_trusted(read["vars"]), **given, "mainstay_host": HOST, **variables}
    )


def _values(found, path):
    """What stands under some keys anywhere in tasks."""
    if isinstance(found, list):
        return [value for item in found for value in _values(item, path)]
    if not isinstance(found, dict):
        return []
    below = [value for item in found.values() for value in _values(item, path)]
    if path[0] in found:
        below += [found[path[0]]] if len(path) == 1 else _values(found[path[0]], path[1:])
    return below


def _rendered(name, what, variables):
    role = _role(name, {**JOB, **variables})
    if isinstance(what, tuple):
        return str(role.template(_trusted(_values(yaml.safe_load((ROLES / name / "tasks" / f"{what[0]}.yml").read_text()), what[1:]))))
    return str(role.template(trust_as_template((ROLES / name / "templates" / what).read_text() if what.endswith(".j2") else what)))


@pytest.mark.parametrize(
    ("role", "what", "written", "told"), ARRIVES, ids=lambda value: list(value)[-1] if isinstance(value, dict) else None
)
def test_what_is_written_arrives(role, what, written, told):
    assert told in _rendered(role, what, written)


@pytest.mark.parametrize(
    ("role", "what", "written", "told"), ARRIVES, ids=lambda value: list(value)[-1] if isinstance(value, dict) else None
)
def test_nothing_else_says_so(role, what, written, told):
    """By default, or where the option says the contrary, it is not there: else the row would prove nothing."""
    name, value = list(written.items())[-1]
    others = {key: item for key, item in written.items() if key != name}
    if isinstance(value, bool):
        others[name] = not value
    assert told not in _rendered(role, what, {**({name: 0} if name == "system_swap_mb" else {}), **others})


def test_an_option_without_a_test_does_not_exist():
    """Each is named by a test, or set for one: in a scenario's variables, or in a playbook that a test runs."""
    tree = ROLES.parent
    texts = [
        path.read_text() for folder in ("molecule", "tests") for kind in ("*.py", "*.yml", "*.json") for path in (tree / folder).rglob(kind)
    ]
    named = set(re.findall(r"\w+", "\n".join(texts)))
    assert sorted(name for role in ALL for name in _options(role) if name not in named) == []


def test_a_site_without_a_route_for_all_shows_no_page_of_nginx_s_own():
    assert "\nroot /nonexistent;\n" in _rendered("nginx", "http.conf.j2", STACK)
