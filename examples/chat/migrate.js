// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// `node migrate.js`: every file of migrations/ once, in order, each in a transaction.
import fs from "node:fs/promises";
import path from "node:path";

import pg from "pg";

import { app, config, root } from "./src/config.js";
import { log } from "./src/log.js";

const folder = path.join(root, "migrations");
const client = new pg.Client({ connectionString: config.databaseUrl, application_name: `${app}-migrate` });
await client.connect();
try {
  // The release before still serves: better fail and keep it than queue every request behind a lock.
  await client.query("SET lock_timeout = '5s'");
  await client.query("SELECT pg_advisory_lock(hashtext($1))", [`${app}-migrate`]);
  await client.query("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, at timestamptz DEFAULT now())");
  const done = new Set((await client.query("SELECT name FROM migrations")).rows.map((row) => row.name));
  for (const name of (await fs.readdir(folder)).sort()) {
    if (done.has(name)) continue;
    await client.query("BEGIN");
    await client.query(await fs.readFile(path.join(folder, name), "utf8"));
    await client.query("INSERT INTO migrations (name) VALUES ($1)", [name]);
    await client.query("COMMIT");
    log("info", "migrated", { name });
  }
} finally {
  await client.end();
}
