# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each number and text of the roles' variables may be, beside its type and its choices, which the specifications have."""

from __future__ import annotations

import re

from ..stack.agent_limits import LIMITS
from ..stack.apps import PACKAGE
from ..stack.authorities import Authorities
from ..stack.calendars import event_of
from ..stack.fields import Field, Items, Number, Numbers, Perhaps, Text, Whole
from ..stack.names import Address, HostName, Proxy
from ..stack.refusal import nearest, refuse, text_of
from ..stack.routes import Networks
from .firewall import RATE

DAY, YEAR, COUNT = 86400, 366 * 86400, 1000000
MEMORY_MB = Whole(0, 64 * 1024 * 1024)
ABSOLUTE = Text(re.compile(r"/[^\s\"'\\;{}$]+"), "write an absolute path, without blanks and quotes")
SIZE = Text(re.compile(r"[1-9]\d*[KMGT]"), "write a size such as 500M")
TIME = Text(re.compile(r"([01]?\d|2[0-3]):[0-5]\d"), "write a time of day such as 04:30, in quotes")
FREQUENCY = Text(RATE, "write a number per second, minute or hour, such as 6/minute")
PACKAGES = Items(Text(re.compile(rf"{PACKAGE.pattern}(:[a-z0-9-]+)?"), "write names of Debian's packages, such as libpq5"))
ALGORITHMS = Items(Text(re.compile(r"[A-Za-z0-9@.+-]+"), "write names of algorithms, such as ssh -Q kex, cipher, mac and key show"))
PORTS = Numbers(Whole(1, 65535))
# Of OpenSSL, up to 3.5; `openssl list -tls-groups` shows those of a version.
TLS_GROUPS = (
    *("X25519", "X448", "prime256v1", "P-256", "secp256r1", "secp384r1", "P-384", "secp521r1", "P-521", "secp256k1"),
    *("brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1", "brainpoolP256r1tls13", "brainpoolP384r1tls13", "brainpoolP512r1tls13"),
    *("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"),
    *("X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "MLKEM512", "MLKEM768", "MLKEM1024"),
)


class Listen(Field):
    """An address to listen on, or a word for some."""

    def __init__(self, *words, **about):
        super().__init__(**about)
        self.words = words

    def read(self, value, where):
        if value not in self.words:
            Address(loopback=True, unspecified=True).read(str(value).removeprefix("-"), where)
        return value


class Clients(Field):
    """An address, or a network as MariaDB writes one."""

    def read(self, value, where):
        return text_of(value, where, re.compile(r"[0-9A-Fa-f:.]+(/[0-9.]+)?|[0-9.]*%"), "write an address, the server resolves no names")


class TlsGroup(Field):
    """A key exchange that OpenSSL knows; what it may lack has a mark before it."""

    def read(self, value, where):
        known = {name.lower() for name in TLS_GROUPS}
        name = text_of(value, where, re.compile(r"\??[A-Za-z0-9-]+"), "write the name of a key exchange, such as X25519").lower()
        if name not in known and not name.startswith("?"):
            near = nearest(name, TLS_GROUPS)
            known = f"did you mean {near}" if near else f"write one that OpenSSL has, such as {' and '.join(TLS_GROUPS[:3])}"
            refuse(where, value, f"{known}, or a '?' before it, with which one that is unknown is skipped")
        return value


class Pattern(Field):
    """A regular expression of Python, in which unattended-upgrades reads it."""

    def read(self, value, where):
        try:
            return re.compile(text_of(value, where))
        except re.error as error:
            return refuse(where, value, f"that is no regular expression: {error}")


class Event(Field):
    """A calendar event of systemd."""

    def read(self, value, where):
        return event_of(value, where)


FIELDS = {
    **{f"monitoring_{name}": Number(*bounds) for name, bounds in LIMITS.items()},
    "backend_access_log": ABSOLUTE,
    "backend_backup_host": Text(),
    "backend_bake_max_error_rate": Number(0, 1),
    "backend_bake_max_latency_ms": Whole(1, COUNT),
    "backend_bake_seconds": Whole(0, 3600),
    "backend_build_memory_mb": Whole(16, MEMORY_MB.high),
    "backend_build_timeout": Whole(1, DAY),
    "backend_database_host": HostName(),
    "backend_keep_releases": Whole(1, 1000),
    "backend_lock_max_age": Whole(1, DAY),
    "backend_minimum_free_mb": Whole(0, 1000 * COUNT),
    "backend_packages": PACKAGES,
    "backend_proxy_hosts": Networks(),
    "backend_redis_host": HostName(),
    "backend_start_timeout": Whole(1, DAY),
    "backend_surge_mb": Perhaps(MEMORY_MB),
    "backend_uv_hashes": Items(Text(re.compile(r"[0-9a-f]{64}"), "write SHA-256 in hexadecimal digits, as PyPI lists them")),
    "backend_uv_version": Text(re.compile(r"\d+(\.\d+)+\S*"), "write a version in quotes, such as '0.13.9'"),
    "backup_drill_max_age_days": Whole(1, 3650),
    "backup_drill_schedule": Event(),
    "backup_folders": Items(Text(re.compile(r"/.+"), "write an absolute path, such as /srv/wiki")),
    "backup_host": Text(re.compile(r"[A-Za-z0-9._-]+"), "write a name of letters, digits, '.', '-' and '_'"),
    "backup_max_age_hours": Whole(1, 87600),
    "backup_memory_max": SIZE,
    "backup_packages": PACKAGES,
    "backup_random_delay_minutes": Whole(0, 1440),
    "backup_schedule": Event(),
    "backup_upkeep_schedule": Event(),
    "certificates_acme_addresses": Items(Address()),
    "certificates_acme_ca": Perhaps(ABSOLUTE),
    "certificates_acme_email": Perhaps(Text(re.compile(r"[^@\s]+@[^@\s]+"), "write an address such as ops@example.com")),
    "certificates_acme_identity": Perhaps(HostName()),
    "certificates_acme_nameservers": Items(Address(loopback=True)),
    "certificates_acme_server": Text(re.compile(r"https?://\S+"), "write the URL of an authority's directory, which begins with https://"),
    "certificates_days": Whole(1, 825),
    "certificates_packages": PACKAGES,
    "certificates_renew_days": Whole(0, 824),
    "fail2ban_bantime": Whole(1, YEAR),
    "fail2ban_bantime_max": Whole(1, 10 * YEAR),
    "fail2ban_findtime": Whole(1, YEAR),
    "fail2ban_memory_max_mb": Whole(32, MEMORY_MB.high),
    "fail2ban_nginx_auth_retries": Whole(2, COUNT),
    "fail2ban_nginx_flood_retries": Whole(2, COUNT),
    "fail2ban_nginx_ports": PORTS,
    "fail2ban_packages": PACKAGES,
    "fail2ban_ssh_ports": PORTS,
    "fail2ban_ssh_retries": Whole(2, COUNT),
    "fail2ban_trusted_networks": Networks(),
    "fail2ban_trusted_proxies": Networks(),
    "firewall_guard_seconds": Whole(10, 3600),
    "firewall_log_rate": FREQUENCY,
    "firewall_packages": PACKAGES,
    "firewall_proof_seconds": Whole(5, 3600),
    "firewall_ssh_burst": Whole(1, COUNT),
    "firewall_ssh_ports": PORTS,
    "firewall_ssh_rate": FREQUENCY,
    "firewall_unlimited_sources": Networks(),
    "logrotate_calendar": Event(),
    "logrotate_packages": PACKAGES,
    "logrotate_rotate": Whole(0, 100000),
    "mariadb_bind_addresses": Items(Listen("*", "localhost")),
    "mariadb_client_hosts": Items(Clients()),
    "mariadb_idle_transaction_timeout": Whole(0, YEAR),
    "mariadb_max_statement_time": Number(0, YEAR),
    "mariadb_memory_max_mb": MEMORY_MB,
    "mariadb_packages": PACKAGES,
    "mariadb_slow_query_seconds": Number(0, YEAR),
    "mariadb_tasks_max": Whole(0, COUNT),
    "mariadb_wait_timeout": Whole(1, YEAR),
    "monitoring_address": Address(loopback=True, unspecified=True),
    "monitoring_alerts_escalate_after": Whole(0, YEAR),
    "monitoring_memory_max": SIZE,
    "monitoring_ping_interval": Whole(60, DAY),
    "monitoring_postgresql_version": Perhaps(Text(re.compile(r"\d+"), "write a major version in quotes, such as '15'")),
    "monitoring_revive_delays": Numbers(Whole(1, DAY)),
    "nginx_backlog": Whole(1, 65535),
    "nginx_client_body_timeout": Whole(1, DAY),
    "nginx_client_header_timeout": Whole(1, DAY),
    "nginx_connections_per_source": Whole(1, 65535),
    "nginx_hsts_max_age": Whole(0, 10 * YEAR),
    "nginx_keepalive_requests": Whole(0, 1000 * COUNT),
    "nginx_keepalive_timeout": Whole(0, DAY),
    "nginx_memory_max_mb": MEMORY_MB,
    "nginx_packages": PACKAGES,
    "nginx_proxy_connect_timeout": Whole(1, DAY),
    "nginx_proxy_read_timeout": Whole(1, DAY),
    "nginx_rate_limit_exempt": Networks(),
    "nginx_real_ip_header": Text(re.compile(r"[A-Za-z0-9_-]+"), "write the name of a header, such as X-Forwarded-For, or proxy_protocol"),
    "nginx_send_timeout": Whole(1, DAY),
    "nginx_status_port": Whole(0, 65535),
    "nginx_tasks_max": Whole(0, COUNT),
    "nginx_tls_groups": Items(TlsGroup()),
    "nginx_trusted_proxies": Networks(),
    "nginx_upstream_keepalive": Whole(1, 65535),
    "nginx_version": Text(re.compile(r"\d+(\.\d+)+\S*"), "write a version in quotes, such as '1.22.1'"),
    "nginx_websocket_timeout": Whole(1, YEAR),
    "nginx_worker_connections": Whole(16, COUNT),
    "nginx_worker_processes": Whole(1, 1024, auto=True),
    "nginx_worker_rlimit_nofile": Whole(32, 2 * COUNT),
    "pgbouncer_client_hosts": Networks(),
    "pgbouncer_listen_addresses": Items(Listen("*", "localhost")),
    "pgbouncer_memory_max_mb": MEMORY_MB,
    "pgbouncer_packages": PACKAGES,
    "pgbouncer_query_wait_timeout": Whole(0, DAY),
    "pgbouncer_tasks_max": Whole(0, COUNT),
    "pgbouncer_version": Text(re.compile(r"\d+(\.\d+)+\S*"), "write a version in quotes, such as '1.21.0'"),
    "postgresql_client_hosts": Networks(),
    "postgresql_extensions": Items(Text(re.compile(r"[A-Za-z0-9_-]+"), "write names of extensions, such as pg_trgm")),
    "postgresql_listen_addresses": Items(Listen("*", "localhost")),
    "postgresql_memory_max_mb": MEMORY_MB,
    "postgresql_packages": PACKAGES,
    "postgresql_pitr_keep_days": Whole(1, 3650),
    "postgresql_pitr_max_age_hours": Whole(1, 87600),
    "postgresql_pitr_memory_max": SIZE,
    "postgresql_pitr_queue_mb": Whole(64, 10**7),
    "postgresql_pitr_schedule": Event(),
    "postgresql_preload_libraries": Items(Text(re.compile(r"[A-Za-z0-9_$/.-]+"), "write names of libraries, such as pg_stat_statements")),
    "postgresql_slow_statement_ms": Whole(-1, 2**31 - 1),
    "postgresql_tasks_max": Whole(0, COUNT),
    "postgresql_version": Perhaps(Text(re.compile(r"\d+"), "write a major version in quotes, such as '15'")),
    "redis_bind": Items(Listen("*", "-::*", "localhost")),
    "redis_packages": PACKAGES,
    "ssh_allow_users": Items(Text(re.compile(r"[^\s\"#]+"), "write users as AllowUsers takes them, such as anna or anna@192.0.2.*")),
    "ssh_ciphers": ALGORITHMS,
    "ssh_client_alive_count": Whole(1, 1000),
    "ssh_client_alive_interval": Whole(1, DAY),
    "ssh_guard_seconds": Whole(10, 3600),
    "ssh_host_key_algorithms": ALGORITHMS,
    "ssh_kex_algorithms": ALGORITHMS,
    "ssh_login_grace_time": Whole(1, DAY),
    "ssh_macs": ALGORITHMS,
    "ssh_max_auth_tries": Whole(1, 1000),
    "ssh_max_sessions": Whole(1, 1000),
    "ssh_max_startups_per_source": Whole(1, 10000),
    "ssh_ports": PORTS,
    "ssh_proof_seconds": Whole(5, 3600),
    "ssh_trusted_networks": Networks(),
    "ssh_version": Text(re.compile(r"\d+\.\d+\S*"), "write a version in quotes, such as '9.2'"),
    "system_apt_http_proxy": Perhaps(Proxy()),
    "system_apt_https_proxy": Perhaps(Proxy()),
    "system_blocked_modules": Items(Text(re.compile(r"[a-z0-9_-]+"), "write names of modules, such as sctp")),
    "system_ca_certificates": Authorities(),
    "system_journal_max_use": SIZE,
    "system_journal_rate_limit_burst": Whole(0, 1000 * COUNT),
    "system_journal_rate_limit_interval": Whole(0, DAY),
    "system_journal_retention_days": Whole(0, 3650),
    "system_journal_runtime_max_use": SIZE,
    "system_login_timeout": Whole(0, DAY),
    "system_login_umask": Perhaps(Text(re.compile(r"0?[0-7]{3}"), "that is not a umask in quotes, such as '027'")),
    "system_nofile": Whole(1024, 1048576),  # the most that the kernel grants a process
    "system_packages": PACKAGES,
    "system_packages_early": PACKAGES,
    "system_packages_extra": PACKAGES,
    "system_packages_meanwhile": PACKAGES,
    "system_private_folders": Items(ABSOLUTE),
    "system_reboot_window": Perhaps(TIME),
    "system_restart_exempt": Items(Text()),  # in the language of Perl, which the host tests
    "system_upgrade_blacklist": Items(Pattern()),
    "system_start_later": Items(Text(re.compile(r"[A-Za-z0-9@_.:-]+"), "write names of services, such as nginx")),
    "system_swap_mb": Whole(0, 1000 * COUNT),
    "system_upgrade_window": Perhaps(Event()),
}
# One that has to be less than another, or not more: it could not do what it is for.
LESS = {
    "firewall_proof_seconds": "firewall_guard_seconds",
    "ssh_proof_seconds": "ssh_guard_seconds",
    "certificates_renew_days": "certificates_days",
}
NOT_MORE = {"fail2ban_bantime": "fail2ban_bantime_max", "monitoring_cooldown": "monitoring_cooldown_max"}


def refuse_scalars(given, otherwise):
    """Refuse a number or a text that no role could work with.

    :param otherwise: what variables are that are not given.
    """
    for name in sorted(set(given) & set(FIELDS)):
        if given[name] is not None:
            FIELDS[name].read(given[name], name)
    for pairs, words, less in ((LESS, "less than", 1), (NOT_MORE, "at most", 0)):
        for name, other in pairs.items():
            low, high = (given.get(item, otherwise.get(item)) for item in (name, other))
            if None not in (low, high) and {name, other} & set(given) and low + less > high:
                refuse(name, low, f"it must be {words} {other}, which is {high}; change one of them")
