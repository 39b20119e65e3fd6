# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load: what ApacheBench prints, what is counted of it, and what the verdict says."""

from __future__ import annotations

import pytest
from ansible_collections.mainstay.vps.plugins.module_utils.verify import load

# As ab 2.3 of Debian 12 prints it.
SUMMARY = """
Concurrency Level:      50
Time taken for tests:   0.352 seconds
Complete requests:      {complete}
Failed requests:        {failed}
{classes}Keep-Alive requests:    500
Total transferred:      158500 bytes
Requests per second:    1421.36 [#/sec] (mean)
Time per request:       35.178 [ms] (mean)
Time per request:       0.704 [ms] (mean, across all concurrent requests)

Percentage of the requests served within a certain time (ms)
  50%     18
  66%     20
  95%    135
  98%    164
  99%    201
 100%    202 (longest request)
"""
ALL_WELL = {"200": 500}


def _text(complete=500, failed=0, classes=""):
    return SUMMARY.format(complete=complete, failed=failed, classes=classes)


def _result(statuses=None, complete=500, **news):
    return {**load.parse(_text(complete), statuses if statuses is not None else {200: complete}), **news}


def test_all_of_it_is_read():
    assert load.parse(_text(), {200: 500}) == {
        "requests": 500,
        "succeeded": 500,
        "success_percent": 100.0,
        "failures": {"no_answer": 0, "connect": 0, "receive": 0, "non_2xx": 0},
        "statuses": ALL_WELL,
        "seconds": 0.352,
        "requests_per_second": 1421.36,
        "mean_ms": 35.178,
        "p50_ms": 18.0,
        "p95_ms": 135.0,
        "p99_ms": 201.0,
        "max_ms": 202.0,
        "keep_alive_requests": 500,
    }


@pytest.mark.parametrize(
    "statuses, classes, succeeded, failures",
    [
        # ab takes a connection that is closed without an answer for a success, and so it did on a host: 50 of 100 had none.
        ({200: 50}, "", 50, {"no_answer": 50, "connect": 0, "receive": 0, "non_2xx": 0}),
        ({}, "   (Connect: 0, Receive: 51, Length: 0, Exceptions: 25)\n", 0, {"no_answer": 100, "connect": 0, "receive": 51, "non_2xx": 0}),
        ({200: 90, 503: 10}, "", 90, {"no_answer": 0, "connect": 0, "receive": 0, "non_2xx": 10}),
        ({301: 100}, "", 0, {"no_answer": 0, "connect": 0, "receive": 0, "non_2xx": 100}),
        # The header came, and not all of the body.
        (
            {200: 100},
            "   (Connect: 0, Receive: 7, Length: 3, Exceptions: 0)\n",
            93,
            {"no_answer": 0, "connect": 0, "receive": 7, "non_2xx": 0},
        ),
        (
            {204: 100},
            "   (Connect: 0, Receive: 0, Length: 99, Exceptions: 0)\n",
            100,
            {"no_answer": 0, "connect": 0, "receive": 0, "non_2xx": 0},
        ),
    ],
)
def test_only_an_answer_of_2xx_is_a_success(statuses, classes, succeeded, failures):
    result = load.parse(_text(100, 1, classes), statuses)
    assert (result["succeeded"], result["failures"]) == (succeeded, failures)


def test_statuses_are_counted_as_they_come_and_bodies_are_not():
    output = b"""LOG: header received:
HTTP/1.1 200 OK
X: LOG: header received

HTTP/1.1 503 says a body
{"HTTP/1.1 500": 1}LOG: header received:
HTTP/1.1 429 Too Many Requests

LOG: header received:
HTTP/2 200

..done
""" + SUMMARY.encode()
    statuses, tail = load.read_output(output.splitlines(keepends=True))
    assert statuses == {200: 2, 429: 1}
    assert "HTTP" not in tail and "Complete requests" in tail


def test_without_a_summary_there_is_no_result():
    with pytest.raises(ValueError, match="no result"):
        load.parse("apr_socket_connect(): Connection refused", {})


@pytest.mark.parametrize(
    "news, limits, words",
    [
        ({}, {}, []),
        ({"mean_ms": 100.0}, {}, ["the mean is 100 ms, not less than 100 ms"]),
        ({"mean_ms": 150.0}, {"mean_ms": 200}, []),
        ({"p99_ms": 700.0}, {}, ["99 % were answered within 700 ms, not less than 500 ms"]),
        ({"p99_ms": None}, {}, ["99 % were answered within unknown, not less than 500 ms"]),
        (
            {"success_percent": 99.0, "failures": {"no_answer": 5, "non_2xx": 0}},
            {},
            ["99 % succeeded, not more than 99 % (5 no_answer)"],
        ),
    ],
)
def test_a_limit_that_is_not_held_is_named(news, limits, words):
    assert load.missed(_result(**news), limits) == words


@pytest.mark.parametrize(
    "statuses, cpu, what, words",
    [
        ({200: 400, 429: 100}, 20, "limit", "100 requests were refused by a rate limit (429)"),
        ({200: 400, 502: 90, 504: 10}, 20, "app", "90 times 502, 10 times 504"),
        ({200: 400}, 20, "connections", "100 requests had no answer"),
        ({200: 500}, 97, "cpu", "The 2 CPUs were busy to 97 %"),
        ({200: 500}, 30, "pool", "busy to 30 % only, so 100 requests waited for something else"),
        ({200: 500}, None, "pool", "pool"),
    ],
)
def test_what_gave_way_is_named_with_what_would_change_it(statuses, cpu, what, words):
    found, advice = load.bound(_result(statuses), ["something"], cpu, 2, 100)
    assert (found, words in advice) == (what, True), advice


def test_nothing_gave_way_where_all_is_held():
    assert load.bound(_result(), [], 99, 2, 100) == ("none", "")


@pytest.mark.parametrize(
    "url, requests, concurrency, headers, words",
    [
        ("ftp://x/", 1, 1, {}, "url: 'ftp://x/' cannot be used"),
        ("https://me:secret@x/", 1, 1, {}, "cannot be used"),
        ("https://x/a b", 1, 1, {}, "Write blanks as %20"),
        ("https://x y/", 1, 1, {}, "cannot be used"),
        ("https://-$(id)/", 1, 1, {}, "cannot be used"),
        ("https://x/", 2000000, 1, {}, "requests: 2000000 cannot be used. Write a number from 1 to 1000000."),
        ("https://x/", 10, 11, {}, "concurrency: 11 cannot be used. Write a number from 1 to 10."),
        ("https://x/", 10000, 1001, {}, "from 1 to 1000."),
        ("https://x/", 10, 1, {"A\nB": "x"}, "headers: "),
        ("https://x/", 10, 1, {"A": "x\ny"}, "headers: 'A' cannot be used"),
    ],
)
def test_what_would_be_misunderstood_is_refused(url, requests, concurrency, headers, words):
    with pytest.raises(ValueError) as refused:
        load.check(url, requests, concurrency, headers)
    assert words in str(refused.value)


def test_the_command_is_apachebench_s():
    words = load.command("https://shop.example.com", 10, 2, keep_alive=False, headers={"Accept": "text/html"})
    assert words == [
        "ab",
        "-v",
        "2",
        "-l",
        "-r",
        "-q",
        "-n",
        "10",
        "-c",
        "2",
        "-s",
        "10",
        "-H",
        "Accept: text/html",
        "https://shop.example.com/",
    ]
    assert "-k" in load.command("https://x/", 1, 1)


@pytest.mark.parametrize(
    "before, after, percent",
    [
        ("cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 1", "cpu  60 0 30 110 0 0 0 0 0 0\n", 70.0),
        ("", "cpu  1 1 1 1 1 1 1 1", None),
        ("cpu  1 1 1 1 1 1 1 1\n", "cpu  1 1 1 1 1 1 1 1\n", None),
    ],
)
def test_how_busy_the_cpus_were(before, after, percent):
    assert load.busy(before, after) == percent


class Ended(Exception):
    pass


class Module:
    """A module of load, as far as what it does with its options reaches."""

    def __init__(self, check_mode=False, **options):
        self.params, self.check_mode, self.asked = {"url": "https://x/", "fail": True, **options}, check_mode, []

    def exit_json(self, **result):
        raise Ended({"failed": False, **result})

    def fail_json(self, **result):
        raise Ended({"failed": True, **result})

    def check(self, options):
        self.asked.append("check")
        if options.get("wrong"):
            raise ValueError("url: wrong")

    def run(self, options):
        self.asked.append("run")
        if options.get("late"):
            raise ValueError("too late")
        return {"p99_ms": 700}

    def perform(self, lacking="", missed=()):
        bound = ("cpu", "Buy one.") if missed else ("none", "")
        with pytest.raises(Ended) as ended:
            load.perform(self, self.check, lacking, self.run, lambda _result, _options: list(missed), lambda *_judged: bound)
        return ended.value.args[0]


@pytest.mark.parametrize(
    "options, lacking, missed, asked, returned",
    [
        ({"wrong": True}, "no ab", [], ["check"], {"failed": True, "msg": "url: wrong"}),
        ({"wrong": True, "check_mode": True}, "", [], ["check"], {"failed": True, "msg": "url: wrong"}),
        ({"check_mode": True}, "no ab", [], ["check"], {"failed": False, "skipped": True}),
        ({}, "no ab", [], ["check"], {"failed": True, "msg": "no ab"}),
        ({"late": True}, "", [], ["check", "run"], {"failed": True, "msg": "https://x/: too late"}),
        ({}, "", [], ["check", "run"], {"failed": False, "url": "https://x/", "missed": [], "bound": "none", "advice": "", "p99_ms": 700}),
        (
            {},
            "",
            ["slow", "bad"],
            ["check", "run"],
            {"failed": True, "msg": "https://x/: slow; bad. Buy one.", "bound": "cpu", "p99_ms": 700},
        ),
        ({"fail": False}, "", ["slow"], ["check", "run"], {"failed": False, "missed": ["slow"], "bound": "cpu", "advice": "Buy one."}),
    ],
)
def test_what_is_asked_for_is_checked_first_and_judged_last(options, lacking, missed, asked, returned):
    module = Module(**options)
    found = module.perform(lacking, missed)
    assert {key: found[key] for key in returned} == returned
    assert (module.asked, found.get("changed", False)) == (asked, False)
