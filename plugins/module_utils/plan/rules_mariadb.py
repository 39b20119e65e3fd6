# Copyright: (c) 2026, mainstay contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of MariaDB, and the memory it may take with them."""

from __future__ import annotations

from .figures import Figure, clamp, divide_up, power_of_two, round_down

# Server without its buffers, performance_schema off (its own default, and Debian's); measured on MariaDB 11.8 with a
# full buffer pool: 45 MB private beyond the buffers, and 30 MB of programs and libraries.
MARIADB_BASE_MB = 80
BUFFER_POOL_MB = 64
# Percona: the buffer pool takes 5 % more than its size.
BUFFER_POOL_OVERHEAD_PERCENT = 5
SORT_BUFFER_KB = 1024
JOIN_BUFFER_KB = 256
# Sort 1 MB, join 256 kB, read buffers 384 kB, stack and network buffers 384 kB. Measured on MariaDB 11.8 with temporary
# tables of at most 1 MB: 0.3 MB idle, 1.7 MB sorting into one, of the 3 MB that are counted then.
MARIADB_SESSION_MB = 2
TMP_TABLE_MB = (1, 64)
INNODB_LOG_MB = (48, 1024)
# Temporary tables that have left the memory are Aria's, and so are the system's: MariaDB's own 128 MB at the most.
ARIA_PAGECACHE_MB = (8, 128)
# For MyISAM, which nothing here uses.
KEY_BUFFER_MB = 1
# Tables open at once: one in each session that uses it. MariaDB's default at the most.
TABLES_OPEN = (400, 2000)
# Measured on MariaDB 11.8: 12 kB for each open table, and 20 kB for each definition.
OPEN_TABLE_KB = 16
# An Aria table needs two files, and the cache is kept in up to eight parts (sql/mysqld.cc: table_cache_instances).
FILES_PER_OPEN_TABLE = 2
TABLE_CACHE_PARTS = 8
# Logs, sockets and what MariaDB opens of its own.
MARIADB_FILES = 64


def mariadb(share, _cpus, limit, connections_at_most, _alone):
    """MariaDB's settings under their own names, units behind them; ``nofile`` is the limit of its unit."""
    pool = clamp(round_down(share // 2, 8), BUFFER_POOL_MB, None, f"share {share} / 2")
    tables = clamp(share // 8 // connections_at_most, *TMP_TABLE_MB, f"share {share} / 8 / connections {connections_at_most}")
    tables_open = clamp(share, *TABLES_OPEN, f"share {share}")
    return {
        "aria_pagecache_buffer_size_mb": clamp(share // 32, *ARIA_PAGECACHE_MB, f"share {share} / 32"),
        "innodb_buffer_pool_size_mb": pool,
        "innodb_io_capacity": Figure(1000, "solid-state disk"),
        "innodb_log_buffer_size_mb": Figure(16, "MariaDB's default"),
        "innodb_log_file_size_mb": clamp(pool // 4, *INNODB_LOG_MB, f"innodb_buffer_pool_size {int(pool)} / 4"),
        "join_buffer_size_kb": Figure(JOIN_BUFFER_KB, "MariaDB's default"),
        "key_buffer_size_mb": Figure(KEY_BUFFER_MB, "only MyISAM tables use it"),
        "max_connections": limit,
        "max_heap_table_size_mb": Figure(tables, "equal to tmp_table_size; the smaller of the two counts"),
        "nofile": Figure(
            power_of_two(MARIADB_FILES + limit + tables_open * FILES_PER_OPEN_TABLE * TABLE_CACHE_PARTS),
            "own {} + connections {} + open tables {} x files {} x parts of the cache {}, next power of two: it needs a "
            "restart, and so should not follow every change",
            MARIADB_FILES,
            int(limit),
            int(tables_open),
            FILES_PER_OPEN_TABLE,
            TABLE_CACHE_PARTS,
        ),
        "sort_buffer_size_kb": Figure(SORT_BUFFER_KB, "held by every session that sorts; half of MariaDB's default"),
        "table_open_cache": tables_open,
        "thread_cache_size": Figure(limit, "max_connections"),
        "tmp_table_size_mb": tables,
    }


def mariadb_worst_case(settings):
    pool, sessions, tables, tables_open = (
        settings[name] for name in ("innodb_buffer_pool_size_mb", "max_connections", "tmp_table_size_mb", "table_open_cache")
    )
    caches = [settings[name] for name in ("innodb_log_buffer_size_mb", "aria_pagecache_buffer_size_mb", "key_buffer_size_mb")]
    return Figure(
        MARIADB_BASE_MB
        + divide_up(pool * (100 + BUFFER_POOL_OVERHEAD_PERCENT), 100)
        + sum(caches)
        + divide_up(tables_open * OPEN_TABLE_KB, 1024)
        + sessions * (MARIADB_SESSION_MB + tables),
        "base {} + buffer pool {} x 1.05 + log {} + Aria {} + keys {} + open tables {} x {} kB + sessions {} x ({} + {})",
        MARIADB_BASE_MB,
        int(pool),
        *map(int, caches),
        int(tables_open),
        OPEN_TABLE_KB,
        int(sessions),
        MARIADB_SESSION_MB,
        int(tables),
    )


def mariadb_files(settings):
    return settings["nofile"]
