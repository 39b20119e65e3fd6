// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// One JSON object per line on stdout; the journal keeps them.
import { config } from "./config.js";

const LEVELS = ["debug", "info", "warning", "error"];
const threshold = Math.max(0, LEVELS.indexOf(config.logLevel));

export function log(level, message, more = {}) {
  if (LEVELS.indexOf(level) < threshold) return;
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...more })}\n`);
}
