# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusing a plan: the sum written out, and a few changes, each tried before it is offered, that would make it fit."""

from __future__ import annotations

from collections import namedtuple

from . import connection_remedies, connections, counts, figures, inputs, memory_remedies
from .host import host_plan
from .remedies import Given, first


class PlanError(ValueError):
    """A plan that does not fit; ``remedies`` maps each host or database that is short to changes that make it fit."""

    def __init__(self, sections):
        self.remedies = {section.name: section.remedies for section in sections}
        super().__init__("\n\n".join(section.text() for section in sections))


class Section(namedtuple("Section", "name title lines total remedies")):
    """One host or database that is short."""

    __slots__ = ()

    def text(self):
        width = max(len(name) for _number, name, _why in self.lines)
        sum_lines = [
            f"  {'+' if index else ' '} {number:>8}  {name:<{width}}  {why}" for index, (number, name, why) in enumerate(self.lines)
        ]
        choices = [f"  {index}. {remedy.text}" for index, remedy in enumerate(self.remedies, 1)]
        return "\n".join([f"{self.name}: {self.title}", *sum_lines, f"  = {self.total}", "Each of these makes it fit:", *choices])


def refuse_memory(stack, short, apps, users, hosts):
    """Refuse a plan because of some hosts on which not even the smallest settings fit."""
    given = Given(apps, users, hosts)
    others = {host.name for host in short}
    raise PlanError([_memory_section(stack, host, given, others - {host.name}) for host in short])


def _memory_section(stack, host, given, others):
    planned = host_plan(stack, host, 0, counts.everywhere(0))["memory"]
    parts = sorted(planned["parts"].items(), key=lambda part: (-part[1], part[0]))
    lines = [(f"{int(number)} MB", name, number.why) for name, number in [("reserve", planned["reserve_mb"]), *parts]]
    needed = planned["reserve_mb"] + sum(planned["parts"].values())
    return Section(
        name=host.name,
        title=f"the smallest plan does not fit into {host.memory_mb} MB of memory.",
        lines=lines,
        total=f"{needed:>6} MB  needed, {needed - host.memory_mb} MB more than there are",
        remedies=first(
            memory_remedies.remedies_for(stack, host, given), lambda remedy: memory_remedies.fits(given.changed(remedy.change), others)
        ),
    )


def refuse_connections(stack, impossible, apps, users, hosts):
    """Refuse a plan whose pools, even at their smallest, add up to more than a database may accept."""
    given = Given(apps, users, hosts)
    raise PlanError([_connection_section(stack, database, given, set(impossible) - {database}) for database in impossible])


def _connection_section(stack, database, given, others):
    ceiling = connections.connection_ceiling(stack)
    parts = connections.connection_parts(stack, database, counts.everywhere(inputs.UNBOUNDED))
    parts["reserved"] = figures.Figure(connections.RESERVED[database], "kept for an administrator")
    needed = sum(parts.values())
    lines = [(int(number), name, number.why) for name, number in sorted(parts.items(), key=lambda part: (-part[1], part[0])) if number]
    return Section(
        name=database,
        title=f"the connections do not fit into max_connections {ceiling}.",
        lines=lines,
        total=f"{needed:>6}  connections needed, {needed - ceiling} more than max_connections",
        remedies=first(
            connection_remedies.remedies_for(stack, database, needed, given),
            lambda remedy: not set(given.changed(remedy.change).stack()[1]) - others,
        ),
    )
