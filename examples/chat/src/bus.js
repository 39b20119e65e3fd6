// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// Redis carries each message to every instance of the application.
import { createClient } from "@redis/client";

import { app, config } from "./config.js";
import { log } from "./log.js";

const CHANNEL = `${app}:messages`;

const publisher = createClient({
  url: config.redisUrl,
  disableOfflineQueue: true, // with Redis away a command fails at once instead of piling up
  socket: { connectTimeout: 2_000, reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 5_000) },
});
const subscriber = publisher.duplicate();

for (const client of [publisher, subscriber]) {
  client.on("error", (error) => log("warning", "redis not available", { error: error.code ?? error.message }));
}

let deliver = () => {};

// Returns at once: the process starts, and says so on /health, whatever its dependencies do.
export function open(receive) {
  deliver = receive;
  const ignore = () => {}; // reported by the error event; the client goes on trying
  publisher.connect().catch(ignore);
  subscriber.connect().then(() => subscriber.subscribe(CHANNEL, deliver)).catch(ignore);
}

export async function publish(message) {
  const text = JSON.stringify(message);
  try {
    await publisher.publish(CHANNEL, text);
  } catch {
    deliver(text); // the message is saved; only the other instances' readers have to load it themselves
  }
}

export const ping = () => Promise.all([publisher.ping(), subscriber.ping()]);

export function close() {
  for (const client of [publisher, subscriber]) {
    if (client.isOpen) client.destroy();
  }
}
