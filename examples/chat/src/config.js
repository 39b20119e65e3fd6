// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Settings: read once from the environment, refused early and all at once when incomplete.
import path from "node:path";
import { fileURLToPath } from "node:url";

const env = process.env;
const missing = ["DATABASE_URL", "REDIS_CACHE_URL"].filter((name) => !env[name]);
if (missing.length > 0) {
  console.error(`chat: set ${missing.join(", ")} in the environment`);
  process.exit(1);
}

export const app = "chat";
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
export const release = path.basename(root);

export const config = {
  host: env.HOST ?? "127.0.0.1",
  port: Number(env.PORT ?? 3000),
  databaseUrl: env.DATABASE_URL,
  redisUrl: env.REDIS_CACHE_URL,
  poolSize: Number(env.DB_POOL_SIZE ?? 5),
  poolOverflow: Number(env.DB_MAX_OVERFLOW ?? 5),
  maxWebSockets: Number(env.MAX_WS_CONNECTIONS ?? 100),
  drainMs: 1000 * Number(env.DRAIN_SECONDS ?? 10),
  logLevel: env.LOG_LEVEL ?? "info",
};
