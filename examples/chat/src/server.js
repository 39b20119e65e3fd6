// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// The process: `node src/server.js`. A fault nobody expected ends it; the supervisor starts a clean one.
import http from "node:http";

import * as bus from "./bus.js";
import { config, release } from "./config.js";
import { handle, post, state } from "./http.js";
import { log } from "./log.js";
import * as rooms from "./rooms.js";
import { pool } from "./store.js";

const server = http.createServer(handle);
server.keepAliveTimeout = 75_000; // longer than the proxy keeps its connections: it never reuses one that just closed
server.headersTimeout = 80_000;

server.on("upgrade", (request, socket, head) => {
  if (state.draining || request.url.split("?")[0] !== "/ws") {
    socket.end(`HTTP/1.1 ${state.draining ? "503 Service Unavailable" : "404 Not Found"}\r\nConnection: close\r\n\r\n`);
    return;
  }
  rooms.sockets.handleUpgrade(request, socket, head, (client) => rooms.sockets.emit("connection", client, request));
});

bus.open(rooms.broadcast);
rooms.open(post);
server.listen(config.port, config.host, () => log("info", "started", { release, host: config.host, port: config.port }));

async function stop(signal) {
  if (state.draining) return;
  state.draining = true;
  log("info", "stopping", { signal, websockets: rooms.sockets.clients.size });
  setTimeout(() => server.closeAllConnections(), config.drainMs).unref();
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  await Promise.all([rooms.close(config.drainMs), closed]);
  bus.close();
  await pool.end();
  log("info", "stopped");
}

process.on("SIGTERM", stop);
process.on("SIGINT", stop);
