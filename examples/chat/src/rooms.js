// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// The WebSockets of this instance: a limit, a heartbeat, a clean goodbye.
import { WebSocketServer } from "ws";

import { config } from "./config.js";
import { log } from "./log.js";

const HEARTBEAT_MS = 30_000;
const MAX_MESSAGE_BYTES = 16 * 1024;
const MAX_UNSENT_BYTES = 1024 * 1024;
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;
const TOO_MANY = 4029;

export const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });
const alive = new WeakSet();

export function open(receive) {
  sockets.on("connection", (socket) => {
    if (sockets.clients.size > config.maxWebSockets) {
      socket.close(TOO_MANY, "too many connections"); // after the handshake, so that a browser sees the reason
      return;
    }
    alive.add(socket);
    socket.on("pong", () => alive.add(socket));
    socket.on("error", (error) => log("debug", "websocket error", { error: error.message }));
    let turn = Promise.resolve();
    socket.on("message", (data) => {
      socket.pause(); // one at a time and in order: a flood waits in the sender's own socket
      turn = turn.then(() => take(socket, data, receive)).finally(() => socket.resume());
    });
  });
  setInterval(heartbeat, HEARTBEAT_MS).unref();
}

async function take(socket, data, receive) {
  try {
    await receive(JSON.parse(data.toString()));
  } catch (error) {
    const refused = error.status || error instanceof SyntaxError;
    if (!refused) log("warning", "message not delivered", { error: error.message });
    socket.send(JSON.stringify({ error: refused ? error.message : "not delivered" }));
  }
}

// Who did not answer the last ping is gone, even if its connection looks open.
function heartbeat() {
  for (const socket of sockets.clients) {
    if (!alive.delete(socket)) socket.terminate();
    else socket.ping();
  }
}

export function broadcast(text) {
  for (const socket of sockets.clients) {
    if (socket.bufferedAmount > MAX_UNSENT_BYTES) socket.close(TRY_AGAIN_LATER, "too slow");
    else socket.send(text);
  }
}

// Ask every client to leave, wait until they have, and end who stays.
export async function close(ms) {
  const end = Date.now() + ms;
  for (const socket of sockets.clients) socket.close(GOING_AWAY, "server is restarting");
  while (sockets.clients.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const socket of sockets.clients) socket.terminate();
}
