#!/usr/bin/env python3
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/variables.schema.json, by which editors complete and check a file of variables, from the tables that the validator reads by
(plugins/module_utils/stack) and the meanings in docs/apps.md; with --check only say whether it is stale.

It is of draft 7, the newest that yaml-language-server knows whole. Wherever a value stands, an expression of Jinja may stand, too.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from plugins.module_utils.stack import apps, authorities, fields, names, places, processes, routes, source, variables

TARGET = ROOT / "docs/variables.schema.json"
JINJA = r"\{\{"
TABLES = {
    "app": apps.APP_KEYS,
    "process": processes.PROCESS_KEYS,
    "site": routes.SITE_KEYS,
    "process's route": routes.ROUTE_KEYS["process"],
}
ABSENT = False


def rows():
    """The tables of docs/apps.md, ``{head: {key: {type, default, meaning}}}``."""
    text, found = (ROOT / "docs/apps.md").read_text(), {}
    for head in TABLES:
        lines = text[text.index(f"| key of {'an' if head == 'app' else 'a'} {head} |") :].split("\n\n", 1)[0].splitlines()[2:]
        cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        found[head] = {key.strip("`"): {"type": type_, "default": default, "meaning": meaning} for key, type_, default, meaning in cells}
    return found


MEANINGS = {id(TABLES[head]): {key: row["meaning"] for key, row in table.items()} for head, table in rows().items()}


def pattern_of(expression, jinja=True):
    """A pattern that all of a text has to match, in the words that Python and ECMAScript share."""
    bare = re.sub(r"\(\?P<\w+>", "(?:", expression)
    return f"^(?:{bare})$" + (f"|{JINJA}" if jinja else "")


def text(field, jinja=True):
    return {"type": "string", "pattern": pattern_of(field.pattern.pattern, jinja) if field.pattern else r"\S"}


# Not the host's own, nor what others are mounted in.
OWN_FOLDER = rf"(?!/(?:{'|'.join(sorted({*places.TAKEN, 'srv'}))})(?:/|$))(?!/(?:{'|'.join(sorted(places.MOUNTS))})$)"


def whole(field):
    numbers = "auto|" * field.auto + r"-?\d+"
    taken = {"not": {"enum": sorted(field.taken)}} if field.taken else {}
    return {"type": ["integer", "string"], "minimum": field.low, "maximum": field.high, "pattern": pattern_of(numbers), **taken}


def memory(_field):
    """Sizes from the smallest on: of kilobytes it takes five digits, of megabytes two, of gigabytes one."""
    sizes = r"0*(?:1[6-9]|[2-9]\d|[1-9]\d{2,})M?|0*(?:1638[4-9]|1639\d|16[4-9]\d{2}|1[7-9]\d{3}|[2-9]\d{4}|[1-9]\d{5,})K|0*[1-9]\d*G"
    return {"type": ["integer", "string"], "minimum": processes.SMALLEST_MB, "pattern": pattern_of(sizes)}


def choice(field):
    return {"anyOf": [{"enum": list(field.choices)}, {"type": "string", "pattern": JINJA}]}


def items(field):
    return {"type": ["array", "string"], "items": schema_of(field.item), "pattern": JINJA}


def logins(field):
    names_ = {"type": ["array", "string"], "items": text(routes.LOGIN), "minItems": 1, "pattern": JINJA}
    return {"anyOf": [{"enum": [False]}, names_]} if field.open else names_


def named(field):
    key = {**text(field.name, jinja=False)}
    if field is apps.APPS:
        key["not"] = {"enum": sorted(apps.RESERVED_NAMES)}
    least = {"minProperties": 1} if field is routes.SITE_KEYS["routes"] else {}
    return {"type": ["object", "string"], "pattern": JINJA, "propertyNames": key, "additionalProperties": schema_of(field.item), **least}


def keys(field):
    meanings = MEANINGS.get(id(field), {})
    properties = {
        key: {**schema_of(item), **({"description": told(meanings[key])} if key in meanings else {})} for key, item in field.items()
    }
    required = {"required": list(field.required)} if field.required else {}
    rules = {"allOf": RULES[id(field)]} if id(field) in RULES else {}
    return {"type": ["object", "string"], "pattern": JINJA, "properties": properties, "additionalProperties": False, **required, **rules}


def told(meaning):
    """A meaning of the page, for a reader who sees no page."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"docs/\1", meaning.replace("\\|", "|")).replace(", see below", "")


WAYS = {
    fields.Text: text,
    fields.Whole: whole,
    fields.Flag: lambda _field: {"type": ["boolean", "string"], "pattern": JINJA},
    fields.Choice: choice,
    fields.Items: items,
    fields.Numbers: items,
    fields.Words: items,
    fields.Named: named,
    fields.Keys: keys,
    fields.Special: lambda field: {"anyOf": [schema_of(way) for way in field.ways]},
    fields.Field: lambda _field: {},
    processes.Memory: memory,
    routes.Networks: lambda _field: {
        "type": ["array", "string"],
        "items": {"type": "string", "pattern": r"^[0-9A-Fa-f.:]+(/\d+)?$|" + JINJA},
        "pattern": JINJA,
    },
    routes.Logins: logins,
    routes.Directives: lambda _field: {"type": "string"},
    source.PathBelow: lambda _field: {"type": "string", "pattern": r"^(?!/)(?!(?:.*/)?\.\.(?:/|$)).*\S"},
    places.WritableFolder: lambda field: {"type": "string", "pattern": pattern_of(OWN_FOLDER + field.pattern.pattern)},
    fields.Switch: lambda _field: {"type": ["boolean", "string"]},
    fields.Perhaps: lambda field: schema_of(field.item),
    names.Address: lambda _field: {"type": "string"},
    names.HostName: lambda _field: {"type": "string"},
    names.Environment: lambda field: {**named(field), "type": ["object", "string", "null"]},
    names.Mapping: lambda _field: {"type": ["object", "string", "null"]},
    authorities.Authorities: items,
    variables.Plain: lambda _field: {"type": ["string", "number", "boolean"]},
}


def schema_of(field):
    """What editors are told of a field."""
    told_of = {"description": field.about} if field.about else {}
    default = {} if field.default is None else {"default": list(field.default) if isinstance(field.default, tuple) else field.default}
    return {**told_of, **WAYS[type(field)](field), **default}


def when(condition, then, otherwise=None):
    return {"if": condition, "then": then, **({"else": otherwise} if otherwise else {})}


def has(key, *values):
    """The condition that a mapping has a key, with one of some values."""
    return {"required": [key], "type": "object", **({"properties": {key: {"enum": list(values)}}} if values else {})}


def each(key, rule):
    """A rule for everything in a mapping with names."""
    return {"properties": {key: {"additionalProperties": rule}}}


def only(**properties):
    return {"properties": properties}


def packages(runtime):
    """A rule for the packages of a source: each with one version, as the runtime's registry writes it."""
    one = {"pattern": pattern_of(source.PACKAGES[runtime].pattern)}
    return only(source=only(package=one, requirements={"items": one}))


# What one key says of another. Everything that a schema cannot say is in tests/unit/plugins/module_utils/stack/test_schema.py, with why.
RULES = {
    id(apps.APP_KEYS): [
        when(
            has("runtime", "container"),
            {
                **only(
                    source={"not": {"anyOf": [has(kind) for kind in source.SOURCES if kind != "image"]}},
                    build={"maxItems": 0},
                    shared={"maxItems": 0},
                ),
                "allOf": [each("sites", each("routes", only(spa=ABSENT, directory=ABSENT)))],
            },
            {
                **only(source={"not": has("image")}, volumes={"maxProperties": 0}),
                "allOf": [each("processes", {"required": ["command"]})],
            },
        ),
        when(has("runtime", "node"), packages("node")),
        when({"not": {"required": ["runtime"]}}, packages("python")),
        when(has("runtime", "python"), packages("python")),
        {"anyOf": [has("processes"), has("sites")]},
        when(has("pooler", "pgbouncer"), {**only(database={"not": {"enum": ["mariadb", "none"]}}), "required": ["database"]}),
    ],
    id(processes.PROCESS_KEYS): [
        when(has("kind", "celery", "worker"), only(**dict.fromkeys(processes.WEB_ONLY, ABSENT))),
        when(has("kind", "web"), {"required": ["port"]}),
        when({"not": {"required": ["port"]}}, only(**dict.fromkeys(processes.WEB_ONLY, ABSENT))),
        when(has("singleton", True), only(instances={"enum": [1, "1"]})),
        when(
            has("schedule"),
            only(
                **{key: {"enum": [False]} if key in ("singleton", "notify") else ABSENT for key in processes.NEVER_SCHEDULED},
                kind={"enum": ["worker"]},
            ),
            only(time_limit=ABSENT),
        ),
    ],
    id(routes.ROUTE_KEYS["process"]): [when(has("websocket", True), only(timeout=ABSENT))],
    id(routes.SITE_KEYS): [
        {"properties": {"routes": {"properties": {"/": {"not": has("strip_prefix", True)}}}}},
    ],
}


def document():
    """The whole schema."""
    public = "|".join(sorted(name.removeprefix(names.PREFIX) for name in (*names.VARIABLES, *names.FACTS)))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Made by scripts/app_schema.py from the tables of plugins/module_utils/stack and docs/apps.md.",
        "title": "Variables of mainstay.vps",
        "type": ["object", "null"],
        "properties": {name: schema_of(field) for name, field in sorted(names.VARIABLES.items())},
        "patternProperties": {f"^{names.PREFIX}(?!(?:{public})$)": ABSENT},
        "additionalProperties": True,
    }


def main():
    content = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
    stale = not TARGET.exists() or TARGET.read_text() != content
    if stale and "--check" not in sys.argv:
        TARGET.write_text(content)
    print(f"{TARGET.relative_to(ROOT)} is {'stale' if stale and '--check' in sys.argv else 'up to date'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
