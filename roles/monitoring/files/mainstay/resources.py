# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host may run out of, looked at every half a minute in a thread of its own: each look gives one reading for each thing.

Thresholds: disks at 80 and 90 %, and a tenth of the memory that is left, are those of node_exporter's rules; a leak is told when it would
meet the limit within half an hour, while a process that has just started may grow; a certificate has to be renewed in the last third of
its lifetime, so a last quarter is late. Every function takes `root`, the folder to read in place of /, so that tests can build a host out of
files.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import backups, measure, queues, recovery
from .core.host.limits import MB, held_by
from .core.host.limits import memory as host_memory
from .core.text import read
from .resource_watch import CRITICAL, OK, WARNING, Reading
from .shapes import RECLAIMED, fits
from .text import span
from .trend import Trend
from .units import SystemdError, run

INTERVAL = 30  # seconds between two looks
VISITS_EVERY = 60
VISITS = 2  # in a row that a visitor was kept out
DAY = 86400

FOLDERS = ("/", "/boot", "/opt", "/run", "/srv", "/tmp", "/var", "/var/backups", "/var/cache", "/var/lib")
FOLDERS += ("/var/lib/mysql", "/var/lib/postgresql", "/var/lib/redis", "/var/log", "/var/tmp")
RECLAIMABLE = ("/var/log", "/var/cache")  # where something lies that root may throw away
FULL, HIGH, ENOUGH = 95, 90, 80  # percent in use: something is thrown away, critical, warning
PREDICTED = 60  # percent from which growth is told that fills it within a day
STEADY = 2  # percent below a threshold at which it is over

SCARCE = (5, 10)  # percent of the host's memory that can still be had: critical, warning
SCARCE_FOR = 60  # seconds: a build or the second set of a deploy may need it for a moment

AT_LIMIT = 95  # percent of its memory limit
LEAK_SOON = 1800  # seconds until the limit
LEAK_FROM = 50  # percent of its limit, below which growth is no leak yet
WARM_UP = 300  # seconds after its start in which a process fills its caches
QUIET = 0.05  # of one processor: at rest but for its housekeeping
URGENT = 300  # seconds until the limit, in which a leak waits for no quiet moment

DATABASE_PORTS = {5432, 6432, 3306}
SHARE = (95, 80)  # percent of a number that something may have: critical, warning


@dataclass
class Life:
    """What was seen of one life of a process."""

    invocation: str
    trend: Trend
    at: float
    ran: int | None  # microseconds of processor time
    kills: int

    def quiet(self, now, ran):
        """Whether it has rested since the last look."""
        return None not in (ran, self.ran) and now > self.at and (ran - self.ran) / 1e6 / (now - self.at) < QUIET


class Resources:
    """Reads; `submit` puts ("resources", None, readings) into the inbox."""

    def __init__(self, config, paths, inbox, clock, root="/", ask=None):
        self.config, self.paths, self.inbox, self.clock, self.root = config, paths, inbox, clock, root
        self.ask = ask or ask_sites
        self.disks = {}  # name: its trend
        self.memories = {}  # unit: what was seen at the last look
        self.scarce_since = None
        self.visits, self.visited, self.kept_out = {}, None, {}
        self.wrong = {}  # kind of backup: all that has been wrong with it
        self.queues = queues.Queues(config, clock, root)
        self.pool = ThreadPoolExecutor(1, "resources")

    def submit(self, units):
        future = self.pool.submit(self.look, units)
        future.add_done_callback(lambda done: self.inbox.put(("resources", None, done)))

    def look(self, units):
        """All readings now.

        :param units: the states of the units, as systemd has told them.
        """
        now = self.clock.monotonic()
        return [
            *self.file_systems(now),
            *self.host_memory(now),
            *self.memory(now, units),
            *self.numbers(units),
            *self.redis(),
            *self.connections(),
            *self.sites(now),
            *self.backup("backup", backups.judge, self.paths.backup),
            *self.backup("recovery", recovery.judge, self.paths.recovery),
            *self.reboot(),
            *self.queues.look(now, units),
        ]

    def reclaimed(self):
        """What mainstay-reclaim.service has freed last, {time, freed: {step: bytes}}, or None."""
        found = backups.read(self.paths.reclaimed)
        return found if set(found) == {"time", "freed"} and fits(found, RECLAIMED) else None

    # --- disks -----------------------------------------------------------------------------------------------------

    def file_systems(self, now):
        seen, folders = {}, [*FOLDERS, *(app.root for app in self.config.apps.values())]
        for folder in folders:
            try:
                path = os.path.join(self.root, folder.lstrip("/"))
                device, found = os.stat(path).st_dev, os.statvfs(path)
            except OSError:
                continue
            if device not in seen:
                seen[device] = [folder, found, False]
            seen[device][2] |= folder in RECLAIMABLE
        for folder, found, reclaimable in seen.values():
            if found.f_blocks:
                used, usable = found.f_blocks - found.f_bfree, found.f_blocks - found.f_bfree + found.f_bavail
                yield self.disk(now, "disk", folder, used * found.f_frsize, usable * found.f_frsize, reclaimable)
            if found.f_files:
                yield self.disk(now, "inodes", folder, found.f_files - found.f_ffree, found.f_files, False)

    def disk(self, now, kind, folder, used, usable, reclaimable):
        name = f"{kind} {folder}"
        trend = self.disks.setdefault(name, Trend(apart=300, least=13, most=37))
        trend.add(now, used)
        percent = 100 * used / usable if usable else 0
        return judge_disk(name, kind, percent, trend.left(usable), reclaimable and self.config.settings.disk_reclaim)

    # --- memory ----------------------------------------------------------------------------------------------------

    def host_memory(self, now):
        found = host_memory(self.root)
        if not found["memory_mb"]:
            return
        percent = 100 * found["available_mb"] / found["memory_mb"]
        self.scarce_since = (self.scarce_since or now) if percent < SCARCE[1] else None
        lasts = self.scarce_since is not None and now - self.scarce_since >= SCARCE_FOR
        yield judge_host_memory(found["available_mb"], found["memory_mb"], lasts)

    def memory(self, now, units):
        gone = set(self.memories) - set(units)
        for unit in gone:
            del self.memories[unit]
        for process in self.config.processes:
            state = units.get(process.unit)
            used = held_by(state.group, self.root) if state and state.running and state.group else None
            limit = measure.memory_limit(state.group, self.root) if used is not None else None
            if limit:
                yield self._memory(now, process, state, used, limit)

    def _memory(self, now, process, state, used, limit):
        ran, kills = measure.processor_time(state.group, self.root), measure.oom_kills(state.group, self.root)
        known = self.memories.get(process.unit)
        if known is None or known.invocation != state.invocation:
            known = self.memories[process.unit] = Life(state.invocation, Trend(INTERVAL - 5, 20, 40), now, ran, kills)
        quiet = known.quiet(now, ran)
        killed, known.at, known.ran, known.kills = kills - known.kills, now, ran, kills
        if now - state.active_since >= WARM_UP:
            known.trend.add(now, used)
        return judge_memory(process, used, limit, known.trend.left(limit), quiet, self.config.settings.memory_restarts, killed)

    # --- what is counted ----------------------------------------------------------------------------------------------

    def numbers(self, units):
        """What leaks without taking memory: threads, children that nobody waits for, and open files."""
        for watched in self.config.watched:
            state = units.get(watched.unit)
            if not (state and state.running and state.group):
                continue
            place = {"place": watched.place, "unit": watched.unit}
            pids = measure.processes(state.group, self.root)
            if found := measure.tasks(state.group, pids, self.root):
                number, ended, limit = found
                words = f"{number} of the {limit} processes and threads that it may have are there"
                words += f", {ended} of them ended and never waited for" if ended > number / 2 else ""
                yield judge_share(f"tasks of {watched.name}", "tasks", number, limit, words, **place)
            if found := measure.open_files(pids, self.root):
                words = "{} of the {} files and connections that a process of it may have are open".format(*found)
                yield judge_share(f"files of {watched.name}", "files", *found, words, **place)

    def redis(self):
        for server in self.config.servers:
            if server.probe and server.probe["kind"] == "redis":
                try:
                    info = measure.redis_info(server.probe.get("host", "127.0.0.1"), server.probe["port"])
                except OSError:
                    continue  # whether it lives is its own watch's question
                yield from judge_redis(server, info)

    def connections(self):
        limited = {app.name: app for app in self.config.apps.values() if app.connections}
        if not limited:
            return
        counted = measure.connections_by_user(DATABASE_PORTS, self.root)
        for app in limited.values():
            try:
                number = counted.get(pwd.getpwnam(app.user).pw_uid, 0)
            except KeyError:
                continue
            words = f"{number} of the {app.connections} database connections that it may have are open"
            yield judge_share(f"connections of {app.name}", "connections", number, app.connections, words)

    def sites(self, now):
        if self.config.sites and (self.visited is None or now - self.visited >= VISITS_EVERY):
            self.visited = now
            pages = [page for site in self.config.sites for page in site.pages]
            self.visits = self.ask([*(site.url for site in self.config.sites if site.tls), *pages])
            self.kept_out = {page: self.kept_out.get(page, 0) + 1 for page in pages if self.visits.get(page)}
        for site in self.config.sites:
            pages = [page for page in site.pages if page in self.visits]
            if pages:
                worst = max(pages, key=lambda page: self.kept_out.get(page, 0))
                yield judge_site(site, self.visits[worst], self.kept_out.get(worst, 0))
            if self.visits.get(site.url):
                yield judge_certificate(site.name, *self.visits[site.url], self.clock.time())

    def backup(self, kind, judge, folder):
        """Each problem for itself: one that is known already must not hide the next."""
        try:
            found = judge(folder, self.clock.time())
        except (OSError, LookupError, TypeError, ValueError, AttributeError):
            return  # a record of another version
        if found is None:
            return
        known = self.wrong.setdefault(kind, {kind: ""})
        known |= {**dict.fromkeys(known, ""), **found[1]}
        for name, problem in known.items():
            yield Reading(name, kind, CRITICAL if problem else OK, problem)

    def reboot(self):
        wanted = os.path.exists(os.path.join(self.root, "run/reboot-required"))
        packages = sorted(set(read(os.path.join(self.root, "run/reboot-required.pkgs")).split()))[:5]
        why = f"for {', '.join(packages)}" if packages else "for packages that were updated"
        yield Reading("system", "reboot", WARNING if wanted else OK, f"a reboot is required {why}" if wanted else "")


def judge_disk(name, kind, percent, left, reclaim):
    """The reading of a file system with so many percent in use, which its growth fills in `left` seconds, or never (None)."""
    soon = left is not None and left < DAY and percent >= PREDICTED
    level = CRITICAL if percent >= HIGH or (soon and percent >= ENOUGH) else WARNING if percent >= ENOUGH or soon else OK
    reason = f"{percent:.0f} % {'of its inodes are' if kind == 'inodes' else 'are'} in use" if level != OK else ""
    if soon:
        reason += f", at this pace all in {span(left)}"
    action = "reclaim" if reclaim and percent >= FULL else ""
    return Reading(name, kind, level, reason, value=percent, limit=100, steady=percent < ENOUGH - STEADY and not soon, action=action)


def judge_host_memory(available, whole, lasts):
    """The reading of the host's memory, of which so many MB can still be had; whether they have been few for a while."""
    percent = 100 * available / whole
    level = OK if not lasts or percent >= SCARCE[1] else CRITICAL if percent < SCARCE[0] else WARNING
    reason = f"only {available} of {whole} MB can still be had" if level != OK else ""
    facts = {"value": whole - available, "limit": whole, "steady": percent >= SCARCE[1] + STEADY}
    return Reading("memory of the host", "scarce", level, reason, **facts)


def judge_memory(process, used, limit, left, quiet, restart, killed=0):
    """The reading of a process that uses so many bytes of its limit, and meets it in `left` seconds, or never (None)."""
    percent = 100 * used / limit
    name, numbers = f"memory of {process.name}", f"{used // MB} of {limit // MB} MB"
    facts = {"place": process.place, "unit": process.unit, "value": used / MB, "limit": limit / MB}
    if killed > 0:
        reason = f"the kernel has killed {killed} of its processes for want of memory: {numbers} now"
        return Reading(name, "oom", CRITICAL, reason, steady=False, **facts)
    if left is not None and left < LEAK_SOON and percent >= LEAK_FROM:
        reason = f"it grows without a pause: {numbers}, at its limit in {span(left)}"
        action = "renew" if restart and (quiet or left < URGENT) else ""
        return Reading(name, "leak", CRITICAL, reason, steady=False, action=action, **facts)
    if percent >= AT_LIMIT:
        return Reading(name, "memory", WARNING, f"it is at its limit: {numbers}; the kernel slows it down", steady=False, **facts)
    return Reading(name, "memory", steady=percent < AT_LIMIT - 2 * STEADY, **facts)


def judge_share(name, kind, number, limit, words, **more):
    """The reading of something of which so many are in use, told in these words where they come near the limit."""
    percent = 100 * number / limit
    level = CRITICAL if percent >= SHARE[0] else WARNING if percent >= SHARE[1] else OK
    return Reading(name, kind, level, words if level != OK else "", value=number, limit=limit, steady=percent < SHARE[1] - 5, **more)


def judge_redis(server, info):
    """The readings of a Redis by what it says of itself: its clients, its memory where it may forget nothing, and whether it takes writes."""

    def number(name):
        return int(info[name]) if info.get(name, "").isdigit() else 0

    place = {"place": server.place, "unit": server.unit}
    used, limit = number("connected_clients"), number("maxclients")
    if limit:
        words = f"{used} of the {limit} clients that it may have are connected"
        yield judge_share(f"clients of {server.name}", "redis-clients", used, limit, words, **place)
    used, limit = number("used_memory") / MB, number("maxmemory") / MB
    if limit and info.get("maxmemory_policy") == "noeviction":
        words = f"{used:.0f} of its {limit:.0f} MB are in use, and it may not forget anything"
        yield judge_share(f"room of {server.name}", "redis-memory", used, limit, words, **place)
    replica = info.get("role") == "slave"
    words = f"it is a replica of {info.get('master_host')}:{info.get('master_port')}, and takes no writes" if replica else ""
    yield Reading(f"role of {server.name}", "read-only", CRITICAL if replica else OK, words, **place)


def judge_site(site, wrong, times):
    """The reading of a site, whose visitors something has kept out at so many visits in a row."""
    level = CRITICAL if wrong and times >= VISITS else OK
    return Reading(f"site {site.name}", "site", level, wrong if level != OK else "", {"app": site.app}, steady=not wrong)


def judge_certificate(site, begins, ends, fits, now):
    left, life = ends - now, max(ends - begins, 1)
    level = CRITICAL if left < life / 12 or not fits else WARNING if left < life / 4 else OK
    reason = "it has expired" if left <= 0 else f"it ends in {span(left)}, and nothing has renewed it"
    reason = reason if fits else "another one is served, which is not for this name"
    days = {"value": left / DAY, "limit": life / DAY}
    return Reading(f"certificate of {site}", "certificate", level, reason if level != OK else "", **days)


def ask_sites(urls):
    """{url: what a visitor finds there}, as visits.py tells it."""
    launch = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "launch.py")
    try:
        return json.loads(run([sys.executable, "-I", launch, "visits", *urls], timeout=VISITS_EVERY))
    except (SystemdError, ValueError):
        return {}
