// Copyright: (c) 2026, mainstay contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// The HTTP side: a table of routes over Node's own server.
import fs from "node:fs/promises";
import path from "node:path";
import v8 from "node:v8";

import * as bus from "./bus.js";
import { app, release, root } from "./config.js";
import { log } from "./log.js";
import { sockets } from "./rooms.js";
import { latest, pool, save } from "./store.js";

const CHECK_MS = 2_000;
const MAX_BODY_BYTES = 16 * 1024;
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };

export const state = { draining: false };

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Check a message, keep it, show it to everybody.
export async function post(input) {
  const { author, text } = input ?? {};
  const clean = (value, max) => typeof value === "string" && value.trim().length > 0 && value.length <= max;
  if (!clean(author, 40) || !clean(text, 2000)) throw new Refused(422, "author (1-40) and text (1-2000) are required");
  const message = await save(author.trim(), text.trim());
  await bus.publish(message);
  return message;
}

const routes = {
  "GET /health": async () => ({ body: { status: "healthy", app, release } }),
  "GET /ready": ready,
  "GET /messages": async (request, url) => {
    const number = (name, fallback) => {
      const value = Number(url.searchParams.get(name) ?? fallback);
      if (!Number.isSafeInteger(value) || value < 1) throw new Refused(422, `${name} must be a positive number`);
      return value;
    };
    return { body: await latest(Math.min(number("limit", 50), 200), number("before", Number.MAX_SAFE_INTEGER)) };
  },
  "POST /messages": async (request) => ({ status: 201, body: await post(await readJson(request)) }),
  "GET /stats": async () => {
    const { heap_size_limit: limit, used_heap_size: used } = v8.getHeapStatistics();
    return {
      body: {
        app,
        release,
        pid: process.pid,
        uptime_seconds: Math.round(process.uptime()),
        websockets: sockets.clients.size,
        pool: { max: pool.options.max, total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount },
        memory_mb: { rss: mb(process.memoryUsage.rss()), heap_used: mb(used), heap_limit: mb(limit) },
      },
    };
  },
  "GET /": () => file("index.html"),
  "GET /style.css": () => file("style.css"),
  "GET /chat.js": () => file("chat.js"),
};

const mb = (bytes) => Math.round(bytes / 2 ** 20);

async function file(name) {
  const type = TYPES[path.extname(name)];
  const content = await fs.readFile(path.join(root, "public", name), "utf8");
  return { type, body: content.replaceAll("{release}", release) };
}

// Everything a request needs; why something is missing goes to the log, never to the caller.
async function ready() {
  const checks = { database: pool.query("SELECT 1"), redis: bus.ping() };
  const verdicts = Object.entries(checks).map(async ([name, check]) => {
    try {
      await within(CHECK_MS, check);
      return [name, "healthy"];
    } catch (error) {
      log("warning", "not ready", { component: name, error: error.message });
      return [name, "unhealthy"];
    }
  });
  const components = Object.fromEntries(await Promise.all(verdicts));
  const healthy = !state.draining && Object.values(components).every((verdict) => verdict === "healthy");
  const status = state.draining ? "draining" : healthy ? "healthy" : "unhealthy";
  return { status: healthy ? 200 : 503, body: { status, components } };
}

async function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function readJson(request) {
  let text = "";
  for await (const part of request.setEncoding("utf8")) {
    text += part;
    if (text.length > MAX_BODY_BYTES) throw new Refused(413, "too long");
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused(400, "not JSON");
  }
}

export async function handle(request, response) {
  let answer;
  try {
    const url = new URL(request.url, "http://localhost");
    const route = routes[`${request.method === "HEAD" ? "GET" : request.method} ${url.pathname}`];
    if (!route) throw new Refused(404, "not found");
    answer = await route(request, url);
  } catch (error) {
    if (!error.status) log("error", "request failed", { url: request.url, error: error.message });
    answer = { status: error.status ?? 503, body: { error: error.status ? error.message : "try again soon" } };
  }
  const { status = 200, type = "application/json", body } = answer;
  const content = type === "application/json" ? JSON.stringify(body) : body;
  const headers = { "Content-Type": type, "Content-Length": Buffer.byteLength(content) };
  if (status === 503) headers["Retry-After"] = "5";
  if (state.draining || status === 413) headers.Connection = "close";
  response.writeHead(status, headers).end(content);
  log("debug", "request", { method: request.method, url: request.url, status });
}
