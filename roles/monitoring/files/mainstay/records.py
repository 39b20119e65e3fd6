# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent remembers and tells: incidents.jsonl (one event per line) and state.json (now)."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from datetime import datetime, timezone

from . import shapes
from .shapes import finite

# Bytes; no file of the agent's is larger, whose option monitoring_incidents_max_mb ends below.
READ_LIMIT = 128 << 20


def opened(path, folder=None, limit=READ_LIMIT):
    """A file in a folder of the agent's, for root to read, who trusts it with nothing: no link is followed, no pipe waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not what the agent writes there", path)
    return open(descriptor, encoding="utf-8", errors="replace")


# What says where an incident is, and the events after which it is not open.
PLACE = ("app", "process", "instance", "server", "unit")
OVER = ("recovered", "closed", "stopped")


class Incidents:
    """An append-only file of events that never grows past its size; the previous file is kept once."""

    def __init__(self, path, max_mb, clock):
        self.path, self.max_bytes, self.clock = path, max_mb << 20, clock

    def append(self, event):
        line = (json.dumps(self.stamped(event), ensure_ascii=False) + "\n").encode()
        self._rotate(len(line))
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        with open(descriptor, "wb", buffering=0) as file:
            os.fchmod(descriptor, 0o640)
            size = os.fstat(descriptor).st_size
            if file.write(line) < len(line):  # the disk is full: half a line would spoil the next one, too
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)

    def stamped(self, event):
        """The event with its time, which it keeps if it has to wait."""
        moment = datetime.fromtimestamp(self.clock.time(), timezone.utc).isoformat(timespec="milliseconds")
        return {"time": moment.replace("+00:00", "Z"), **event}

    def _rotate(self, more):
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path).st_size + more > self.max_bytes // 2:
                os.replace(self.path, f"{self.path}.1")


def events(path):
    """All events, oldest first, one at a time, as the file may be long. Lines that cannot be read (a crash while writing) are passed over."""
    found = False
    for name in (f"{path}.1", path):
        try:
            with opened(name) as file:
                found = True
                for line in file:
                    with contextlib.suppress(ValueError):
                        event = json.loads(line)
                        if isinstance(event, dict) and "event" in event:
                            yield event
        except FileNotFoundError:
            continue
    if not found:
        os.stat(os.path.dirname(path))  # tells "may not look" from "nothing there yet"


def read_events(path):
    """All events at once."""
    return list(events(path))


def open_resources(path):
    """Of the incidents of resources those that nobody has closed, by the resource."""
    found = {}
    for event in events(path):
        with contextlib.suppress(ValueError, LookupError, TypeError):
            _follow(found, event)
    return found


def open_units(path):
    """Of the incidents of processes and servers those that are not over, by their id, with what says where they are."""
    found = {}
    for event in events(path):
        with contextlib.suppress(LookupError, TypeError):
            if "resource" not in event and event["event"] in ("opened", "again"):
                found[event["incident"]] = {key: event[key] for key in PLACE if key in event}
            elif event["event"] in OVER:
                found.pop(event["incident"], None)
    return found


def _follow(found, event):
    resource, kind = event["resource"], event["event"]
    if kind == "opened":
        opened = datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()
        found[resource] = {"incident": event["incident"], "opened": opened, "level": event["level"], "kind": event["kind"]}
    elif kind == "again" and resource in found:
        found[resource].update(level=event["level"], kind=event["kind"], times=event["times"])
    elif kind == "closed":
        found.pop(resource, None)


def _sound(event):
    """Whether an event is what the agent writes: a line of a torn file may be JSON and yet none."""
    try:
        datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()
    except (LookupError, AttributeError, ValueError, TypeError, OverflowError, OSError):
        return False
    texts = ("event", "incident", "kind", "reason", "level", "resource", "action", "error", *PLACE)
    if not all(isinstance(event.get(key, ""), str) for key in texts) or not all(
        isinstance(event.get(key, 1), int) for key in ("times", "faults")
    ):
        return False
    steps, seconds = event.get("steps", []), event.get("seconds")
    has_time = seconds is None or finite(seconds) is not None
    return has_time and isinstance(steps, list) and all(isinstance(step, str) for step in steps)


def fold(events):
    """Events as incidents, oldest first, each with the list of its events."""
    incidents = {}
    for event in events:
        name = event.get("incident")
        if not name or not _sound(event):
            continue
        entry = incidents.setdefault(name, {"id": name, "state": "open", "times": 1, "actions": [], "events": []})
        entry["events"].append(event)
        entry.update(
            {
                key: event[key]
                for key in ("app", "process", "instance", "server", "resource", "unit", "times", "faults", "level")
                if key in event
            }
        )
        kind = event["event"]
        if kind in ("opened", "again"):
            entry.setdefault("opened", event["time"])
            entry.update(state="open", kind=event.get("kind", ""), reason=event.get("reason", ""))
        elif kind == "done":
            entry["actions"].append(", ".join(event.get("steps", [])) or event.get("error", ""))
        elif kind == "recovered":
            entry.update(state="recovered", recovered_after=event.get("seconds"))
        elif kind in ("closed", "stopped"):
            entry["state"] = kind
    return [entry for entry in incidents.values() if "opened" in entry]


def read_deploys(path):
    """The lines that deploys have left, oldest first; lines that cannot be read are passed over."""
    deploys = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    deploy = json.loads(line)
                    if shapes.fits(deploy, shapes.DEPLOY):
                        deploys.append(deploy)
    except FileNotFoundError:
        pass
    return deploys


def write_state(path, state, mode=0o640):
    """Replace the state whole: a reader sees the old one or the new one."""
    temporary = f"{path}.new"
    text = json.dumps(state, separators=(",", ":"))
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    os.fchmod(descriptor, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def read_state(path):
    """The agent's last state, or {} when there is none that can be read; PermissionError tells who may not look."""
    try:
        with opened(path) as file:
            state = json.load(file)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return {}
    return _as_written(state) if isinstance(state, dict) else {}


def _as_written(state):
    """The state without what the agent does not write: an entry of another shape is as one that is not there."""
    parts = {"processes": shapes.WATCHED, "servers": shapes.WATCHED, "resources": shapes.RESOURCE}
    told = {key: state[key] if isinstance(state[key], list) else [] for key in parts if key in state}
    sound = {key: [entry for entry in entries if shapes.fits(entry, parts[key])] for key, entries in told.items()}
    agent = {"agent": state["agent"] if shapes.fits(state["agent"], shapes.AGENT) else {}} if "agent" in state else {}
    return {**state, **sound, **agent}
