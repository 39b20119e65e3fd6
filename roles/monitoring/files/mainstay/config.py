# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/mainstay/agent.json: read whole or refused with the key, the value and the remedy."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field, fields

from .checks import ConfigError, mapping, number, unit_name
from .core.stack.agent_limits import LIMITS
from .servers import Server, server

VERSION = 1


@dataclass(frozen=True)
class Settings:
    """Times in seconds; the role's variables `monitoring_*` of the same names."""

    interval: float = 5
    retry_interval: float = 2
    timeout: float = 2
    failures: int = 3
    successes: int = 2
    start_grace: float = 30
    stop_grace: float = 5
    boot_grace: float = 120
    cooldown: float = 60
    cooldown_max: float = 900
    stable_after: float = 600
    restart_window: float = 600
    restart_burst: int = 3
    restart_daily: int = 10
    restart_global: int = 5
    revive_delays: tuple[float, ...] = (60, 300, 900, 3600)
    incidents_max_mb: int = 5
    evidence_lines: int = 50
    dry_run: bool = False
    busy_limit: float = 25
    queue_stuck_after: int = 300
    memory_restarts: bool = True
    disk_reclaim: bool = True
    rollback: bool = True
    reports_keep: int = 30


@dataclass(frozen=True)
class Process:
    """One instance of a declared process: one unit."""

    app: str
    process: str
    instance: str
    unit: str
    kind: str
    probe: dict | None = field(default=None, hash=False)
    memory_max_mb: int | None = None
    needs: tuple[str, ...] = ()  # the names of this host's servers that it uses
    patience: int | None = None  # seconds that a request to it may take

    @property
    def name(self):
        return f"{self.app}/{self.process}/{self.instance}"

    @property
    def place(self):
        """How records name it."""
        return {"app": self.app, "process": self.process, "instance": self.instance}

    @property
    def silent(self):
        """Whether it cannot be asked: what is known of it is its heartbeat, that it looks at its schedule, or that it runs."""
        return self.probe is None or self.probe["kind"] in ("beat", "heartbeat")

    @property
    def job(self):
        """The unit that does the work: the one a timer starts, else the unit itself."""
        return re.sub(r"\.timer$", ".service", self.unit)


@dataclass(frozen=True)
class App:
    """A declared application, as the commands need it; ports: {process: all ports it owns}, volumes: {folder: path in its container}."""

    name: str
    user: str
    root: str
    env_file: str
    runtime: str = ""
    ports: dict = field(default_factory=dict, hash=False)
    volumes: dict = field(default_factory=dict, hash=False)
    directory: str = ""
    connections: int | None = None  # to its database, that the plan gives it
    queue: dict | None = field(default=None, hash=False)  # {port, names}: the lists of Celery in its Redis here


@dataclass(frozen=True)
class Site:
    name: str
    app: str
    tls: bool
    paths: tuple[str, ...]

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://{self.name}"

    @property
    def pages(self):
        return [f"{self.url}{path}" for path in self.paths]


@dataclass(frozen=True)
class Config:
    host: str
    settings: Settings
    processes: tuple[Process, ...]
    apps: dict = field(default_factory=dict, hash=False)
    servers: tuple[Server, ...] = ()
    sites: tuple[Site, ...] = ()  # those that nginx serves here

    @property
    def watched(self):
        return (*self.processes, *self.servers)

    @property
    def units(self):
        return [watched.unit for watched in self.watched]

    def find(self, target):
        """What `select` chooses, and servers: by name, by the part of it before the `/`, or by unit."""
        servers = [server for server in self.servers if target.rstrip("/") in server.names]
        return [*servers, *(self._matching(target) if servers else self.select(target))]

    def select(self, target):
        """The processes of `APP`, `APP/PROCESS`, `APP/PROCESS/INSTANCE` or of a unit's name."""
        chosen = self._matching(target)
        if chosen:
            return chosen
        known = sorted({"/".join(process.name.split("/")[:depth]) for process in self.processes for depth in (1, 2)})
        raise ConfigError(_unknown(target, known))

    def _matching(self, target):
        words = target.rstrip("/").split("/")
        return [
            process
            for process in self.processes
            if target in (process.unit, process.job, process.unit.rpartition(".")[0]) or words == process.name.split("/")[: len(words)]
        ]

    def app(self, name):
        """The app of that name."""
        if name in self.apps:
            return self.apps[name]
        if any(process.app == name for process in self.processes):
            raise ConfigError(f"the configuration says too little about {name}; run the role mainstay.vps.monitoring again")
        raise ConfigError(_unknown(name, sorted(self.apps)))


def _unknown(target, known):
    near = difflib.get_close_matches(target, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"declared here: {', '.join(known) or 'nothing'}"
    return f"there is no {target} on this host; {hint}"


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; run the role mainstay.vps.monitoring") from None
    except PermissionError:
        raise ConfigError(f"{path} cannot be read by this user; use sudo") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from None
    return parse(data)


def parse(data):
    """The configuration from its JSON form."""
    mapping(data, "the configuration", {"version", "host", "settings", "processes", "servers", "apps", "sites"}, {"processes"})
    if data.get("version", VERSION) != VERSION:
        raise ConfigError(f"version is {data['version']!r}; this agent reads version {VERSION}; run the role again")
    processes, servers = _entries(data, "processes", _process), _entries(data, "servers", server)
    seen = set()
    for watched in (*processes, *servers):
        if watched.unit in seen:
            raise ConfigError(f"unit {watched.unit} is listed twice; list each instance once")
        seen.add(watched.unit)
    apps = data.get("apps", {})
    if not isinstance(apps, dict):
        raise ConfigError(f"apps is {apps!r}; write a mapping")
    apps = {name: _app(name, item, f"apps.{name}") for name, item in apps.items()}
    sites = _entries(data, "sites", _site)
    return Config(str(data.get("host", "")), _settings(data.get("settings", {})), processes, apps, servers, sites)


def _entries(data, key, read):
    entries = data.get(key, [])
    if not isinstance(entries, list):
        raise ConfigError(f"{key} is {entries!r}; write a list")
    return tuple(read(item, f"{key}[{index}]") for index, item in enumerate(entries))


def _settings(data):
    known = {item.name: item for item in fields(Settings)}
    mapping(data, "settings", set(known))
    values = {}
    for key, value in data.items():
        where = f"settings.{key}"
        if isinstance(known[key].default, bool):
            if not isinstance(value, bool):
                raise ConfigError(f"{where} is {value!r}; use true or false")
            values[key] = value
        elif key == "revive_delays":
            if not isinstance(value, list) or not value:
                raise ConfigError(f"{where} is {value!r}; write a list of seconds, such as [60, 300, 900, 3600]")
            values[key] = tuple(number(item, where, 1, 86400) for item in value)
        else:
            values[key] = number(value, where, *LIMITS[key], whole=isinstance(known[key].default, int) and known[key].type == "int")
    settings = Settings(**values)
    if settings.cooldown_max < settings.cooldown:
        raise ConfigError(f"settings.cooldown_max is {settings.cooldown_max}; it cannot be less than cooldown ({settings.cooldown})")
    return settings


def _app(name, data, where):
    mapping(data, where, {item.name for item in fields(App)} - {"name"}, {"user", "root", "env_file"})
    for key in ("root", "env_file"):
        if not isinstance(data[key], str) or not data[key].startswith("/"):
            raise ConfigError(f"{where}.{key} is {data[key]!r}; use an absolute path")
    for key in ("user", "runtime", "directory"):
        if not isinstance(data.get(key, ""), str):
            raise ConfigError(f"{where}.{key} is {data[key]!r}; write a text")
    ports = data.get("ports", {})
    if not isinstance(ports, dict) or not all(isinstance(item, list) for item in ports.values()):
        raise ConfigError(f"{where}.ports is {ports!r}; write a list of ports for each process")
    for process, numbers in ports.items():
        for port in numbers:
            number(port, f"{where}.ports.{process}", 1, 65535, whole=True)
    if data.get("connections") is not None:
        number(data["connections"], f"{where}.connections", 1, 100000, whole=True)
    queue = data.get("queue")
    if queue is not None:
        mapping(queue, f"{where}.queue", {"port", "names"}, {"port", "names"})
        number(queue["port"], f"{where}.queue.port", 1, 65535, whole=True)
        if not isinstance(queue["names"], list) or not all(isinstance(item, str) and item for item in queue["names"]):
            raise ConfigError(f"{where}.queue.names is {queue['names']!r}; write a list of names")
    return App(name=name, **data)


def _site(data, where):
    names = {item.name for item in fields(Site)}
    mapping(data, where, names, names)
    if not isinstance(data["name"], str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", data["name"]):
        raise ConfigError(f"{where}.name is {data['name']!r}; write the name of a host")
    if not isinstance(data["app"], str) or not isinstance(data["tls"], bool):
        raise ConfigError(f"{where} is {data!r}; app is the name of one, tls is true or false")
    paths = data["paths"]
    if not isinstance(paths, list) or not all(isinstance(path, str) and path.startswith("/") for path in paths):
        raise ConfigError(f"{where}.paths is {paths!r}; write a list of paths, each with a '/' before it")
    return Site(**{**data, "paths": tuple(paths)})


def _process(data, where):
    names = {item.name for item in fields(Process)}
    mapping(data, where, names, {"app", "process", "instance", "unit", "kind"})
    values = dict(data, instance=str(data["instance"]))
    for key in ("app", "process", "instance", "kind"):
        if not isinstance(values[key], str) or not values[key] or "/" in values[key]:
            raise ConfigError(f"{where}.{key} is {values[key]!r}; write a text without '/'")
    unit_name(values["unit"], f"{where}.unit")
    needs = values.get("needs") or []
    if not isinstance(needs, list) or not all(isinstance(name, str) for name in needs):
        raise ConfigError(f"{where}.needs is {needs!r}; write a list of names of servers")
    values["needs"] = tuple(needs)
    if values.get("memory_max_mb") is not None:
        number(values["memory_max_mb"], f"{where}.memory_max_mb", 1, 2**40, whole=True)
    if values.get("patience") is not None:
        number(values["patience"], f"{where}.patience", 1, 86400)
    if values.get("probe") is not None:
        _probe(values["probe"], f"{where}.probe")
    return Process(**values)


def _probe(probe, where):
    if not isinstance(probe, dict) or not isinstance(probe.get("kind"), str):
        raise ConfigError(f"{where} is {probe!r}; write a mapping with kind: http, heartbeat or beat")
    if probe["kind"] == "beat":
        mapping(probe, where, {"kind"}, {"kind"})
        return
    if probe["kind"] == "heartbeat":
        mapping(probe, where, {"kind", "file", "max_age"}, {"file", "max_age"})
        if not isinstance(probe["file"], str) or not probe["file"].startswith("/"):
            raise ConfigError(f"{where}.file is {probe['file']!r}; write an absolute path")
        number(probe["max_age"], f"{where}.max_age", 1, 86400)
        return
    from .core.probe import declared

    if probe.get("timeout") is not None:
        number(probe["timeout"], f"{where}.timeout", *LIMITS["timeout"])
    unknown = set(probe) - set(declared.DEFAULTS)
    if unknown:
        raise ConfigError(f"{where} has the unknown key {min(unknown)!r}; known: {', '.join(sorted(declared.DEFAULTS))}")
    try:
        declared.normalise(probe)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from None
