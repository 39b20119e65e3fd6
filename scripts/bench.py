#!/usr/bin/env python3
# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time site.yml on a fresh host against a floor measured in the same run, and count what it starts on the host.

The floor is what nothing can beat by much: on a second fresh host, the same packages by one apt-get and the same files by one
shell script over the same kind of ssh connection. Prints a table and writes the figures as JSON.
"""
from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAB = [sys.executable, str(ROOT / "scripts/lab")]
RUN, FLOOR = "bench-run", "bench-floor"
# Stands in for python3 in the inventory: each start is one line, so what is counted is what really happened on the host.
COUNTER = "/usr/local/bin/counting-python"
COUNTING = f"printf '#!/bin/sh\\necho >>/run/python-starts\\nexec /usr/bin/python3 \"$@\"\\n' >{COUNTER} && chmod 755 {COUNTER}"
# Where a run writes: what is new there and belongs to no package is "the same files".
PLACES = "/etc /opt /srv /usr/local /var/lib/mainstay"
FILES = f"""
find {PLACES} -newer /run/bench-start \\( -type f -o -type l \\) ! -path '*/ssh_host_*' ! -path {COUNTER} ! -path '*/__pycache__/*' |
while read -r path; do dpkg-query --search "$path" >/dev/null 2>&1 || printf '%s\\0' "$path"; done |
tar --create --gzip --null --files-from - --absolute-names
"""


def lab(*arguments, **options):
    return subprocess.run([*LAB, *arguments], check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def ssh(host, command, **options):
    return subprocess.run([*LAB, "ssh", host, command], check=True, stdout=subprocess.PIPE, **options).stdout


def timed(action):
    start = time.monotonic()
    result = action()
    return round(time.monotonic() - start, 2), result


def play(inventory, log):
    """One run of site.yml: its seconds, its tasks and how often Python started on the host."""
    ssh(RUN, "rm -f /run/python-starts")
    command = ["ansible-playbook", "-i", str(inventory), "playbooks/site.yml"]
    seconds, run = timed(lambda: subprocess.run(command, cwd=ROOT, text=True, capture_output=True))
    log.write_text(run.stdout + run.stderr)
    if run.returncode:
        raise SystemExit(f"site.yml failed, see {log}:\n{run.stdout[-3000:]}{run.stderr[-2000:]}")
    recap = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", run.stdout[run.stdout.rindex("PLAY RECAP"):])}
    starts = ssh(RUN, "cat /run/python-starts 2>/dev/null | wc -l; true")
    return {"seconds": seconds, "tasks": recap["ok"] + recap["skipped"], "skipped": recap["skipped"], "changed": recap["changed"],
            "module_executions": int(starts)}


def floor(packages, files):
    """The same packages and files on a fresh host, as fast as a shell can."""
    install = f"apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends {packages}"
    script = f"{{ {install}; }} >/run/floor.log 2>&1 && tar --extract --gzip --absolute-names && systemctl daemon-reload"
    seconds, _ = timed(lambda: ssh(FLOOR, script, input=files))
    return seconds


def measure(inventory, repeats):
    lab("up", RUN, stderr=subprocess.DEVNULL)
    lab("up", FLOOR, stderr=subprocess.DEVNULL)
    ssh(RUN, f"{COUNTING} && apt-mark showmanual | sort >/run/manual && touch /run/bench-start")
    hosts = lab("inventory", RUN, "--child", "proxy", "--child", "backend", "--child", "database", "--child", "cache")
    inventory.joinpath("hosts.yml").write_text(hosts)
    logs = ROOT / ".cache/bench"
    first = play(inventory, logs / "first.log")
    second = [play(inventory, logs / f"second-{number}.log") for number in range(repeats)]
    packages = ssh(RUN, "apt-mark showmanual | sort | comm -13 /run/manual - | tr '\\n' ' '").decode()
    files = ssh(RUN, FILES)
    return {
        "first_run": first,
        "second_run": {**second[-1], "seconds": statistics.median(run["seconds"] for run in second),
                       "all_seconds": [run["seconds"] for run in second]},
        "floor": {"seconds": floor(packages, files), "packages": packages.split(), "files_kb": len(files) // 1024},
    }


def verdict(figures):
    """The bars, each with what was measured."""
    first, second = figures["first_run"], figures["second_run"]
    ratio = round(first["seconds"] / figures["floor"]["seconds"], 2)
    return [
        ("first run / floor", ratio, 1.8),
        ("second run, seconds", second["seconds"], 8),
        ("second run, Python starts", second["module_executions"], 15),
        ("second run, changed", second["changed"], 0),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="second runs, of which the median counts (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="JSON file to write (default: .cache/bench/result.json)")
    options = parser.parse_args()
    inventory = ROOT / ".cache/bench"
    inventory.mkdir(parents=True, exist_ok=True)
    variables = inventory / "group_vars"
    variables.mkdir(exist_ok=True)
    example = (ROOT / "inventory.example/group_vars/all.yml").read_text()
    variables.joinpath("all.yml").write_text(f"{example}\nansible_python_interpreter: {COUNTER}\n")
    try:
        figures = measure(inventory, options.repeats)
    finally:
        lab("down", RUN, FLOOR, stderr=subprocess.DEVNULL)
    figures.update(
        date=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        commit=subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True, capture_output=True).stdout.strip(),
        machine={"cpus": os.cpu_count(), "kernel": platform.release(), "system": "Debian 12 container, ssh with pipelining"},
    )
    output = options.output or inventory / "result.json"
    output.write_text(json.dumps(figures, indent=2) + "\n")
    for name in ("floor", "first_run", "second_run"):
        row = figures[name]
        print(f"{name:<12} {row['seconds']:>7.2f} s" + "".join(
            f"  {key} {row[key]}" for key in ("tasks", "skipped", "changed", "module_executions") if key in row))
    missed = 0
    for name, value, bar in verdict(figures):
        missed += value > bar
        print(f"{name:<28} {value:>7}  at most {bar}  {'ok' if value <= bar else 'MISSED'}")
    print(f"written to {shlex.quote(str(output))}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
