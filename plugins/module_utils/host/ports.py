# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get ports free, or find them held by the unit or user that should: what module port_free does.

Everything is decided before anything is stopped: one holder that may not be stopped, and none is.
"""

from __future__ import annotations

import os
import re
import time
from collections import namedtuple
from fnmatch import fnmatchcase

from . import listeners, processes
from . import units as host_units

# stop_with: none, unit, signal, or "either": a service that runs as one of `only_users` by systemd, all else by a signal (what
# somebody started through cron or ssh may be in their unit). Whoever runs as somebody else than `only_users` is never stopped.
Request = namedtuple("Request", "ports protocol address allowed_units allowed_users stop_with grace kill protect only_users", defaults=[()])

PROTECT = ["sshd*", "ssh.service", "ssh.socket", "systemd*", "dbus*"]
INTERVAL = 0.1
AFTER_KILL = 3.0
SETTLE = 2


class PortError(Exception):
    """The ports cannot be had; the message says who holds them and what to do."""

    def __init__(self, message, holders=(), stopped=()):
        super().__init__(message)
        self.holders = list(holders)
        self.stopped = list(stopped)


class System:
    """The host as this module touches it; tests put their own in its place."""

    def __init__(self, run, proc_root="/proc", clock=time):
        self.run = run  # run(arguments) -> (return code, output, errors)
        self.proc_root = proc_root
        self.clock = clock
        self.is_root = os.geteuid() == 0
        self.ancestors = set(processes.ancestors(os.getpid(), proc_root))

    def snapshot(self, ports):
        return listeners.snapshot(self.proc_root, ports)

    def only_v6(self):
        return listeners.bindv6only(self.proc_root)

    def process(self, pid):
        return processes.process(pid, self.proc_root)

    def send_signal(self, pid, start, number):
        return processes.send_signal(pid, start, number, self.proc_root)

    def socket_units(self):
        """What `systemctl show` says about systemd's own sockets."""
        code, output, _errors = self.run(["systemctl", "show", "*.socket", "--property=Id,ActiveState,Listen,Triggers"])
        return host_units.parse_show(output) if code == 0 else []

    def unit_user(self, unit):
        """As whom a unit runs; empty for root and where there is no such unit."""
        code, output, _errors = self.run(["systemctl", "show", "--property=User", "--value", "--", unit])
        return output.strip() if code == 0 else ""

    def systemctl(self, *arguments):
        code, output, errors = self.run(["systemctl", *arguments])
        if code != 0:
            raise PortError(f"systemctl {' '.join(arguments)} failed: {(errors or output).strip()}")


# --- who holds them ----------------------------------------------------------------------------------------------


def holders(request, system):
    """Who holds the ports: one entry per port and unit, or per port and process where no service runs it."""
    rows = [item for item in system.snapshot(set(request.ports)) if _asked(item, request, system)]
    sockets = system.socket_units() if any(1 in item.pids for item in rows) else []
    table = listeners.socket_units(sockets)
    triggers = {unit["Id"]: unit.get("Triggers", "").split() for unit in sockets}
    found = {}
    for item in rows:
        socket_unit = listeners.held_by_systemd(item, table)
        for process in _processes(item, system):
            unit = socket_unit if process.pid == 1 else process.unit
            key = (item.port, unit if _is_service(unit) else (unit, process.pid))
            holder = found.setdefault(key, _holder(item, process, unit))
            if process.pid is not None and process.pid not in holder["pids"]:
                holder["pids"].append(process.pid)
                holder["processes"].append(process)
            if item.address not in holder["addresses"]:
                holder["addresses"].append(item.address)
    for holder in found.values():
        units = [holder["unit"], *triggers.get(holder["unit"], [])]
        holder["allowed"] = _allowed(holder, units, request)
        holder["protected"] = _protected(holder, request, system)
    return sorted(found.values(), key=lambda holder: (holder["port"], holder["pid"] or 0))


def _asked(item, request, system):
    return any(listeners.overlaps(item, port, request.protocol, request.address, system.only_v6()) for port in request.ports)


def _processes(item, system):
    """The processes behind a listener; one without a pid where they cannot be seen."""
    known = [process for process in map(system.process, item.pids) if process is not None]
    return known or [processes.Process(None, None, "", item.user, "", "", "", 0)]


def _holder(item, process, unit):
    return {
        "port": item.port,
        "protocol": item.protocol,
        "addresses": [],
        "pid": process.pid,
        "pids": [],
        "processes": [],
        "name": process.name,
        "user": process.user,
        "command": process.cmdline,
        "unit": unit,
        "since": process.since,
    }


def _is_service(unit):
    """Whether systemctl can stop exactly this: not a login session, not all of a user's own manager."""
    return unit.endswith((".service", ".socket")) and not unit.startswith("user@")


def _by_unit(holder, request, system):
    """Whether systemd stops it, with all of its unit."""
    if request.stop_with != "either":
        return request.stop_with == "unit"
    return _is_service(holder["unit"]) and system.unit_user(holder["unit"]) in request.only_users


def _matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _allowed(holder, units, request):
    if any(unit and _matches(unit, request.allowed_units) for unit in units):
        return True
    return bool(request.allowed_users) and 1 not in holder["pids"] and _users(holder) <= set(request.allowed_users)


def _users(holder):
    return {process.user for process in holder["processes"]} or {holder["user"]}


def _protected(holder, request, system):
    if holder["unit"].endswith(".socket"):
        return _matches(holder["unit"], request.protect)
    if 1 in holder["pids"] or system.ancestors & set(holder["pids"]):
        return True
    # Whoever may be stopped at all chooses the names of what it runs: they protect nothing of its own.
    names = {process.name for process in holder["processes"] if process.user not in request.only_users}
    if request.stop_with != "either" or _by_unit(holder, request, system):
        names.add(holder["unit"])
    return any(name and _matches(name, request.protect) for name in names)


# --- what to do --------------------------------------------------------------------------------------------------


def foreign(found):
    return [holder for holder in found if not holder["allowed"]]


def objection(holder, request, system):
    """Why this holder cannot be stopped as asked, with the remedy; empty if it can."""
    unit = holder["unit"]
    if holder["pid"] is None:
        if not system.is_root:
            return "Only root may see which process it is: run the task with become: true."
        return (
            "No process of this system owns the socket: it belongs to the kernel or to a process outside of this"
            " container. Stop it there, or choose another port."
        )
    if holder["name"] == "docker-proxy" and holder["user"] == "root":
        return _docker_remedy(holder)
    if holder["protected"]:
        return "It is protected and will not be stopped. Choose another port, or change protect if you are sure."
    strangers = _users(holder) - set(request.only_users) if request.only_users else ()
    if strangers:
        return f"It belongs to {' and '.join(sorted(strangers))}, not to {' or '.join(request.only_users)}, and is not stopped."
    if request.stop_with == "none":
        return _remedy(holder)
    if request.stop_with == "unit" and not _is_service(unit):
        where = f"it runs in {unit}, which is no service" if unit else "it belongs to no unit"
        return f"stop_with: unit cannot stop it: {where}. Set stop_with: signal, or stop it by hand: kill {holder['pid']}."
    if request.stop_with == "signal" and unit.endswith(".socket"):
        return f"systemd itself holds the port for {unit}, no signal ends that. Set stop_with: unit."
    if not system.is_root:
        return "Only root may stop it: run the task with become: true."
    return ""


def _remedy(holder):
    unit = holder["unit"]
    if _is_service(unit):
        by_hand, how, allow = f"systemctl disable --now {unit}", "unit", f"add {unit} to allowed_units"
    else:
        by_hand, how, allow = f"kill {holder['pid']}", "signal", f"add {holder['user']} to allowed_users"
    return f"Stop it ({by_hand}), let this task stop it (stop_with: {how}), or, if it belongs there, {allow}."


def _docker_remedy(holder):
    options = dict(re.findall(r"-(container-ip|container-port) (\S+)", holder["command"]))
    behind = f" (its port {options['container-port']} at {options.get('container-ip', '?')})" if options else ""
    return (
        f"docker publishes a container's port there{behind}. Stop the container or publish another port:"
        f" docker ps --filter publish={holder['port']} names it."
    )


def describe(holder):
    """One line about a holder."""
    parts = [f"pid {holder['pid']}"] if holder["pid"] else []
    if len(holder["pids"]) > 1:
        parts.append(f"{len(holder['pids']) - 1} more of its processes")
    parts += [f"user {holder['user']}"] if holder["user"] else []
    parts += [f"unit {holder['unit']}"] if holder["unit"] else []
    parts += [f"since {holder['since']}"] if holder["since"] else []
    command = f": {holder['command']}" if holder["command"] else ""
    return f"{holder['name'] or 'a process that cannot be seen'} ({', '.join(parts)}){command}"


def label(holder):
    return f"{holder['port']}/{holder['protocol']}"


def make_free(request, system, pretend=False):
    """Stop whoever else holds the ports. Returns (holders found, holders stopped, milliseconds waited)."""
    found = holders(request, system)
    others = foreign(found)
    problems = [(holder, objection(holder, request, system)) for holder in others]
    problems = [f"Port {label(item)} is held by {describe(item)}. {problem}" for item, problem in problems if problem]
    if problems:
        raise PortError("\n".join(problems), found)
    if not others or pretend:
        return found, others, 0
    started = system.clock.monotonic()
    by_unit = [holder for holder in others if _by_unit(holder, request, system)]
    by_signal = [holder for holder in others if holder not in by_unit]
    try:
        _stop(by_unit, by_signal, system)
    except PortError as error:
        raise PortError(str(error), found) from None
    left = _wait(request, system, request.grace)
    if left and request.kill:
        _kill(by_unit, by_signal, left, system)
        left = _wait(request, system, AFTER_KILL)
    if left:
        held = "; ".join(f"port {label(holder)} by {describe(holder)}" for holder in left)
        hint = "" if request.kill else " Raise grace, or set kill: true to end it by force."
        raise PortError(f"Still held {request.grace:g} s after asking to stop: {held}.{hint}", found)
    waited = round((system.clock.monotonic() - started) * 1000)
    _stays_free(others, request, system, found)
    return found, others, waited


def _stop(by_unit, by_signal, system):
    units = {holder["unit"] for holder in by_unit}
    if units:
        ordered = sorted(units, key=lambda unit: (not unit.endswith(".socket"), unit))
        system.systemctl("stop", "--no-block", *ordered)
    for process in _distinct(by_signal):
        system.send_signal(process.pid, process.start, 15)


def _kill(by_unit, by_signal, left, system):
    """By force, but only what was asked to stop before and still holds a port: nobody who came since."""
    asked = {holder["unit"] for holder in by_unit}
    units = sorted(asked & {holder["unit"] for holder in left if holder["unit"].endswith(".service")})
    if units:
        system.systemctl("kill", "--signal=KILL", *units)
    asked = {(process.pid, process.start) for process in _distinct(by_signal)}
    for process in _distinct(left):
        if (process.pid, process.start) in asked:
            system.send_signal(process.pid, process.start, 9)


def _distinct(found):
    return {process.pid: process for holder in found for process in holder["processes"]}.values()


def _wait(request, system, seconds):
    """Wait for the ports; who still holds them afterwards."""
    end = system.clock.monotonic() + seconds
    while True:
        left = foreign(holders(request, system))
        if not left or system.clock.monotonic() >= end:
            return left
        system.clock.sleep(INTERVAL)


def _stays_free(others, request, system, found):
    """A signalled service may be started again by systemd at once."""
    units = sorted({holder["unit"] for holder in others if _is_service(holder["unit"])})
    if request.stop_with != "signal" or not units:
        return
    end, back = system.clock.monotonic() + SETTLE, []
    while not back and system.clock.monotonic() < end:
        system.clock.sleep(INTERVAL)
        back = foreign(holders(request, system))
    if back:
        held = "; ".join(f"port {label(holder)} by {describe(holder)}" for holder in back)
        raise PortError(
            f"The port was free for a moment, then taken again: {held}. systemd restarts it; set stop_with: unit.",
            found,
        )


# --- what the module returns -------------------------------------------------------------------------------------


def public(found):
    """Holders as they are returned: plain values only."""
    return [{key: value for key, value in holder.items() if key != "processes"} for holder in found]


def states(request, found, stopped=()):
    """{port: free | allowed | foreign | stopped}, the worst of its holders first."""
    result = {}
    gone = [id(holder) for holder in stopped]
    for port in request.ports:
        mine = [holder for holder in found if holder["port"] == port]
        if any(not holder["allowed"] and id(holder) not in gone for holder in mine):
            result[str(port)] = "foreign"
        elif any(holder["allowed"] for holder in mine):
            result[str(port)] = "allowed"
        else:
            result[str(port)] = "stopped" if mine else "free"
    return result


def lines(found):
    """The holders as text, for a diff."""
    return "".join(
        f"{label(holder)} {' '.join(holder['addresses'])} {holder['name']} pid {holder['pid']} user {holder['user']}"
        f" unit {holder['unit'] or 'none'}\n"
        for holder in found
    )
