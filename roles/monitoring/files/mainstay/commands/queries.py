# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements that take the most time in this host's PostgreSQL, since its statistics were last reset.

Values in statements are replaced by $1, $2 and so on; statements of all sessions are counted, also those that were fast.
A statement with many calls and a small mean is often one that runs once for each row of another (N+1).
"""

from __future__ import annotations

import json

from ..cli import Refusal
from ..postgres import DatabaseError, ask
from ..text import table

ORDERS = {"total": "total_exec_time", "mean": "mean_exec_time", "calls": "calls", "rows": "rows"}
# A mean of fewer calls says little.
CALLS_FOR_A_MEAN = 5
SHOWN_LENGTH = 100
HEADINGS = ["APP", "CALLS", "TOTAL S", "PART", "MEAN MS", "ROWS", "STATEMENT"]
QUERY = """
SELECT json_build_object(
  'since', (SELECT stats_reset FROM pg_stat_statements_info),
  'total_ms', (SELECT round(sum(total_exec_time)::numeric, 1) FROM pg_stat_statements
    WHERE :all OR userid <> 'postgres'::regrole),
  'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE datname NOT IN ('template0', 'template1')),
  'statements', (SELECT coalesce(json_agg(found), '[]') FROM (
    SELECT datname AS app, rolname AS role, calls, round(total_exec_time::numeric, 1) AS total_ms,
      round(mean_exec_time::numeric, 3) AS mean_ms, round(max_exec_time::numeric, 1) AS max_ms, rows, query
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid LEFT JOIN pg_roles ON pg_roles.oid = userid
    WHERE :'app' IN ('', datname) AND calls >= :calls AND (:all OR userid <> 'postgres'::regrole)
    ORDER BY {order} DESC, queryid LIMIT :lines) AS found));
"""


def arguments(parser):
    parser.add_argument("app", nargs="?", metavar="APP", default="", help="only statements in the database of this app")
    parser.add_argument("-n", "--lines", type=int, default=10, metavar="N", help="at most so many (default: 10)")
    parser.add_argument("--by", choices=ORDERS, default="total", help="what comes first (default: total)")
    parser.add_argument("--all", action="store_true", help="also the administrator's own, such as backups and this report")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs, with the statements whole")


def run(options, context):
    context.need_root("mainstay queries")
    least = CALLS_FOR_A_MEAN if options.by == "mean" else 1
    query = QUERY.format(order=ORDERS[options.by])
    try:
        found = ask(context.run, query, app=options.app, calls=least, lines=max(1, options.lines), all=options.all)
    except DatabaseError as error:
        raise Refusal(advice(str(error))) from None
    if options.app and options.app not in found["databases"]:
        raise Refusal(f"there is no database {options.app} on this host; there are {', '.join(found['databases'])}")
    if options.json:
        print(json.dumps(found, indent=2))
    elif found["statements"]:
        print(table([row(entry, found["total_ms"]) for entry in found["statements"]], HEADINGS))
        print(f"\nsince {found['since'][:19].replace('T', ' ')}; start afresh: SELECT pg_stat_statements_reset()")
    else:
        print("No statement has been counted yet.")
    return 0


def advice(said):
    if "pg_stat_statements" in said:
        return f"PostgreSQL does not count statements here ({said}); run the role mainstay.vps.postgresql"
    return f"PostgreSQL cannot be asked on this host: {said}"


def row(entry, total_ms):
    statement = " ".join(entry["query"].split())
    return [
        entry["app"],
        entry["calls"],
        f"{entry['total_ms'] / 1000:.1f}",
        f"{100 * entry['total_ms'] / total_ms:.0f} %",
        f"{entry['mean_ms']:.1f}",
        entry["rows"],
        statement if len(statement) <= SHOWN_LENGTH else f"{statement[: SHOWN_LENGTH - 1]}…",
    ]
