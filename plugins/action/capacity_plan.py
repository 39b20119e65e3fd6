# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools
import time

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mainstay.vps.plugins.module_utils.deploy.environment import refuse_commands
from ansible_collections.mainstay.vps.plugins.module_utils.deploy.restarts import restarts
from ansible_collections.mainstay.vps.plugins.module_utils.deploy.units import refuse_long_ends
from ansible_collections.mainstay.vps.plugins.module_utils.derive import logrotate
from ansible_collections.mainstay.vps.plugins.module_utils.derive.footing import refuse_masked, refuse_no_footing
from ansible_collections.mainstay.vps.plugins.module_utils.derive.packages import stack_packages
from ansible_collections.mainstay.vps.plugins.module_utils.derive.supply import refuse_unsupplied
from ansible_collections.mainstay.vps.plugins.module_utils.plan import capacity
from ansible_collections.mainstay.vps.plugins.module_utils.stack import (
    adoption,
    alerts,
    backups,
    exporters,
    names,
    places,
    remains,
    ssh,
    status_page,
    tiers,
    versions,
)
from ansible_collections.mainstay.vps.plugins.module_utils.stack.apps import normalise
from ansible_collections.mainstay.vps.plugins.module_utils.stack.instances import planned_instances
from ansible_collections.mainstay.vps.plugins.module_utils.stack.refusal import networks_of
from ansible_collections.mainstay.vps.plugins.plugin_utils import sources


class ActionModule(ActionBase):
    """Everything that can be refused before anything changes, in one task that fails with the sentence alone."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            {
                "apps": {"type": "raw", "required": True},
                "users": {"type": "raw", "default": 100},
                "removed": {"type": "str", "default": ""},
                "sources": {"type": "bool", "default": False},
                "prepares": {"type": "bool", "default": False},
            }
        )[1]
        try:
            plan = _plan(options["apps"], options["users"], options["removed"], options["prepares"], task_vars)
            releases = sources.releases(options["apps"], task_vars) if options["sources"] else {}
            return {**result, "changed": False, **plan, "releases": releases}
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error


def _plan(apps, users, removed, prepares, task_vars):
    names.refuse_unknown_variables(task_vars)
    names.refuse_missing_apps(apps, task_vars)
    hosts = list(task_vars["ansible_play_hosts_all"])
    planned = tiers.plan_hosts(hosts, task_vars["hostvars"], task_vars["groups"])
    declared = normalise(apps)
    refuse_commands(declared)
    database = next((host for host in sorted(hosts) if "database" in planned[host]["tiers"]), None)
    for host in hosts:
        variables, serves = task_vars["hostvars"][host], planned[host]["tiers"]
        if "backend" in serves:
            places.missing(declared, variables["mainstay_host"], host)  # to refuse; what it finds, the role backend makes
            versions.refuse_containers(declared, variables["mainstay_host"], host)
            names.refuse_taken_names(declared, variables["mainstay_host"], host)
            refuse_long_ends(declared, variables.get("backend_stop_timeout"))
        if "proxy" in serves:
            versions.refuse_http3(variables.get("mainstay_http3", False), variables["mainstay_host"], host)
        networks_of(variables.get("mainstay_trusted_proxies", []), "mainstay_trusted_proxies")
        backups.check_backups(variables, declared, is_database=host == database)
        alerts.alert_channels(variables.get("monitoring_alerts", []))
        alerts.ping_settings(variables.get("monitoring_ping_url", ""), variables.get("monitoring_ping_interval", 300))
        adopted = variables.get("mainstay_adopt", [])
        adoption.refuse_foreign_servers(declared, variables["mainstay_host"], serves, adopted, host)
        libraries = variables.get("postgresql_preload_libraries", adoption.PRELOADED)
        adoption.refuse_dropped_libraries(declared, variables["mainstay_host"], serves, libraries, host)
        figures = exporters.prometheus(variables.get(exporters.VARIABLE))
        adoption.refuse_foreign_exporters(figures, variables["mainstay_host"], adopted, host)
        ssh.refuse_ssh_ports(variables.get(ssh.VARIABLE), variables["mainstay_host"], host)
        backend = variables.get("firewall_backend", "nftables")
        adoption.refuse_foreign_firewalls(variables["mainstay_host"], backend, adopted, host)
        adoption.refuse_foreign_rules(variables["mainstay_host"], backend, host)
    plan = capacity.plan(declared, users, planned)
    snapshots = {host: task_vars["hostvars"][host]["mainstay_host"] for host in hosts}
    for host in hosts:
        variables = task_vars["hostvars"][host]
        page = status_page.status_page(variables.get(status_page.VARIABLE))
        if "backend" in planned[host]["tiers"]:
            instances = functools.partial(planned_instances, plan, host)
            status_page.refuse_port_of_app(page, declared, instances)
            exporters.refuse_taken(exporters.prometheus(variables.get(exporters.VARIABLE)), declared, instances)
            remains.refuse_taken_ports(declared, snapshots[host], plan, host, removed)
        adoption.refuse_held_ports(declared, snapshots[host], plan, host, page)
    for host in hosts:  # last: what is declared can be mended here, a host elsewhere
        variables = task_vars["hostvars"][host]
        refuse_no_footing(snapshots[host], host, planned[host]["tiers"])
        if prepares:
            logs = variables.get("logrotate_files", logrotate.logrotate_files(declared, plan, host))
            logrotate.refuse_rotated_twice(logs, snapshots[host].get("rotated") or (), host)
            ssh.refuse_sshd(snapshots[host], host, variables)
            refuse_masked(snapshots[host], host, stack_packages(declared, planned[host]["tiers"]), variables)
        has_releases = any(path.startswith("/srv/") and path.endswith("/current") for path in snapshots[host].get("paths") or {})
        builds = bool(declared) and "backend" in planned[host]["tiers"] and not has_releases
        refuse_unsupplied(snapshots[host], host, time.time(), variables, builds)
    anew = {host: _restarts(declared, snapshots[host], plan["hosts"][host], task_vars["hostvars"][host]) for host in hosts}
    return {
        **plan,
        "undeclared": remains.report(declared, snapshots, removed),
        "restarts": {host: told for host, told in anew.items() if told},
    }


def _restarts(apps, snapshot, planned, variables):
    return restarts(apps, snapshot["applied_plan"], planned, variables.get("postgresql_settings") or ())
