# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role's variables hold that is of the right type and cannot work, told in one place, so that a role that is used alone says it before
it changes anything, and in one sentence."""

from __future__ import annotations

import os
import re

from ..stack.alerts import alert_channels, ping_settings
from ..stack.backups import check_backups, check_recovery
from ..stack.refusal import integer, refuse, text_of
from ..text import MASK
from .certificates import self_signed_sites
from .firewall import nft_rules, nft_ssh_rules
from .logrotate import logrotate_stanzas
from .role_fields import refuse_scalars

# Names of a server's settings, of the kernel's, or of environment variables, each with one value.
MAPPINGS = (
    "backend_environment",
    "backup_environment",
    "backup_proxies",
    "certificates_acme_environment",
    "mariadb_settings",
    "monitoring_proxies",
    "pgbouncer_settings",
    "postgresql_owner_settings",
    "postgresql_settings",
    "system_hardening_sysctl",
    "system_sysctl",
)
INSTANCE = re.compile(r"[a-z0-9][a-z0-9-]*")
SCRAM = ("password_verifier", re.compile(r"SCRAM-SHA-256\$\S+"), "write what the filter mainstay.vps.scram_verifier makes of a password")
# A server that is given a password in place of these keeps it with another salt each time.
VERIFIERS = {
    "postgresql_databases": SCRAM,
    "pgbouncer_databases": SCRAM,
    "mariadb_databases": (
        "password_hash",
        re.compile(r"\*[0-9A-F]{40}"),
        "write what the filter mainstay.vps.mariadb_password_hash makes of a password",
    ),
}


def refuse_role_values(given, otherwise=None):
    """Refuse what no role could work with.

    :param given: variables of roles, of the types that their specifications ask for; what is not there is not looked at.
    :param otherwise: what the specifications have for those that are not there.
    :raises DeclarationError: the first value that cannot work.
    """
    refuse_scalars(given, otherwise or {})
    for name in MAPPINGS:
        for key, value in (given.get(name) or {}).items():
            if value is None or isinstance(value, (dict, list)):
                refuse(f"{name}.{key}", value, "write a text, a number, true or false")
    for kind, seconds in (given.get("backend_stop_timeout") or {}).items():
        integer(seconds, f"backend_stop_timeout.{kind}", 1, 86400)
    if "firewall_rules" in given:
        nft_rules(given["firewall_rules"], given.get("firewall_unlimited_sources") or ())
    ssh = {
        key: given[f"firewall_ssh_{name}"]
        for key, name in (("sources", "from"), ("rate", "rate"), ("burst", "burst"))
        if f"firewall_ssh_{name}" in given
    }
    nft_ssh_rules([22], **ssh)
    if "logrotate_files" in given:
        numbers = {key: given[f"logrotate_{key}"] for key in ("frequency", "rotate", "maxsize") if f"logrotate_{key}" in given}
        logrotate_stanzas(given["logrotate_files"], **numbers)
    self_signed_sites(given.get("certificates_sites") or [])
    for position, instance in enumerate(given.get("redis_instances") or []):
        text_of(instance["name"], f"redis_instances[{position}].name", INSTANCE, "write small letters, digits and -")
    for variable, (key, form, remedy) in VERIFIERS.items():
        for position, database in enumerate(given.get(variable) or []):
            if not form.fullmatch(database[key]):
                refuse(f"{variable}[{position}].{key}", MASK, remedy)
    alert_channels(given.get("monitoring_alerts") or [])
    ping_settings(given.get("monitoring_ping_url") or "", given.get("monitoring_ping_interval", 300))
    check_backups(given)
    check_recovery(given)
    page = given.get("nginx_sorry_page")
    if page and not os.path.isfile(page):
        refuse("nginx_sorry_page", page, "there is no such file on this machine")
