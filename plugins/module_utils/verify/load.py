# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load: what may be asked for, and what its modules do with it; of ApacheBench its command, its output, and which bound gave way."""

from __future__ import annotations

import collections
import re
from urllib.parse import urlsplit

LIMITS = {"success_percent": 99, "mean_ms": 100, "p99_ms": 500}
BUSY_PERCENT = 85
MOST_REQUESTS, MOST_AT_ONCE = 1000000, 1000
PERCENTILES = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "max_ms": 100}
# Headers whose values are nobody's business.
HEADER = re.compile(r"[A-Za-z0-9-]+")


def check(url, requests, concurrency, headers):
    """Refuse what ApacheBench would misunderstand, or what is no test any more."""
    check_site(url, ("http", "https"), "one of the host's own sites, such as https://shop.example.com/health", headers)
    check_number("requests", requests, MOST_REQUESTS)
    check_number("concurrency", concurrency, min(requests, MOST_AT_ONCE))


def check_site(url, schemes, wanted, headers):
    parts = urlsplit(url)
    if parts.scheme not in schemes or not re.fullmatch(r"[a-z0-9.-]+", parts.hostname or "") or parts.username:
        raise ValueError(f"url: {url!r} cannot be used. Write {wanted}.")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError(f"url: {url!r} cannot be used. Write blanks as %20.")
    for name, value in headers.items():
        if not HEADER.fullmatch(name) or re.search(r"[\r\n]", str(value)):
            raise ValueError(f"headers: {name!r} cannot be used. Write one line for each header.")


def check_number(name, value, most):
    if not 1 <= value <= most:
        raise ValueError(f"{name}: {value} cannot be used. Write a number from 1 to {most}.")


def perform(module, check, lacking, run, missed, bound):
    """What a module of load does with its options: refuse, send, judge, and fail where a limit was not held and that counts.

    :param lacking: what has to be installed first, in words, or nothing.
    :param missed: of the result and the options, the limits that were not held.
    :param bound: of the result, those and the options, what gave way and what would change it.
    """
    options = module.params
    try:
        check(options)
    except ValueError as error:
        module.fail_json(msg=str(error))
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="nothing is sent in check mode")
    if lacking:
        module.fail_json(msg=lacking)
    try:
        result = run(options)
    except ValueError as error:
        module.fail_json(msg=f"{options['url']}: {error}")
    lines = missed(result, options)
    kind, advice = bound(result, lines, options)
    result.update(url=options["url"], missed=lines, bound=kind, advice=advice, changed=False)
    if lines and options["fail"]:
        module.fail_json(msg=f"{options['url']}: {'; '.join(lines)}. {advice}", **result)
    module.exit_json(**result)


def target(url):
    """The URL with a path, without which ApacheBench takes none."""
    parts = urlsplit(url)
    return url if parts.path else parts._replace(path="/").geturl()


def command(url, requests, concurrency, keep_alive=True, timeout=10, headers=None):
    """The words of ApacheBench: answers may differ in length (-l), and a broken connection ends nothing (-r).

    It shows the header of every answer (-v 2), for it counts a connection that is closed without an answer as a success.
    """
    words = ["ab", "-v", "2", "-l", "-r", "-q", "-n", str(requests), "-c", str(concurrency), "-s", str(timeout)]
    words += ["-k"] if keep_alive else []
    for name, value in (headers or {}).items():
        words += ["-H", f"{name}: {value}"]
    return [*words, target(url)]


def _number(text, label, default=None):
    found = re.search(rf"^{re.escape(label)}:\s+([\d.]+)", text, re.MULTILINE)
    return float(found[1]) if found else default


def read_output(lines):
    """({status: answers}, the end of the output) of what ApacheBench prints, as it prints it: bytes, line by line."""
    statuses, tail, is_header = collections.Counter(), collections.deque(maxlen=120), False
    for line in lines:
        found = re.match(rb"HTTP/\d(?:\.\d)? (\d{3})", line) if is_header else None
        if found:
            statuses[int(found[1])] += 1
        is_header = line.rstrip().endswith(b"LOG: header received:")
        tail.append(line[:300])
    return dict(statuses), b"".join(tail).decode("utf-8", "replace").rpartition("..done\n")[2]


def parse(text, statuses):
    """What ApacheBench has printed, as numbers; ValueError where it did not come to its end."""
    complete = _number(text, "Complete requests")
    if complete is None:
        raise ValueError("ApacheBench has printed no result")
    complete = int(complete)
    classes = re.search(r"\(Connect: (\d+), Receive: (\d+), Length: \d+, Exceptions: (\d+)\)", text)
    # A failure may count in two of them, and one request twice.
    connect, receive, exceptions = (min(complete, int(number)) for number in classes.groups()) if classes else (0, 0, 0)
    answered = min(complete, sum(statuses.values()))
    good = sum(number for status, number in statuses.items() if 200 <= status < 300)
    # A header may have come, and not all of the body.
    succeeded = min(good, complete - max(connect, receive, exceptions))
    percentiles = {int(number): float(value) for number, value in re.findall(r"^\s+(\d+)%\s+(\d+)", text, re.MULTILINE)}
    mean = re.search(r"^Time per request:\s+([\d.]+) \[ms\] \(mean\)$", text, re.MULTILINE)
    return {
        "requests": complete,
        "succeeded": succeeded,
        "success_percent": round(100 * succeeded / complete, 2) if complete else 0.0,
        "failures": {"no_answer": complete - answered, "connect": connect, "receive": receive, "non_2xx": answered - min(answered, good)},
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        "seconds": _number(text, "Time taken for tests", 0.0),
        "requests_per_second": _number(text, "Requests per second", 0.0),
        "mean_ms": float(mean[1]) if mean else 0.0,
        **{name: percentiles.get(number) for name, number in PERCENTILES.items()},
        "keep_alive_requests": int(_number(text, "Keep-Alive requests", 0)),
    }


def missed(result, limits=None):
    """The limits that were not held, in words."""
    limits = {**LIMITS, **(limits or {})}
    lines = []
    if result["success_percent"] <= limits["success_percent"]:
        told = ", ".join(f"{number} {name}" for name, number in result["failures"].items() if number)
        lines.append(
            f"{result['success_percent']:g} % succeeded, not more than {limits['success_percent']:g} % ({told or 'no class given'})"
        )
    for key, words in (("mean_ms", "the mean is"), ("p99_ms", "99 % were answered within")):
        value = result[key]
        if value is None or value >= limits[key]:
            lines.append(f"{words} {'unknown' if value is None else f'{value:g} ms'}, not less than {limits[key]:g} ms")
    return lines


def bound(result, lines, cpu_percent, cpus, at_once):
    """(what gave way, what would change it): limit, failure, cpu, pool, or nothing."""
    if not lines:
        return "none", ""
    failures, statuses = result["failures"], result["statuses"]
    if result["success_percent"] <= 99 and statuses.get("429"):
        return "limit", (
            f"{statuses['429']} requests were refused by a rate limit (429): of nginx (rate_limit of the site or route), or the app's own, "
            "which may hold all of a proxy's requests for one client's."
        )
    if result["success_percent"] <= 99 and failures["non_2xx"] >= failures["no_answer"]:
        told = ", ".join(f"{number} times {status}" for status, number in statuses.items() if not status.startswith("2"))
        return "app", f"The answers were {told}: the app's journal (mainstay logs <app>) and /var/log/nginx/error.log say why."
    if result["success_percent"] <= 99:
        return "connections", (
            f"{failures['no_answer']} requests had no answer: see worker_connections and LimitNOFILE in mainstay plan, and whether the "
            "process was restarted meanwhile (mainstay history)."
        )
    if cpu_percent is not None and cpu_percent >= BUSY_PERCENT:
        return "cpu", (
            f"The {cpus} CPUs were busy to {cpu_percent:.0f} %, the load's own program among them: more CPUs, more instances of the process "
            "where the plan has memory for them (instances), or a cheaper answer."
        )
    return "pool", (
        f"The CPUs were busy to {0 if cpu_percent is None else cpu_percent:.0f} % only, so {at_once} requests waited for something else: "
        "workers (instances) or connections of the pool (pool: {size}); mainstay plan shows them, mainstay queries <app> the slow statements."
    )


def busy(before, after):
    """Percent of the CPUs' time between two texts of /proc/stat that was no idling; None where it cannot be told."""
    times = [[int(number) for number in text.split("\n", 1)[0].split()[1:9]] for text in (before, after) if text.startswith("cpu ")]
    if len(times) != 2:
        return None
    spent = [late - early for early, late in zip(*times)]
    total, idle = sum(spent), spent[3] + spent[4]
    return round(100 * (total - idle) / total, 1) if total > 0 else None
