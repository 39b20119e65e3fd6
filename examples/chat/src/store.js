// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Messages in PostgreSQL, through one pool within the plan.
import pg from "pg";

import { app, config } from "./config.js";
import { log } from "./log.js";

pg.types.setTypeParser(pg.types.builtins.INT8, Number);

export const pool = new pg.Pool({
  connectionString: config.databaseUrl,
  application_name: `${app}-web`,
  max: Math.max(1, config.poolSize + config.poolOverflow),
  min: config.poolSize,
  idleTimeoutMillis: 10_000,
  connectionTimeoutMillis: 5_000, // also the wait for a free connection: shorter than the proxy waits
  query_timeout: 10_000,
});

// An idle connection that breaks is replaced by the pool; without a listener it would end the process.
pool.on("error", (error) => log("warning", "database connection lost", { error: error.message }));

export async function save(author, text) {
  const { rows } = await pool.query(
    "INSERT INTO messages (author, text) VALUES ($1, $2) RETURNING id, author, text, created_at",
    [author, text],
  );
  return rows[0];
}

export async function latest(limit, before) {
  const { rows } = await pool.query(
    "SELECT id, author, text, created_at FROM messages WHERE id < $2 ORDER BY id DESC LIMIT $1",
    [limit, before],
  );
  return rows.reverse();
}
