# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role's variables hold that is of the right type and cannot work, told in one place, so that a role that is used alone says it before
it changes anything, and in one sentence."""

from __future__ import annotations

import os
import re

from ..stack.alerts import alert_channels, ping_settings
from ..stack.backups import check_backups
from ..stack.calendars import event_of
from ..stack.refusal import networks_of, refuse, text_of
from ..text import MASK
from .certificates import self_signed_sites
from .firewall import nft_rules, nft_ssh_rules
from .logrotate import logrotate_stanzas

NETWORKS = (
    "fail2ban_trusted_networks",
    "fail2ban_trusted_proxies",
    "firewall_unlimited_sources",
    "nginx_rate_limit_exempt",
    "nginx_trusted_proxies",
    "pgbouncer_client_hosts",
    "postgresql_client_hosts",
    "ssh_trusted_networks",
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
TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")


def refuse_role_values(given):
    """Refuse what no role could work with.

    :param given: variables of roles, of the types that their specifications ask for; what is not there is not looked at.
    :raises DeclarationError: the first value that cannot work.
    """
    for name in NETWORKS:
        networks_of(given.get(name) or [], name)
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
    if given.get("system_reboot_window"):
        text_of(given["system_reboot_window"], "system_reboot_window", TIME, "write a time of day such as 04:30")
    if given.get("system_upgrade_window"):
        event_of(given["system_upgrade_window"], "system_upgrade_window")
    if "logrotate_calendar" in given:
        event_of(given["logrotate_calendar"], "logrotate_calendar")
    alert_channels(given.get("monitoring_alerts") or [])
    ping_settings(given.get("monitoring_ping_url") or "", given.get("monitoring_ping_interval", 300))
    check_backups(given)
    for position, folder in enumerate(given.get("backup_folders") or []):
        if not str(folder).startswith("/"):
            refuse(f"backup_folders[{position}]", folder, "write an absolute path, such as /srv/wiki")
    page = given.get("nginx_sorry_page")
    if page and not os.path.isfile(page):
        refuse("nginx_sorry_page", page, "there is no such file on this machine")
