# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declared rules to those of ufw: which are missing, and which of ours nobody declares any more."""

from __future__ import annotations

import re

from .firewall import read_rules, sources_of

MARK = "mainstay: "
# A line of `ufw show added` that only lets in; others are an operator's own, and no business of ours.
ADDED = re.compile(r"ufw allow (?:from (?P<source>\S+) to any port (?P<to>\S+) proto (?P<by>tcp|udp)|(?P<port>[\d:]+)/(?P<protocol>tcp|udp))"
                   r"(?: comment '(?P<comment>.*)')?")  # fmt: skip


def ufw_changes(rules, ssh_ports, ssh_from=(), said=""):
    """What ``community.general.ufw`` is to be asked: rules that are missing, and those of ours that are to go, each as its options.

    ufw knows no limits for one address, so ``per_source`` of a rule is left to nginx there.

    :param rules: ``firewall_rules``.
    :param said: what ``ufw show added`` printed.
    """
    ssh = [{"port": port, "from": ssh_from, "comment": "ssh"} for port in ssh_ports]
    wanted = {}
    for rule, port, protocol in [*read_rules(ssh), *read_rules(rules)]:
        for source in sources_of(rule) or ["any"]:
            comment = MARK + (rule.get("comment") or "declared")
            wanted[source, port.replace("-", ":"), protocol] = comment
    there = {}
    for match in filter(None, map(ADDED.fullmatch, said.splitlines())):
        key = match["source"] or "any", match["to"] or match["port"], match["by"] or match["protocol"]
        there[key] = match["comment"] or ""
    missing = [_options(key, comment) for key, comment in wanted.items() if key not in there]
    gone = [{**_options(key, comment), "delete": True} for key, comment in there.items() if key not in wanted and comment.startswith(MARK)]
    return missing + gone


def _options(key, comment):
    source, port, protocol = key
    return {"from_ip": source, "port": port, "proto": protocol, "comment": comment}
