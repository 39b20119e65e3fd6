# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything lies on the host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paths:
    config: str = "/etc/mainstay/agent.json"
    state: str = "/run/mainstay/state.json"
    incidents: str = "/var/lib/mainstay/agent/incidents.jsonl"
    maintenance: str = "/var/lib/mainstay/maintenance.json"
    locks: str = "/run/lock/mainstay"
    helper: str = "/run/mainstay-act.socket"
    deploys: str = "/var/lib/mainstay/deploys.jsonl"
    plan: str = "/etc/mainstay/plan.json"
    run: str = "/run"
    backup: str = "/var/lib/mainstay/backup"
    recovery: str = "/var/lib/mainstay/pitr"
    alerts: str = "/etc/mainstay/alerts.json"
    reclaimed: str = "/var/lib/mainstay/reclaimed.json"
    reports: str = "/var/lib/mainstay/agent/reports"
    ping: str = "/etc/mainstay/ping.json"
    samples: str = "/var/lib/mainstay/agent/history/samples.sqlite"
    page_settings: str = "/etc/mainstay/page.json"
    page: str = "/run/mainstay-page/index.html"
    counters: str = "/var/lib/mainstay/agent/history/counters.json"
    metrics: str = "/run/mainstay-metrics/mainstay.prom"
    ways_back: str = "/var/lib/mainstay/ways-back"
    maintenances: str = "/var/lib/mainstay/maintenances.json"
