# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between a fault and a loss: backups, their drill, and who is told."""

from __future__ import annotations

from ..text import printable
from .checklist import DAY, HOUR, MB, Items, failed, judged, listed, ok, skipped, span

ITEMS = Items()


@ITEMS.add("backup", "There is a backup, and it is young and whole", ["S4-28"], ["pre-launch", "daily"])
def backup(at):
    if not at.want["has_data"]:
        return skipped("this host keeps nothing that would be lost with it")
    if not at.want["backup"]:
        return failed("no repository", "nobody asked for backups", "Declare backup_repository (docs/backups.md) and run site.yml.")
    told = at.found["backup"]
    last, good, upkeep = told.get("last") or {}, told.get("last_good") or {}, told.get("upkeep") or {}
    limit = float(at.found["backup_limits"].get("max_age_hours") or at.limits["backup_hours"])
    remedy = "systemctl start mainstay-backup (or mainstay-backup-upkeep), then journalctl -u mainstay-backup says what hinders it."
    if not last:
        return failed("no backup yet", "no backup was made yet", remedy)
    age = at.age(good.get("time"))
    seen = f"{span(age)} old, {(good.get('bytes') or 0) / MB:.1f} MB"
    wrong = [f"the last good backup is {span(age)} old, more than {limit:g} h"] if age is None or age > limit * HOUR else []
    return judged(seen, wrong + _failure("backup", last) + (_failure("upkeep", upkeep) if upkeep else []), remedy)


@ITEMS.add("backup-drill", "The newest backup was restored to prove it", ["S4-28", "S3-21"], ["periodic"])
def backup_drill(at):
    if not at.want["has_data"] or not at.want["backup"]:
        return skipped("there is no backup to prove")
    last, good = at.found["backup"].get("drill") or {}, at.found["backup"].get("drill_good") or {}
    limit = float(at.found["backup_limits"].get("drill_max_age_days") or at.limits["drill_days"])
    remedy = "systemctl start mainstay-backup-drill, then journalctl -u mainstay-backup-drill says what hinders it."
    if not last:
        return failed("no drill yet", "no backup was ever restored to prove it", remedy)
    age = at.age(good.get("time"))
    seen = f"proved restorable {span(age)} ago, {good.get('rows') or 0} rows, {good.get('seconds') or 0:.0f} s"
    wrong = [f"the last good drill was {span(age)} ago, more than {limit:g} days"] if age is None or age > limit * DAY else []
    return judged(seen, wrong + _failure("drill", last), remedy)


@ITEMS.add("recovery", "PostgreSQL can go back to any moment of the last days", ["S4-28"], ["daily"])
def recovery(at):
    if not at.want.get("recovery"):
        return skipped("nobody asked for point-in-time recovery (postgresql_pitr_repository)")
    told = at.found["recovery"] if isinstance(at.found["recovery"], dict) else {}
    last, good, watch = (told.get(name) if isinstance(told.get(name), dict) else {} for name in ("last", "last_good", "watch"))
    limit = float(at.found["recovery_limits"].get("max_age_hours") or at.limits["backup_hours"])
    moments = (good.get("time"), watch.get("time"), told.get("oldest"))  # in a record of postgres'
    age, looked, oldest = (at.age(moment) if isinstance(moment, (int, float)) else None for moment in moments)
    wrong = [f"the last backup for it is {span(age)} old, more than {limit:g} h"] if age is None or age > limit * HOUR else []
    wrong += [f"the last backup for it failed ({printable(str(last.get('reason')))[:200]})"] if last and not last.get("ok") else []
    wrong += [f"PostgreSQL's log is not kept ({printable(str(watch.get('reason')))[:200]})"] if watch and not watch.get("ok") else []
    wrong += ["some of PostgreSQL's log was dropped"] if told.get("gap") else []
    wrong += [f"nobody has looked for {span(looked)} whether the log is kept"] if looked is None or looked > HOUR else []
    remedy = "systemctl start mainstay-pitr makes a backup; journalctl -u mainstay-pitr says what hinders it."
    return judged(f"every moment of the last {span(oldest)}", wrong, remedy)


def _failure(what, record):
    """That the last of them failed, with the parts that did; nothing where it did not."""
    return [] if record.get("ok") else [f"the last {what} failed ({listed(record.get('failed') or ['no part named'])})"]


@ITEMS.add("alerts", "Somebody is told when something breaks", ["S4-29", "S3-22"], ["post-launch"])
def alerts(at):
    kinds = at.found["alerts"]
    if not kinds:
        return failed(
            "no channel",
            "nobody is told of incidents",
            "Declare monitoring_alerts (a webhook, ntfy or e-mail) and run site.yml --tags monitoring.",
        )
    if len(kinds) != at.want["alerts"]:
        return failed(
            listed(kinds), f"the host has {len(kinds)} channels, {at.want['alerts']} are declared", "Run site.yml --tags monitoring."
        )
    return ok(listed(kinds))


@ITEMS.add("alert-delivery", "A test alert arrives", ["S4-29", "S3-22"], ["post-launch"])
def alert_delivery(at):
    told = at.found["alert_test"]
    if told is None:
        return skipped("not asked for: -e mainstay_verify_alert=true sends one through every channel")
    if told["status"] != 0:
        return failed(
            f"exit status {told['status']}",
            listed(told["said"]),
            "Repair the channel in monitoring_alerts; mainstay alert --test on the host tries it again.",
        )
    return ok(listed(told["said"]))
