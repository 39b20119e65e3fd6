# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls of a host that are not ours: chains for what comes in that end by dropping it.

In the kernel every chain has to accept a packet; one that says no is enough, whatever our own table opens.
"""

from __future__ import annotations

import json
import os
import shlex

from ..text import read

SECONDS = 10
OWN = ("inet", "mainstay")
CLOSING = ("drop", "reject")
# Expressions of a rule that do not narrow what it is about.
NEUTRAL = ("counter", "log", "comment")
# What speaks to the kernel by itself: its rules are there where no program to list them is.
BY_UNIT = {"firewalld.service": "firewalld"}
LEGACY = {"proc/net/ip_tables_names": "iptables-legacy", "proc/net/ip6_tables_names": "ip6tables-legacy"}


def start_asking(root, start, euid):
    """The programs that tell the rules, started: each with how its answer is read."""
    programs = {}
    if euid != 0 or root != "/":
        return programs
    if os.path.exists("/usr/sbin/nft"):
        programs["nft"] = (start(["nft", "--json", "--terse", "list", "ruleset"]), from_nftables)
    else:
        for program in ("iptables", "ip6tables"):
            if os.path.exists(f"/usr/sbin/{program}"):
                programs[program] = (start([program, "-S"]), from_iptables)
    for tables, program in LEGACY.items():
        if "filter" in read(f"/{tables}").split() and os.path.exists(f"/usr/sbin/{program}"):
            programs[program] = (start([program, "-S"]), from_iptables)
    return programs


def found(programs, notes, active=()):
    """What the started programs tell, as ``[{by, chain}]``; and the firewalls among the active units, whose rules none of them has told."""
    result = []
    for name, (started, understand) in programs.items():
        text = started.finish(SECONDS)
        if text is None:
            notes.append(f"packet_filters: {started.reason}")
        else:
            result += [{"by": by or name, "chain": chain} for by, chain in understand(text)]
    told = {item["by"] for item in result}
    return result + [{"by": by, "chain": unit} for unit, by in BY_UNIT.items() if unit in active and by not in told]


def from_nftables(text):
    """``[(who wrote it, chain)]`` of the JSON that nft prints."""
    items = json.loads(text).get("nftables", [])
    chains = {(item["chain"]["family"], item["chain"]["table"], item["chain"]["name"]): item["chain"] for item in items if "chain" in item}
    rules = {}
    for item in items:
        if "rule" in item:
            rule = item["rule"]
            rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(rule.get("expr", []))
    result = []
    for key, chain in chains.items():
        family, table, name = key
        base = chain.get("hook") == "input" and chain.get("type") == "filter" and family in ("inet", "ip", "ip6")
        if base and (family, table) != OWN and (chain.get("policy") == "drop" or _closes(key, rules, set())):
            result.append((_writer(family, table, name, chains), f"table {family} {table}, chain {name}"))
    return result


def _closes(key, rules, seen):
    """Whether a chain ends by dropping whatever has come so far, in itself or in a chain that it always goes to."""
    if key in seen:
        return False
    seen.add(key)
    for expressions in rules.get(key, []):
        words = [(word, value) for expression in expressions for word, value in expression.items() if word not in NEUTRAL]
        if len(words) != 1:
            continue
        word, value = words[0]
        target = value.get("name", "").lower() if word == "xt" and value.get("type") == "target" else word
        if target in CLOSING:
            return True
        if word in ("jump", "goto") and _closes((*key[:2], value["target"]), rules, seen):
            return True
    return False


def _writer(family, table, name, chains):
    if (family, table, "ufw-before-input") in chains or (family, table, "ufw6-before-input") in chains:
        return "ufw"
    if table == "firewalld":
        return "firewalld"
    return "iptables" if (table, name) == ("filter", "INPUT") else ""


def from_iptables(text):
    """The same of ``iptables -S``."""
    rules, policies = {}, {}
    for line in text.splitlines():
        what, chain, *words = [*shlex.split(line), "", ""]  # of a line without two words, nothing
        if what == "-P":
            policies[chain] = words[0]
        elif what == "-A":
            rules.setdefault(chain, []).append(words)
    if policies.get("INPUT") == "DROP" or _ends_closed("INPUT", rules, set()):
        return [("ufw" if {"ufw-before-input", "ufw6-before-input"} & _named(rules) else "", "chain INPUT")]
    return []


def _named(rules):
    return {word for chain in rules.values() for words in chain for word in words}


def _ends_closed(chain, rules, seen):
    """Whether a chain of iptables drops whatever comes to its end, as ``_closes`` says of nftables."""
    if chain in seen:
        return False
    seen.add(chain)
    for words in rules.get(chain, []):
        if words[:2] == ["-m", "comment"]:
            words = words[4:]
        if words[:1] not in (["-j"], ["-g"]):  # it is about some packets only
            continue
        if words[1] in ("DROP", "REJECT") or _ends_closed(words[1], rules, seen):
            return True
    return False
